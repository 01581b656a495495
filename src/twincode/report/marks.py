"""What a panel can hold: lines, bands, dots, bars, cells, each in the units of the data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twincode.report.scales import Scale

INK = "#2b2f38"
FAINT = "#8a909c"
PALE = "#c6cad2"
_NUMBER_SIZE = 8.5
_DIGIT_WIDTH = 5.2
_NUMBER_HEIGHT = 9.0
_BAND_OPACITY = 0.16
_CAP = 2.5

Values = Sequence[float]


@dataclass(frozen=True)
class Frame:
    """A rectangle on the sheet and the scales of the data in it."""

    left: float
    top: float
    width: float
    height: float
    x_scale: Scale
    y_scale: Scale

    def x(self, value: float) -> float:
        """The horizontal place of a value."""
        return self.left + self.width * self.x_scale.place(value)

    def y(self, value: float) -> float:
        """The vertical place of a value; larger values stand higher."""
        return self.top + self.height * (1 - self.y_scale.place(value))


class Mark(Protocol):
    """Something drawn in a frame."""

    def reach(self, axis: int) -> Iterable[float]:
        """The values along ``axis`` (0 across, 1 up) that the frame must hold."""

    def draw(self, frame: Frame) -> str:
        """The mark as SVG."""


def extent(marks: Iterable[Mark], axis: int, positive: bool = False) -> tuple[float, float]:
    """The smallest and the largest finite value along ``axis``; NaN where there is none.

    ``positive`` leaves out what a logarithmic axis cannot show.
    """
    least = 0.0 if positive else -math.inf
    reached = (value for mark in marks for value in mark.reach(axis))
    values = [value for value in reached if least < value < math.inf]
    return (min(values), max(values)) if values else (math.nan, math.nan)


@dataclass(frozen=True)
class Line:
    """Points joined in order; broken where one is not finite."""

    xs: Values
    ys: Values
    colour: str
    width: float = 1.8
    dashes: str = ""

    def reach(self, axis: int) -> Iterable[float]:
        """Every point."""
        return self.ys if axis else self.xs

    def draw(self, frame: Frame) -> str:
        """One path."""
        path = "".join(f"M{_path(piece)}" for piece in _pieces(frame, self.xs, self.ys))
        dashes = f' stroke-dasharray="{self.dashes}"' if self.dashes else ""
        return (
            f'<path d="{path}" fill="none" stroke="{self.colour}" stroke-width="{self.width:g}" '
            f'stroke-linejoin="round"{dashes}/>\n'
        )


@dataclass(frozen=True)
class Band:
    """The area between two lines, pale."""

    xs: Values
    lows: Values
    highs: Values
    colour: str

    def reach(self, axis: int) -> Iterable[float]:
        """Both edges."""
        return (*self.lows, *self.highs) if axis else self.xs

    def draw(self, frame: Frame) -> str:
        """One closed path a piece."""
        path = ""
        for lower, upper in zip(
            _pieces(frame, self.xs, self.lows), _pieces(frame, self.xs, self.highs), strict=True
        ):
            path += f"M{_path([*lower, *reversed(upper)])}Z"
        return f'<path d="{path}" fill="{self.colour}" fill-opacity="{_BAND_OPACITY}"/>\n'


@dataclass(frozen=True)
class Dot:
    """A marker with error bars either way; a spread of None has none."""

    x: float
    y: float
    colour: str
    marker: str
    x_spread: float | None = None
    y_spread: float | None = None
    size: float = 4.5

    def reach(self, axis: int) -> Iterable[float]:
        """Both ends of its error bar."""
        middle, spread = ((self.x, self.x_spread), (self.y, self.y_spread))[axis]
        return middle - (spread or 0.0), middle + (spread or 0.0)

    def draw(self, frame: Frame) -> str:
        """The bars, then the marker over them."""
        x, y = frame.x(self.x), frame.y(self.y)
        if not math.isfinite(x + y):
            return ""
        return self._bars(frame, x, y) + shape(self.marker, x, y, self.size, self.colour)

    def _bars(self, frame: Frame, x: float, y: float) -> str:
        path = ""
        if self.x_spread:
            ends = [frame.x(self.x - self.x_spread), frame.x(self.x + self.x_spread)]
            path += f"M{ends[0]:.1f} {y:.1f}H{ends[1]:.1f}"
            path += "".join(f"M{end:.1f} {y - _CAP:.1f}v{2 * _CAP:g}" for end in ends)
        if self.y_spread:
            ends = [frame.y(self.y - self.y_spread), frame.y(self.y + self.y_spread)]
            path += f"M{x:.1f} {ends[0]:.1f}V{ends[1]:.1f}"
            path += "".join(f"M{x - _CAP:.1f} {end:.1f}h{2 * _CAP:g}" for end in ends)
        return f'<path d="{path}" stroke="{self.colour}" stroke-width="1.2"/>\n' if path else ""


@dataclass(frozen=True)
class Level:
    """A horizontal line across the whole frame."""

    y: float
    colour: str
    dashes: str = ""
    width: float = 1.4
    opacity: float = 1.0

    def reach(self, axis: int) -> Iterable[float]:
        """Its height."""
        return (self.y,) if axis else ()

    def draw(self, frame: Frame) -> str:
        """One stroke."""
        dashes = f' stroke-dasharray="{self.dashes}"' if self.dashes else ""
        faint = f' stroke-opacity="{self.opacity:g}"' if self.opacity < 1 else ""
        return (
            f'<path d="M{frame.left:.1f} {frame.y(self.y):.1f}h{frame.width:.1f}" '
            f'stroke="{self.colour}" stroke-width="{self.width:g}"{dashes}{faint}/>\n'
        )


@dataclass(frozen=True)
class Cloud:
    """Many small dots (n, 2) of one colour, drawn as one path."""

    points: NDArray
    colour: str
    size: float
    opacity: float
    square: bool = False

    def reach(self, axis: int) -> Iterable[float]:
        """Every point."""
        return self.points[:, axis].tolist()

    def draw(self, frame: Frame) -> str:
        """Strokes of no length: their caps are the dots."""
        path = "".join(
            f"M{frame.x(x):.1f} {frame.y(y):.1f}h0"
            for x, y in self.points.tolist()
            if math.isfinite(x + y)
        )
        cap = "square" if self.square else "round"
        return (
            f'<path d="{path}" stroke="{self.colour}" stroke-width="{self.size:g}" '
            f'stroke-linecap="{cap}" stroke-opacity="{self.opacity:g}"/>\n'
        )


@dataclass(frozen=True)
class Bars:
    """Upright bars at 1, 2, 3 ..."""

    heights: Values
    colour: str

    def reach(self, axis: int) -> Iterable[float]:
        """From the first bar's left to the last one's right; from zero to the tallest."""
        return (0.0, *self.heights) if axis else (0.5, len(self.heights) + 0.5)

    def draw(self, frame: Frame) -> str:
        """One path of rectangles."""
        foot, half = frame.y(0.0), 0.4
        path = "".join(
            f"M{frame.x(place - half):.1f} {foot:.1f}V{frame.y(height):.1f}"
            f"H{frame.x(place + half):.1f}V{foot:.1f}Z"
            for place, height in enumerate(self.heights, start=1)
            if height
        )
        return f'<path d="{path}" fill="{self.colour}"/>\n'


@dataclass(frozen=True)
class Cells:
    """A grid of codes (H, W) as coloured cells from ``left`` on, numbered where there is room."""

    codes: NDArray
    colours: Sequence[str]
    left: float = 0.0

    def reach(self, axis: int) -> Iterable[float]:
        """The grid's corners."""
        start = 0.0 if axis else self.left
        return start, start + float(self.codes.shape[1 - axis])

    def draw(self, frame: Frame) -> str:
        """A rectangle a cell, its number on it."""
        return "".join(self._cells(frame))

    def _cells(self, frame: Frame) -> Iterator[str]:
        width = frame.x(1.0) - frame.x(0.0)
        height = frame.y(0.0) - frame.y(1.0)
        digits = len(str(self.codes.max(initial=0)))
        numbered = width > _DIGIT_WIDTH * digits and height > _NUMBER_HEIGHT
        for (row, column), code in np.ndenumerate(self.codes):
            x, y = frame.x(self.left + column), frame.y(float(row + 1))
            yield (
                f'<path d="M{x:.1f} {y:.1f}h{width:.2f}v{height:.2f}h{-width:.2f}Z" '
                f'fill="{self.colours[int(code)]}"/>\n'
            )
            if numbered:
                ink = "#fff" if is_dark(self.colours[int(code)]) else INK
                yield (
                    f'<text x="{x + width / 2:.1f}" y="{y + height / 2 + 3:.1f}" '
                    f'font-size="{_NUMBER_SIZE}" '
                    f'text-anchor="middle" fill="{ink}">{int(code)}</text>\n'
                )


