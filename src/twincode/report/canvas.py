"""Sheets of small panels as SVG, drawn by hand: a shared look in two widths.

Scalable drawings are text, so equal results give equal bytes on every machine, and a panel costs
a fraction of a millisecond. Lengths are in pixels of a drawing that is shown at its own size.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil

from twincode.report.marks import INK, Frame, Mark, extent, shape
from twincode.report.scales import Scale, Tick, round_limits

AXIS = "#c3c7cf"
TICK_INK = "#5b616d"
GRID = "#e6e8ec"
FONT_SIZE = 11.5
SMALL = 10.5
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
LINE_HEIGHT = 15.0
_MARGIN = 0.05  # of the data's range, left free at both ends of an axis
_TICK_EVERY = 34.0
_TICK_EVERY_ACROSS = 52.0
_BOLD = 1.12  # how much wider bold letters are
_KEY_WIDTH = 22.0
_LEGEND_SHARE = 0.88  # of a row for one entry, for fonts that are wider than most
_KEY_GAP = 14.0
_NARROW_LETTERS = frozenset("iljtfrI.,:;'|!()[] ")
_WIDE_LETTERS = frozenset("mwMW@%−±×")


@dataclass(frozen=True)
class Layout:
    """A sheet's width and name."""

    name: str
    width: float

    def columns(self, wide: int, narrow: int) -> int:
        """How many panels stand beside each other: ``wide`` or ``narrow`` of them."""
        return wide if self is WIDE else narrow


WIDE = Layout("wide", 1000.0)
NARROW = Layout("narrow", 360.0)


@dataclass(frozen=True)
class Plot:
    """One panel: marks in the units of the data, words, and how its axes look.

    Ticks are chosen where none are given; an empty sequence means none. A ``bare`` panel has no
    axes and fills its space.
    """

    title: str
    marks: Sequence[Mark]
    x_label: str = ""
    y_label: str = ""
    x_ticks: Sequence[Tick] | None = None
    y_ticks: Sequence[Tick] | None = None
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    log_y: bool = False
    percent: bool = False
    grid_x: bool = False
    grid_y: bool = True
    bare: bool = False


@dataclass(frozen=True)
class Key:
    """A legend entry: a line, a marker, or both."""

    label: str
    colour: str
    marker: str = ""
    line: bool = False
    dashes: str = ""
    width: float = 1.8


@dataclass(frozen=True)
class Drawing:
    """One figure in both widths, as SVG."""

    wide: str
    narrow: str


def draw(build: Callable[[Layout], str]) -> Drawing:
    """Draw a figure in both widths."""
    return Drawing(build(WIDE), build(NARROW))


def embedded(svg: str) -> str:
    """The drawing as an address that carries it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode('ascii')}"


def sheet(
    plots: Sequence[Plot], columns: int, layout: Layout, height: float, legend: Sequence[Key] = ()
) -> str:
    """Panels of ``height`` pixels each, left to right and down, under one legend."""
    keys, head = _legend(legend, layout.width)
    columns = min(columns, len(plots))
    cell_width = layout.width / columns
    above = 8 + LINE_HEIGHT * max(plot.title.count("\n") + 1 for plot in plots)
    below = 34.0 if any(plot.x_label for plot in plots) else 22.0
    cell_height = above + height + (8.0 if all(plot.bare for plot in plots) else below)
    panels = [
        _panel(
            plot,
            index % columns * cell_width,
            head + index // columns * cell_height + above,
            cell_width,
            height,
        )
        for index, plot in enumerate(plots)
    ]
    total = head + ceil(len(plots) / columns) * cell_height
    return document(layout.width, total, [keys, *panels])


def document(width: float, height: float, parts: Iterable[str]) -> str:
    """A whole SVG file of the parts."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:.0f}" '
        f'width="{width:g}" height="{height:.0f}" font-family="{FONTS}" '
        f'font-size="{FONT_SIZE}" fill="{INK}">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{"".join(parts)}</svg>\n'
    )


def words(x: float, y: float, text: str, **style: object) -> str:
    """Text with its baseline at (x, y); ``style`` gives attributes, ``_`` standing for ``-``."""
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(text)}</text>\n'


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """About how wide ``text`` is: fonts differ, so leave some room."""
    return size * sum(_letter_width(letter) for letter in text)


def shortened(text: str, width: float, size: float = FONT_SIZE) -> str:
    """``text``, its end left out where it would be wider than ``width``."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def _letter_width(letter: str) -> float:
    if letter in _NARROW_LETTERS:
        return 0.33
    if letter in _WIDE_LETTERS:
        return 0.88
    return 0.66 if letter.isupper() else 0.57


def _legend(keys: Sequence[Key], width: float) -> tuple[str, float]:
    """The legend's drawing and its height: entries in rows, as many as fit."""
    x, y, parts = 0.0, 12.0, []
    for key in keys:
        label = shortened(key.label, _LEGEND_SHARE * (width - _KEY_WIDTH))
        taken = _KEY_WIDTH + text_width(label)
        if x and x + taken > width:
            x, y = 0.0, y + LINE_HEIGHT
        parts.append(_key(key, x, y - 4) + words(x + _KEY_WIDTH, y, label))
        x += taken + _KEY_GAP
    return "".join(parts), y + 6 if keys else 0.0


