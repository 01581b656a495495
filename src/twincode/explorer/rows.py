"""The rows of codes that are looked at one by one: a row of the grid of one codebook each."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from twincode.quantize import Layout
from twincode.spectral import STFT

Codes = NDArray[np.int64]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

# Columns around its own that a code's difference is shown for.
REACH = 2


@dataclass(frozen=True)
class Row:
    """Row ``height`` of grid number ``grid``: ``width`` columns of ``span`` steps along ``length``.

    A row of one column stands for the whole series, as the tokens of components do; it is not
    ``placed`` in time. ``offset`` is what ``encode`` adds to its codes, counted from 0 here.
    """

    name: str
    grid: int
    height: int
    width: int
    codebook_size: int
    offset: int
    length: int
    span: float

    @property
    def placed(self) -> bool:
        """Whether its codes have places in time."""
        return self.width > 1

    @property
    def edges(self) -> NDArray[np.int64]:
        """Where columns begin and the last one ends, (width + 1,) steps."""
        ends = np.round(np.arange(self.width + 1) * self.span).astype(np.int64)
        return np.minimum(ends, self.length)

    @property
    def before(self) -> int:
        """How many steps before its column the difference that a code makes is shown."""
        return round(min(REACH * self.span, self.length / 4)) if self.placed else 0

    @property
    def steps(self) -> int:
        """How many steps it is shown for: its column's, and as many after it as before."""
        return math.ceil(round(self.span, 6)) + 2 * self.before

    def of(self, codes: Codes, layout: Layout) -> Codes:
        """This row (n, width) of codes (n, H, W), counted from 0."""
        return layout.split(torch.from_numpy(codes))[self.grid][:, self.height].numpy()

    def replaced(self, codes: Codes, layout: Layout, columns: Codes, by: Codes) -> Codes:
        """Codes (m, H, W) in each of which the code in one of ``columns`` (m,) is ``by`` (m,)."""
        first = sum(layout.widths[: self.grid])
        changed = codes.copy()
        changed[np.arange(len(codes)), self.height, first + columns] = by + self.offset
        return changed


def rows_of(layout: Layout, height: int, length: int, transform: STFT | None) -> Iterator[Row]:
    """Every row of grids ``height`` rows high, grid by grid, of series of ``length`` steps."""
    offset = 0
    for place, grid in enumerate(layout.grids):
        for h in range(height):
            names = [grid.name] if grid.name else []
            if transform is not None:
                names.append(f"row {h}, {_frequency(h, transform.n_fft)}")
            yield Row(
                " · ".join(names) or "codes",
                place, h, grid.width, grid.codebook_size, offset, length, length / grid.columns,
            )  # fmt: skip
        offset += grid.codebook_size


def _frequency(row: int, n_fft: int) -> str:
    return f"{row}/{n_fft} cycles a step" if row else "level and trend"