def is_dark(colour: str) -> bool:
    """Whether white text reads better on ``colour`` than dark text."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return 0.3 * red + 0.59 * green + 0.11 * blue < 140


def shape(marker: str, x: float, y: float, size: float, colour: str) -> str:
    """A marker around (x, y) with a thin white edge; ``size`` is its radius."""
    if marker == "o":
        return (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" fill="{colour}" stroke="#fff" '
            'stroke-width=".7"/>\n'
        )
    corners = " ".join(f"{x + size * a:.1f},{y + size * b:.1f}" for a, b in _CORNERS[marker])
    return f'<polygon points="{corners}" fill="{colour}" stroke="#fff" stroke-width=".7"/>\n'


Corners = list[tuple[float, float]]


def _regular(count: int, inner: float = 1.0) -> Corners:
    """Corners of a polygon, tip upwards; ``inner`` below 1 makes every other one a notch."""
    turn = 2 * math.pi / count
    return [
        (radius * math.sin(index * turn), -radius * math.cos(index * turn))
        for index in range(count)
        for radius in [inner if index % 2 else 1.0]
    ]


def _turned(corners: Corners, angle: float) -> Corners:
    sine, cosine = math.sin(angle), math.cos(angle)
    return [(a * cosine - b * sine, a * sine + b * cosine) for a, b in corners]


_PLUS: Corners = [
    (-0.4, -1.05), (0.4, -1.05), (0.4, -0.4), (1.05, -0.4), (1.05, 0.4), (0.4, 0.4),
    (0.4, 1.05), (-0.4, 1.05), (-0.4, 0.4), (-1.05, 0.4), (-1.05, -0.4), (-0.4, -0.4),
]  # fmt: skip
_CORNERS: dict[str, Corners] = {
    "s": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
    "^": [(0.0, -1.1), (1.1, 0.9), (-1.1, 0.9)],
    "D": [(0.0, -1.2), (1.2, 0.0), (0.0, 1.2), (-1.2, 0.0)],
    "v": [(0.0, 1.1), (1.1, -0.9), (-1.1, -0.9)],
    "P": _PLUS,
    "X": _turned(_PLUS, math.pi / 4),
    "p": _regular(5),
    "h": _regular(6),
    "*": [(1.25 * a, 1.25 * b) for a, b in _regular(10, 0.45)],
}


def _pieces(frame: Frame, xs: Values, ys: Values) -> list[list[tuple[float, float]]]:
    """The finite stretches of a line, in places on the sheet."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(xs, ys, strict=True):
        at = (frame.x(x), frame.y(y)) if math.isfinite(x + y) else (math.nan, math.nan)
        if math.isfinite(at[0] + at[1]):
            pieces[-1].append(at)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
