"""What every quantiser offers."""

from typing import NamedTuple

from torch import Generator, Tensor, nn


class Quantized(NamedTuple):
    """A quantised grid.

    ``latents`` (B, D, H, W) are z_q and pass gradients straight through to z; ``codes`` (B, H, W)
    are int64 indices, or None where the grid stays continuous; ``loss`` is the scalar the
    quantiser adds to the objective.
    """

    latents: Tensor
    codes: Tensor | None
    loss: Tensor


class Quantizer(nn.Module):
    """z (B, D, H, W) -> Quantized. ``forward`` changes nothing, in training mode either.

    A codebook that moves by other means than gradients moves in ``update``, which only the
    training loop calls. ``codebook_size`` is 0 for a quantiser without codes.
    """

    codebook_size: int = 0

    def forward(self, z: Tensor) -> Quantized:
        """Quantise a grid of latents."""
        raise NotImplementedError

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, H, W) that codes (B, H, W) stand for."""
        raise NotImplementedError

    def vectors(self) -> Tensor | None:
        """The codebook as vectors (K, D), or None where there is none."""
        return None

    def initialise(self, z: Tensor, generator: Generator) -> None:
        """Place the codes with the help of latents z (B, D, H, W), once, before training."""

    def update(self, z: Tensor, codes: Tensor) -> None:
        """Move the codebook after an optimiser step on latents z that fell to ``codes``."""
