"""What a page is made of: sections of text, tables and figures, without any markup."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from twincode.report.metrics import MISSING, number
from twincode.report.models import Model

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Text:
    """A paragraph; ``kind`` is ``note``, ``warning`` or ``command``."""

    text: str
    kind: str = "note"


@dataclass(frozen=True)
class Cell:
    """A place in a table; ``value`` is what a sort goes by, ``hint`` shows on hovering."""

    text: str
    value: object = ""
    spread: str = ""
    hint: str = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """A line of a table; a model gives it its colour, a control stands apart."""

    name: str
    cells: tuple[Cell, ...]
    model: Model | None = None


@dataclass(frozen=True)
class Table:
    """A table with its caption; ``columns`` are headings, the first that of the names."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True)
class Control:
    """A reader's choice within a figure: ``{name}`` in its chart stands for the chosen value.

    ``options`` are the words to choose from, each with its value. ``{name title}`` stands for the
    words.
    """

    name: str
    label: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Figure:
    """A chart as a Vega-Lite specification that reads the table ``data`` by the name ``{data}``.

    ``name`` is that of its file, and tells it from every other figure of the page.
    """

    name: str
    title: str
    caption: str
    chart: Mapping[str, Any]
    data: pd.DataFrame
    controls: tuple[Control, ...] = ()

    @property
    def template(self) -> str:
        """The specification as text, with the places of the choices in it."""
        return json.dumps(self.chart).replace("{data}", self.name)

    def filled(self, choice: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The specification for one choice, the first options where nothing is chosen."""
        text = self.template
        for control in self.controls:
            words = (choice or {}).get(control.name) or next(iter(control.options))
            for place, value in (
                (f"{control.name} title", words),
                (control.name, control.options[words]),
            ):
                text = text.replace(f"{{{place}}}", json.dumps(value)[1:-1])
        return dict(json.loads(text))


@dataclass(frozen=True)
class Choice:
    """One of several blocks, whichever a reader chooses by its title."""

    label: str
    options: Mapping[str, Table]


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    items: tuple[tuple[str, str], ...]


Block: TypeAlias = Text | Table | Figure | Choice | Facts


@dataclass(frozen=True)
class Section:
    """A part of the page with an entry in its contents; ``anchor`` is its address."""

    title: str
    anchor: str
    blocks: tuple[Block, ...] = field(default=())

    @property
    def figures(self) -> list[Figure]:
        """The section's figures in order."""
        return [block for block in self.blocks if isinstance(block, Figure)]


def number_cell(
    value: float, decimals: int, spread: float = math.nan, best: bool = False, hint: str = ""
) -> Cell:
    """A number as it is written, an empty place where there is none."""
    if not math.isfinite(value):
        return Cell(MISSING)
    return Cell(
        number(value, decimals),
        value,
        number(spread, decimals) if math.isfinite(spread) else "",
        hint,
        best,
    )


def best_of(values: Sequence[float], better: str) -> float:
    """The best finite value, NaN where there are fewer than two or no better direction."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2 or not better:
        return math.nan
    return max(finite) if better == "higher" else min(finite)
