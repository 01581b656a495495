"""What a page is made of: sections of text, tables and figures, without any markup."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from twincode.report.models import Model


@dataclass(frozen=True)
class Text:
    """A paragraph; ``kind`` is ``note`` or ``command``."""

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

    @property
    def whole(self) -> str:
        """The text with its spread."""
        return f"{self.text} ± {self.spread}" if self.spread else self.text


@dataclass(frozen=True)
class Row:
    """A line of a table; a model gives it its colour.

    A control stands apart: a model that was not fitted, and what is ``apart``.
    """

    name: str
    cells: tuple[Cell, ...]
    model: Model | None = None
    apart: bool = False

    @property
    def control(self) -> bool:
        """Whether it is a control."""
        return self.apart or (self.model is not None and not self.model.fitted)


@dataclass(frozen=True)
class Table:
    """A table with its caption; ``columns`` are headings, the first that of the names."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True)
class Choice:
    """One of several tables, whichever a reader chooses by its title."""

    label: str
    options: Mapping[str, Table]


@dataclass(frozen=True)
class Control:
    """A reader's choice within a figure: ``options`` are words, each with its value.

    In the chart ``{name}`` stands for the chosen value and ``{name title}`` for its words.
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
        return json.dumps(self.chart).replace("{data}", json.dumps(self.name)[1:-1])

    def filled(self, choice: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The specification for the words chosen by control, the first ones where none are."""
        text = self.template
        for control in self.controls:
            words = (choice or {}).get(control.name) or next(iter(control.options))
            values = {f"{control.name} title": words, control.name: control.options[words]}
            for place, value in values.items():
                text = text.replace(f"{{{place}}}", json.dumps(value)[1:-1])
        return dict(json.loads(text))


Block: TypeAlias = Text | Table | Choice | Figure


@dataclass(frozen=True)
class Section:
    """A part of the page with an entry in its contents; ``anchor`` is its address."""

    title: str
    anchor: str
    blocks: tuple[Block, ...]