def _key(key: Key, x: float, y: float) -> str:
    found = ""
    if key.line:
        dashes = f' stroke-dasharray="{key.dashes}"' if key.dashes else ""
        found = (
            f'<path d="M{x:.1f} {y:.1f}h16" stroke="{key.colour}" '
            f'stroke-width="{key.width:g}"{dashes}/>\n'
        )
    return found + (shape(key.marker, x + 8, y, 4.2, key.colour) if key.marker else "")


def _panel(plot: Plot, left: float, top: float, width: float, height: float) -> str:
    title = "".join(
        words(
            left + (0 if plot.bare else 4),
            top - 7 - LINE_HEIGHT * (plot.title.count("\n") - place),
            shortened(line, width - 12, FONT_SIZE * (_BOLD if place == 0 else 1.0)),
            font_weight=600 if place == 0 else 400,
        )
        for place, line in enumerate(plot.title.split("\n"))
    )
    scales = _scale(plot, 0), _scale(plot, 1)
    if plot.bare:
        frame = Frame(left, top, width - 16, height, *scales)
        return title + "".join(mark.draw(frame) for mark in plot.marks)
    y_ticks = _ticks(plot.y_ticks, scales[1], height / _TICK_EVERY, plot.percent)
    room = max((text_width(tick.text, SMALL) for tick in y_ticks), default=0.0) + 10
    room += LINE_HEIGHT if plot.y_label else 0.0
    frame = Frame(left + room, top, width - room - 14, height, *scales)
    x_ticks = _ticks(plot.x_ticks, scales[0], frame.width / _TICK_EVERY_ACROSS, False)
    marks = "".join(mark.draw(frame) for mark in plot.marks)
    return title + _axes(plot, frame, x_ticks, y_ticks) + marks + _labels(plot, frame, left)


def _scale(plot: Plot, axis: int) -> Scale:
    given = (plot.x_limits, plot.y_limits)[axis]
    logarithmic = bool(axis) and plot.log_y
    if given:
        return Scale(*given, logarithmic)
    low, high = extent(plot.marks, axis, positive=logarithmic)
    margin = 0.0 if plot.bare else _MARGIN
    return round_limits(low, high, margin, logarithmic)


def _ticks(
    given: Sequence[Tick] | None, scale: Scale, most: float, percent: bool
) -> Sequence[Tick]:
    return scale.ticks(max(2, int(most)), percent) if given is None else given


def _axes(plot: Plot, frame: Frame, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick]) -> str:
    """Grid lines, the two axes and their tick labels."""
    right, bottom = frame.left + frame.width, frame.top + frame.height
    grid, labels = [], []
    for tick in x_ticks:
        x = frame.x(tick.at)
        if plot.grid_x:
            grid.append(f"M{x:.1f} {frame.top:.1f}V{bottom:.1f}")
        labels.append(words(x, bottom + 13, tick.text, text_anchor="middle"))
    for tick in y_ticks:
        y = frame.y(tick.at)
        if plot.grid_y:
            grid.append(f"M{frame.left:.1f} {y:.1f}H{right:.1f}")
        labels.append(words(frame.left - 5, y + 3.6, tick.text, text_anchor="end"))
    drawn = f'<path d="{"".join(grid)}" stroke="{GRID}" fill="none"/>\n' if grid else ""
    outline = f"M{frame.left:.1f} {frame.top:.1f}V{bottom:.1f}H{right:.1f}"
    return (
        f'{drawn}<path d="{outline}" stroke="{AXIS}" fill="none"/>\n'
        f'<g font-size="{SMALL}" fill="{TICK_INK}">{"".join(labels)}</g>\n'
    )


def _labels(plot: Plot, frame: Frame, left: float) -> str:
    found = ""
    if plot.x_label:
        middle = frame.left + frame.width / 2
        below = frame.top + frame.height + (27 if plot.x_ticks is None or plot.x_ticks else 14)
        text = shortened(plot.x_label, frame.width + 20, SMALL)
        found += words(middle, below, text, text_anchor="middle", font_size=SMALL)
    if plot.y_label:
        x, y = left + 10, frame.top + frame.height / 2
        turned = f"rotate(-90 {x:.1f} {y:.1f})"
        text = shortened(plot.y_label, frame.height + 30, SMALL)
        found += words(x, y, text, text_anchor="middle", font_size=SMALL, transform=turned)
    return found
