"""Sheets of small panels in two widths, a shared look, and their bytes as SVG and PNG."""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

INK = "#2b2f38"
FAINT = "#8a909c"
PALE = "#c6cad2"
GRID = "#e6e8ec"
FONT_SIZE = 8.0
PNG_DPI = 170
LARGEST_SVG = 250_000
_PAGE_FONTS = "system-ui, sans-serif"
_FIGURE_FONT = "DejaVu Sans"  # comes with matplotlib, so a figure is the same on every machine
# a drawing is 720 points wide: two decimals are finer than any screen, and halve the file
_COORDINATES = re.compile(rb'\b(?:d|x|y|transform)="[^"]*"')
_LONG_DECIMALS = re.compile(rb"(\.\d\d)\d+")

STYLE: Any = {  # newer matplotlib types its keys, older does not
    "font.family": [_FIGURE_FONT],
    "font.size": FONT_SIZE,
    "text.color": INK,
    "axes.edgecolor": "#c3c7cf",
    "axes.labelcolor": INK,
    "axes.labelsize": FONT_SIZE,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": FONT_SIZE + 0.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.titley": 1.0,
    "axes.grid": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": "#c3c7cf",
    "ytick.color": "#c3c7cf",
    "xtick.labelcolor": "#5b616d",
    "ytick.labelcolor": "#5b616d",
    "xtick.labelsize": FONT_SIZE - 1,
    "ytick.labelsize": FONT_SIZE - 1,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.0,
    "legend.frameon": False,
    "legend.fontsize": FONT_SIZE,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "path.simplify_threshold": 0.3,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "none",
    "svg.hashsalt": "twincode",
}


@dataclass(frozen=True)
class Layout:
    """A sheet's width in inches and how many legend entries fit beside each other."""

    name: str
    width: float
    legend_columns: int

    def columns(self, wide: int, narrow: int) -> int:
        """How many panels stand beside each other: ``wide`` or ``narrow`` of them."""
        return wide if self is WIDE else narrow


WIDE = Layout("wide", 10.0, 7)
NARROW = Layout("narrow", 3.9, 2)


@dataclass(frozen=True)
class Spacing:
    """Inches around panels: ``left``, ``right`` and ``below`` of each, ``above`` for its title."""

    left: float = 0.42
    right: float = 0.12
    above: float = 0.30
    below: float = 0.32


LEGEND_ROW = 0.165


def sheet(
    count: int,
    columns: int,
    layout: Layout,
    height: float,
    legend: Sequence[Artist] = (),
    spacing: Spacing | None = None,
) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` panels, each ``height`` inches high, under one legend.

    Every distance is given in inches, so text keeps its size however many panels there are.
    """
    space = spacing or Spacing()
    columns = min(columns, count)
    rows = ceil(count / columns)
    head = LEGEND_ROW * ceil(len(legend) / layout.legend_columns) + (0.06 if legend else 0.0)
    cell_height = space.above + height + space.below
    total = head + rows * cell_height
    figure = Figure(figsize=(layout.width, total))
    cell_width = layout.width / columns
    axes = [
        figure.add_axes(
            (
                (index % columns * cell_width + space.left) / layout.width,
                1 - (head + index // columns * cell_height + space.above + height) / total,
                (cell_width - space.left - space.right) / layout.width,
                height / total,
            )
        )
        for index in range(count)
    ]
    if legend:
        _add_legend(figure, legend, layout)
    return figure, axes


def _add_legend(figure: Figure, legend: Sequence[Artist], layout: Layout) -> None:
    figure.legend(
        handles=list(legend),
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(layout.legend_columns, len(legend)),
        borderaxespad=0.0,
        borderpad=0.1,
        labelspacing=0.35,
    )


def line_key(label: str, colour: str, **style: Any) -> Line2D:
    """A legend entry drawn as a line, with a marker where ``style`` names one."""
    return Line2D([], [], color=colour, label=label, **style)


def dot_key(label: str, colour: str, marker: str) -> Line2D:
    """A legend entry drawn as a marker alone."""
    return Line2D([], [], color=colour, label=label, marker=marker, linestyle="none")


@dataclass(frozen=True)
class Picture:
    """One figure in both widths: the files to keep and the two images the page shows."""

    svg: bytes
    png: bytes
    wide: str
    narrow: str


def draw(build: Callable[[Layout], Figure]) -> Picture:
    """Draw a figure in both widths under the report's look; equal input gives equal bytes."""
    with rc_context(STYLE):
        wide, narrow = build(WIDE), build(NARROW)
        svg, png = _svg(wide), _png(wide)
        return Picture(
            svg=svg,
            png=png,
            wide=_embedded(svg, lambda: png),
            narrow=_embedded(_svg(narrow), lambda: _png(narrow)),
        )


def _embedded(svg: bytes, png: Callable[[], bytes]) -> str:
    """The drawing as a data address: sharp lines where they are small, else dots if smaller."""
    if len(svg) > LARGEST_SVG and len(dots := png()) < len(svg):
        return _address("image/png", dots)
    return _address("image/svg+xml", svg)


def _svg(figure: Figure) -> bytes:
    stream = BytesIO()
    figure.savefig(stream, format="svg", dpi=PNG_DPI, metadata={"Date": None, "Creator": None})
    return _COORDINATES.sub(_rounded, stream.getvalue()).replace(
        f"'{_FIGURE_FONT}'".encode(), _PAGE_FONTS.encode()
    )


def _rounded(attribute: re.Match[bytes]) -> bytes:
    return _LONG_DECIMALS.sub(rb"\1", attribute[0])


def _png(figure: Figure) -> bytes:
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return stream.getvalue()


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
