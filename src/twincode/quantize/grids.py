"""Where the codes of several codebooks stand: one grid a codebook, side by side in one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from twincode.errors import TwincodeError


@dataclass(frozen=True)
class Grid:
    """The grid (H, ``width``) of one codebook, with codes 0 .. ``codebook_size`` - 1.

    The only grid of a model has no name. Columns are of equal length in time, and the series fills
    ``filled`` of them, or all where that is 0: the last may be cut off. An encoder may read columns
    of another length than its decoder writes: the series then has ``read`` of them, of which the
    last column of the grid has what the others leave.
    """

    name: str
    width: int
    codebook_size: int
    filled: float = 0.0
    read: float = 0.0

    @property
    def columns(self) -> float:
        """How many columns are as long as the series."""
        return self.filled or self.width

    @property
    def read_columns(self) -> float:
        """How many columns, as the encoder reads them, are as long as the series."""
        return self.read or self.columns

    def written(self, w: int) -> tuple[float, float]:
        """Where column w begins and ends in what is decoded, as parts of the series."""
        return w / self.columns, (w + 1) / self.columns

    def looked_at(self, w: int) -> tuple[float, float]:
        """The same of what is encoded."""
        if not self.read:
            return self.written(w)
        return w / self.read, 1.0 if w + 1 == self.width else (w + 1) / self.read


@dataclass(frozen=True)
class Layout:
    """The grids (B, H, W_i) of all codebooks, and how they stand in one grid (B, H, W).

    They stand side by side along W in the order given, and codes of a grid are offset by the sizes
    of the codebooks before it, so that no two grids share a code. Without codes there are no grids.
    """

    grids: tuple[Grid, ...] = ()

    @property
    def width(self) -> int:
        """W, the width of the one grid."""
        return sum(self.widths)

    @property
    def widths(self) -> tuple[int, ...]:
        """The W_i."""
        return tuple(grid.width for grid in self.grids)

    @property
    def codebook_size(self) -> int:
        """K, the number of different codes over all codebooks; 0 without codes."""
        return sum(self.codebook_sizes)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """The K_i."""
        return tuple(grid.codebook_size for grid in self.grids)

    def named(self, prefix: str) -> "Layout":
        """The same grids with a word before their names."""
        named = (replace(grid, name=f"{prefix} {grid.name}".strip()) for grid in self.grids)
        return Layout(tuple(named))

    def join(self, parts: Iterable[Tensor]) -> Tensor:
        """One grid (B, H, W) of the grids (B, H, W_i), each with codes counted from 0."""
        moved = [part + offset for part, offset in zip(parts, self._offsets, strict=True)]
        return torch.cat(moved, dim=2)

    def split(self, codes: Tensor) -> tuple[Tensor, ...]:
        """The inverse of ``join``."""
        parts = codes.split(list(self.widths), dim=2)
        return tuple(part - offset for part, offset in zip(parts, self._offsets, strict=True))

    def check(self, codes: Tensor) -> None:
        """Raise TwincodeError where a grid is not as wide, or holds a code of another codebook."""
        if codes.shape[2] != self.width:
            raise TwincodeError(f"codes must be {self.width} wide, not {codes.shape[2]}")
        if not codes.numel():
            return
        first, beyond = self.offsets.to(codes.device), self._ends.to(codes.device)
        strange = (codes.amin((0, 1)) < first) | (codes.amax((0, 1)) >= beyond)
        if bool(strange.any()):
            columns = [grid for grid in self.grids for _ in range(grid.width)]
            grid = columns[int(strange.nonzero()[0])]
            raise TwincodeError(
                f"the grid {grid.name!r} of the codes holds a code that is none of its own; codes "
                "are counted through all grids that stand side by side"
                if grid.name
                else f"codes must lie between 0 and {grid.codebook_size - 1}"
            )

    @cached_property
    def offsets(self) -> Tensor:
        """What is added to the codes of each column, (W,): there may be a hundred grids."""
        return self._each_column(self._offsets)

    @cached_property
    def _ends(self) -> Tensor:
        """The first code beyond those of each column, (W,)."""
        return self._each_column(accumulate(self.codebook_sizes))

    @property
    def _offsets(self) -> list[int]:
        return list(accumulate(self.codebook_sizes[:-1], initial=0)) if self.grids else []

    def _each_column(self, values: Iterable[int]) -> Tensor:
        """One value a grid as one a column, (W,)."""
        each = zip(values, self.widths, strict=True)
        column = [value for value, width in each for _ in range(width)]
        return torch.tensor(column, dtype=torch.long)


def side_by_side(layouts: Sequence[Layout]) -> Layout:
    """The grids of several layouts, one after another."""
    return Layout(tuple(grid for layout in layouts for grid in layout.grids))
