"""What a prior sees of a tokenizer: the grids of its codes, in the order they are modelled."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from twincode.errors import TwincodeError
from twincode.quantize import Grid, Layout, side_by_side

ROUNDING = 1e-3  # of the unit in which columns are compared


class Places(NamedTuple):
    """Where each of the N tokens stands, (N,) each.

    ``book`` is the number of its codebook, ``size`` how many codes that has and ``offset`` how many
    those before it have; ``row`` is the row of the grid. ``start`` and ``end`` are the ends of its
    column in time, as parts of the series, which may end before the last column does;
    ``read_start`` and ``read_end`` those of what the encoder makes it of.
    """

    book: Tensor
    size: Tensor
    offset: Tensor
    row: Tensor
    start: Tensor
    end: Tensor
    read_start: Tensor
    read_end: Tensor

    def overlap(
        self,
        first: Tensor | int,
        after: Tensor | int,
        scale: float,
        reach: int = 0,
        read: bool = False,
    ) -> Tensor:
        """Whether columns, widened by ``reach`` columns, overlap what is from first up to after.

        Both count parts of a series that has ``scale``. What only meets does not overlap, up to
        rounding. Columns are those of what is decoded, or of what is ``read``.
        """
        start, end = (self.read_start, self.read_end) if read else (self.start, self.end)
        more = reach * (end - start)
        ends, starts = (end + more) * scale, (start - more) * scale
        return (ends > first + ROUNDING) & (starts < after - ROUNDING)


@dataclass(frozen=True)
class Grids:
    """The grids s_1 .. s_G of codes, in the order in which p(s) = product of p(s_i | s_1 .. s_i-1).

    Each codebook has a grid (H, W_i) of its own, in the order of the tokenizer's ``layout``: bands
    from the lowest, the top level before the bottom one, stages from the first. Where the layout
    has one row only, as that of a closed form, all of it is one grid, whose columns have codebooks
    of their own.

    Codes (B, H, W) of the tokenizer, parts (B, H, W_i) with codes counted from 0, and tokens (B, N)
    are three forms of the same.
    """

    height: int
    layout: Layout

    @classmethod
    def of(cls, layout: Layout, height: int) -> "Grids":
        """Those of a tokenizer's layout; TwincodeError for one without codes."""
        if not layout.grids:
            raise TwincodeError("a continuous model has no codes, so there is no prior over them")
        return cls(height, layout)

    @property
    def parts(self) -> tuple[Layout, ...]:
        """The layout of each s_i."""
        if self.height == 1:
            return (self.layout,)
        return tuple(Layout((grid,)) for grid in self.layout.grids)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of tokens N_i of each."""
        return tuple(self.height * part.width for part in self.parts)

    @property
    def tokens_a_series(self) -> int:
        """N."""
        return sum(self.sizes)

    @property
    def largest_codebook(self) -> int:
        """The largest K."""
        return max(self.layout.codebook_sizes)

    def split(self, codes: Tensor) -> tuple[Tensor, ...]:
        """The s_i (B, H, W_i), each codebook's codes counted from 0, of codes (B, H, W)."""
        plain = torch.cat(self.layout.split(codes), dim=2)
        return plain.split([part.width for part in self.parts], dim=2)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """The inverse of ``split``."""
        return self.layout.join(torch.cat(tuple(parts), dim=2).split(list(self.layout.widths), 2))

    def flatten(self, codes: Tensor) -> Tensor:
        """Tokens (B, N) of codes (B, H, W): grid by grid, each row by row."""
        return torch.cat([part.flatten(1) for part in self.split(codes)], dim=1)

    def unflatten(self, tokens: Tensor) -> Tensor:
        """The inverse of ``flatten``."""
        parts = tokens.split(list(self.sizes), dim=1)
        return self.join([part.unflatten(1, (self.height, -1)) for part in parts])

    def places(self) -> Places:
        """Where the tokens stand."""
        columns = [
            (book, grid.codebook_size, *grid.written(w), *grid.looked_at(w))
            for book, grid in enumerate(self.layout.grids)
            for w in range(grid.width)
        ]
        found, first = [], 0
        for part in self.parts:
            own = columns[first : first + part.width]
            first += part.width
            found += [(column, row) for row in range(self.height) for column in own]
        book, size, *ends = (torch.tensor([column[i] for column, _ in found]) for i in range(6))
        sizes = torch.tensor((0, *self.layout.codebook_sizes))
        row = torch.tensor([row for _, row in found])
        return Places(book, size, sizes.cumsum(0)[book], row, *ends)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, ready for JSON."""
        return {"height": self.height, "grids": [asdict(grid) for grid in self.layout.grids]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Grids":
        """The inverse of ``to_dict``."""
        return cls.of(
            side_by_side([Layout((Grid(**grid),)) for grid in values["grids"]]),
            int(values["height"]),
        )
