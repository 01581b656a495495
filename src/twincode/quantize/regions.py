"""A grid of latents cut into regions, each with a quantiser of its own."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from twincode.quantize.contract import Quantized, Quantizer
from twincode.quantize.side_by_side import SideBySide, split_codes


class Regions(SideBySide):
    """Levels or bands that stand side by side along W, each quantised by its own part.

    ``parts``, all of one kind, quantise the regions of ``widths`` W_1, W_2, ... of latents
    z (B, D, H, W_1 + W_2 + ...). The loss is the sum of theirs.
    """

    def __init__(self, parts: Sequence[Quantizer], widths: Sequence[int]) -> None:
        super().__init__(parts)
        self.widths = tuple(widths)
        self.codes_per_latent = parts[0].codes_per_latent
        self.gaussian = parts[0].gaussian
        self.loss_name = parts[0].loss_name

    @property
    def code_width(self) -> int:
        """The width of the grid of codes."""
        return sum(self.widths) * self.codes_per_latent

    def part(self, region: int) -> Quantizer:
        """The quantiser of one region."""
        return self._parts[region]

    def split(self, z: Tensor) -> tuple[Tensor, ...]:
        """The regions (B, D, H, W_i) of latents z (B, D, H, W)."""
        return z.split(self.widths, dim=-1)

    def cut(
        self, latents: Tensor, codes: Tensor | None, region: int
    ) -> tuple[Tensor, Tensor | None, Quantizer]:
        """One region of a grid of latents and codes, its codes counted from 0, and its part."""
        own = None if codes is None else self._split(codes)[region]
        return self.split(latents)[region], own, self.part(region)

    def join(self, quantized: Sequence[Quantized]) -> Quantized:
        """One grid of the regions, each quantised by its part."""
        return Quantized(
            torch.cat([each.latents for each in quantized], dim=-1),
            self._join(quantized) if self.codebook_sizes else None,
            torch.stack([each.loss for each in quantized]).sum(),
        )

    def forward(self, z: Tensor) -> Quantized:
        """Each region by its own part."""
        regions = zip(self._parts, self.split(z), strict=True)
        return self.join([part(region) for part, region in regions])

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, H, W) of codes (B, H, W * codes_per_latent)."""
        return torch.cat(self._look_up(codes), dim=-1)

    def initialise(self, z: Tensor, generator: Generator) -> None:
        """Place the codes of each part in its region."""
        for part, region in zip(self._parts, self.split(z), strict=True):
            part.initialise(region, generator)

    def update(self, z: Tensor, codes: Tensor) -> None:
        """Move the codebooks of each part on its region."""
        regions = zip(self._parts, self.split(z), self._split(codes), strict=True)
        for part, region, grid in regions:
            part.update(region, grid)

    def _split(self, codes: Tensor) -> list[Tensor]:
        widths = [width * self.codes_per_latent for width in self.widths]
        return split_codes(codes, self._sizes, widths)
