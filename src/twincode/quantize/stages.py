"""What quantisers with several codebooks for one latent share."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from twincode.quantize.grids import Layout, side_by_side
from twincode.quantize.quantizer import Quantized, Quantizer
from twincode.quantize.vector import VectorQuantizer


class SeveralCodebooks(Quantizer):
    """A latent gets one code of each codebook; each codebook has a grid of its own.

    ``part_name`` is what a codebook is called, before its number.
    """

    part_name: str

    def __init__(self, parts: Sequence[VectorQuantizer]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def layout(self, width: int) -> Layout:
        """A grid a codebook, all of one width."""
        layouts = [part.layout(width) for part in self._parts]
        named = (each.named(f"{self.part_name} {i}") for i, each in enumerate(layouts, start=1))
        return side_by_side(list(named))

    def codebooks(self) -> tuple[Tensor, ...]:
        """Every codebook."""
        return tuple(codebook for part in self._parts for codebook in part.codebooks())

    @property
    def _parts(self) -> list[VectorQuantizer]:
        return cast(list[VectorQuantizer], list(self.parts))

    def use_codes(self, wanted: bool) -> None:
        """Whether any of them quantises."""
        for part in self._parts:
            part.use_codes(wanted)

    def _join(self, found: Sequence[Quantized]) -> Tensor | None:
        codes = [each.codes for each in found if each.codes is not None]
        return self.layout(codes[0].shape[2]).join(codes) if codes else None

    def _split(self, codes: Tensor) -> tuple[Tensor, ...]:
        return self.layout(codes.shape[2] // len(self.parts)).split(codes)

    def _look_up(self, codes: Tensor) -> list[Tensor]:
        """What each codebook makes of its codes."""
        return [
            part.lookup(grid) for part, grid in zip(self._parts, self._split(codes), strict=True)
        ]
