"""A grid of latents cut into regions, each with a quantiser of its own."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import cast

import torch
from torch import Generator, Tensor, nn

from twincode.quantize.grids import Layout, side_by_side
from twincode.quantize.quantizer import Quantized, Quantizer


class Regions(Quantizer):
    """Levels or bands that stand side by side along W, each quantised by its own part.

    ``parts``, all of one kind, quantise the regions of ``widths`` (W_1, W_2, ... by name) of
    latents z (B, D, H, W_1 + W_2 + ...). The loss is the sum of theirs.
    """

    def __init__(self, parts: Sequence[Quantizer], widths: Mapping[str, int]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.widths = dict(widths)
        self._layouts = [
            part.layout(width) for part, width in zip(parts, widths.values(), strict=True)
        ]
        named = zip(widths, self._layouts, strict=True)
        self._layout = side_by_side([layout.named(name) for name, layout in named])
        self.gaussian = parts[0].gaussian
        self.loss_name = parts[0].loss_name

    @property
    def width(self) -> int:
        """The width of the grid of latents."""
        return sum(self.widths.values())

    def layout(self, width: int) -> Layout:
        """The grids of every region, one region after another."""
        del width
        return self._layout

    def codebooks(self) -> tuple[Tensor, ...]:
        """The codebooks of all regions."""
        return tuple(codebook for part in self._parts for codebook in part.codebooks())

    def part(self, region: int) -> Quantizer:
        """The quantiser of one region."""
        return self._parts[region]

    def split(self, z: Tensor) -> tuple[Tensor, ...]:
        """The regions (B, D, H, W_i) of latents z (B, D, H, W)."""
        return z.split(list(self.widths.values()), dim=-1)

    def split_codes(self, codes: Tensor) -> list[Tensor]:
        """The codes of every region, each in the layout of its part."""
        grids = iter(self._layout.split(codes))
        return [layout.join(islice(grids, len(layout.grids))) for layout in self._layouts]

    def cut(
        self, latents: Tensor, codes: Tensor | None, region: int
    ) -> tuple[Tensor, Tensor | None, Quantizer]:
        """One region of a grid of latents and codes, its codes counted from 0, and its part."""
        own = None if codes is None else self.split_codes(codes)[region]
        return self.split(latents)[region], own, self.part(region)

    def join(self, quantized: Sequence[Quantized]) -> Quantized:
        """One grid of the regions, each quantised by its part."""
        grids = list(self._grids(quantized))
        return Quantized(
            torch.cat([each.latents for each in quantized], dim=-1),
            self._layout.join(grids) if grids else None,
            torch.stack([each.loss for each in quantized]).sum(),
        )

    def forward(self, z: Tensor) -> Quantized:
        """Each region by its own part."""
        regions = zip(self._parts, self.split(z), strict=True)
        return self.join([part(region) for part, region in regions])

    def drawn_codes(self, z: Tensor, temperature: float, generator: Generator) -> Tensor:
        """Codes in ``layout``, drawn by the part of each region."""
        regions = zip(self._layouts, self._parts, self.split(z), strict=True)
        grids = [
            grid
            for layout, part, region in regions
            for grid in layout.split(part.drawn_codes(region, temperature, generator))
        ]
        return self._layout.join(grids)

    def use_codes(self, wanted: bool) -> None:
        """Whether the parts quantise."""
        for part in self._parts:
            part.use_codes(wanted)

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, H, W) of codes in ``layout``."""
        regions = zip(self._parts, self.split_codes(codes), strict=True)
        return torch.cat([part.lookup(grid) for part, grid in regions], dim=-1)

    def initialise(self, z: Tensor, generator: Generator) -> None:
        """Place the codes of each part in its region."""
        for part, region in zip(self._parts, self.split(z), strict=True):
            part.initialise(region, generator)

    def update(self, z: Tensor, codes: Tensor) -> None:
        """Move the codebooks of each part on its region."""
        regions = zip(self._parts, self.split(z), self.split_codes(codes), strict=True)
        for part, region, grid in regions:
            part.update(region, grid)

    @property
    def _parts(self) -> list[Quantizer]:
        return cast(list[Quantizer], list(self.parts))

    def _grids(self, quantized: Sequence[Quantized]) -> Iterator[Tensor]:
        for layout, each in zip(self._layouts, quantized, strict=True):
            if each.codes is not None:
                yield from layout.split(each.codes)
