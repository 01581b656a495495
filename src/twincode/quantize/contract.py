"""What every quantiser offers."""

from typing import NamedTuple

from torch import Generator, Tensor, nn


class Quantized(NamedTuple):
    """A quantised grid.

    ``latents`` (B, D, H, W) are z_q and pass gradients straight through to z; ``codes``
    (B, H, W * codes_per_latent) are int64 indices, or None where the grid stays continuous;
    ``loss`` is the scalar the quantiser adds to the objective.
    """

    latents: Tensor
    codes: Tensor | None
    loss: Tensor


class Quantizer(nn.Module):
    """z (B, D, H, W) -> Quantized. ``forward`` changes nothing, in training mode either.

    A codebook that moves by other means than gradients moves in ``update``, which only the
    training loop calls. ``codebook_sizes`` holds the size of each codebook: one for most, none for
    a quantiser without codes. Where a latent has ``codes_per_latent`` codes, one from each
    codebook, they form that many grids (B, H, W), which stand side by side along W in one, and
    codes of a codebook are offset by the sizes of those before it (``side_by_side``). ``gaussian``
    says that training draws latents from a posterior whose mean is what evaluation sees.
    ``loss_name`` is what the log calls the loss; it is empty where there is none to add.
    """

    codebook_sizes: tuple[int, ...] = ()
    codes_per_latent: int = 1
    gaussian: bool = False
    loss_name: str = "codebook"

    @property
    def codebook_size(self) -> int:
        """K, the number of different codes over all codebooks; 0 for a continuous quantiser."""
        return sum(self.codebook_sizes)

    def forward(self, z: Tensor) -> Quantized:
        """Quantise a grid of latents."""
        raise NotImplementedError

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, H, W) that codes (B, H, W * codes_per_latent) stand for."""
        raise NotImplementedError

    def codebooks(self) -> tuple[Tensor, ...]:
        """Each learnt codebook as vectors (K_i, D_i); none where codes have no vectors to learn."""
        return ()

    def initialise(self, z: Tensor, generator: Generator) -> None:
        """Place the codes with the help of latents z (B, D, H, W), once, before training."""

    def update(self, z: Tensor, codes: Tensor) -> None:
        """Move the codebook after an optimiser step on latents z that fell to ``codes``."""
