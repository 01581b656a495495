"""Residual vector quantisation: each codebook refines what those before it left over."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from twincode.errors import TwincodeError
from twincode.precision import in_full_precision
from twincode.quantize.quantizer import Quantized
from twincode.quantize.stages import SeveralCodebooks
from twincode.quantize.vector import CodebookSettings, VectorQuantizer


@dataclass(frozen=True)
class ResidualSettings(CodebookSettings):
    """Those of a codebook, and how many there are."""

    quantizer_depth: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "quantizer_depth")
        if self.distance != "euclidean":
            raise TwincodeError(
                "residual quantisation needs distance=euclidean: unit vectors do not add up to z"
            )


class ResidualQuantizer(SeveralCodebooks):
    """``quantizer_depth`` codebooks, one after another (Zeghidour et al., 2021, algorithm 1).

    The first quantises z, the next what the first left over, and so on; z_q is the sum of the
    codes. Each adds its own loss (eq. 4.13). All codebooks are used at any time: the paper's
    dropout of the later ones, which gives several bit rates from one model, is left out. Its
    k-means start and replacement of dead codes are ``codebook_init`` and ``revive_below``.
    """

    part_name = "stage"

    def __init__(self, settings: ResidualSettings, latent_channels: int) -> None:
        super().__init__(
            [VectorQuantizer(settings, latent_channels) for _ in range(settings.quantizer_depth)]
        )

    @in_full_precision
    def forward(self, z: Tensor) -> Quantized:
        """Sum of one code from each codebook."""
        residual, found = z, []
        for part in self._parts:
            found.append(part(residual))
            residual = residual - found[-1].latents.detach()
        z_q = torch.stack([each.latents.detach() for each in found]).sum(0)
        loss = torch.stack([each.loss for each in found]).sum()
        return Quantized(z_q + (z - z.detach()), self._join(found), loss)

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, H, W) of codes (B, H, W * depth)."""
        return torch.stack(self._look_up(codes)).sum(0)

    @torch.no_grad()
    @in_full_precision
    def initialise(self, z: Tensor, generator: Generator) -> None:
        """Start each codebook at what those before it leave over."""
        for part in self._parts:
            part.initialise(z, generator)
            z = z - part(z).latents

    @torch.no_grad()
    @in_full_precision
    def update(self, z: Tensor, codes: Tensor) -> None:
        """Move every codebook towards the residuals that it quantised."""
        grids = self._split(codes)
        residuals = [z]
        for part, grid in zip(self._parts, grids, strict=True):
            residuals.append(residuals[-1] - part.lookup(grid))
        for part, residual, grid in zip(self._parts, residuals, grids, strict=False):
            part.update(residual, grid)
