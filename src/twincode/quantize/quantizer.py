"""What every quantiser offers."""

from typing import NamedTuple

from torch import Generator, Tensor, nn

from twincode.errors import TwincodeError
from twincode.quantize.grids import Layout


class Quantized(NamedTuple):
    """A quantised grid.

    ``latents`` (B, D, H, W) are z_q and pass gradients straight through to z; ``codes`` are int64
    indices in the quantiser's ``layout``, or None where the grid stays continuous; ``loss`` is the
    scalar the quantiser adds to the objective.
    """

    latents: Tensor
    codes: Tensor | None
    loss: Tensor


class Quantizer(nn.Module):
    """z (B, D, H, W) -> Quantized. ``forward`` changes nothing, in training mode either.

    A codebook that moves by other means than gradients moves in ``update``, which only the
    training loop calls. ``gaussian`` says that training draws latents from a posterior whose mean
    is what evaluation sees. ``loss_name`` is what the log calls the loss; it is empty where there
    is none to add. What draws noise sets ``capturable`` to False: its steps cannot be recorded.
    """

    gaussian: bool = False
    loss_name: str = "codebook"

    def layout(self, width: int) -> Layout:
        """Where the codes of latents ``width`` columns wide stand; no grids without codes."""
        del width
        return Layout()

    def forward(self, z: Tensor) -> Quantized:
        """Quantise a grid of latents."""
        raise NotImplementedError

    def encode(self, z: Tensor) -> Tensor | None:
        """The codes of latents alone."""
        return self(z).codes

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, H, W) that codes in the quantiser's layout stand for."""
        raise NotImplementedError

    def codebooks(self) -> tuple[Tensor, ...]:
        """Each learnt codebook as vectors (K_i, D_i); none where codes have no vectors to learn."""
        return ()

    def drawn_codes(self, z: Tensor, temperature: float, generator: Generator) -> Tensor:
        """Codes of z (B, D, H, W) drawn from softmax(-||z - e||^2 / temperature), not the nearest.

        Raises TwincodeError where codes are not chosen by one codebook each.
        """
        del z, temperature, generator
        raise TwincodeError(
            "code_noise is for models with one codebook a token; this one has another quantiser"
        )

    def use_codes(self, wanted: bool) -> None:
        """Whether latents that could have learnt codes get them, or are handed on as they are.

        Without, ``codes`` is None and the loss 0. What has no codebook to learn does not notice.
        """

    def initialise(self, z: Tensor, generator: Generator) -> None:
        """Place the codes with the help of latents z (B, D, H, W), once, before training."""

    def update(self, z: Tensor, codes: Tensor) -> None:
        """Move the codebook after an optimiser step on latents z that fell to ``codes``."""
