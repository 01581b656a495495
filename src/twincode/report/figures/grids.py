"""A grid of codes as coloured cells, and above it the series that it stands for."""

import colorsys
from typing import Any

import altair as alt
from numpy.typing import NDArray

from twincode.report.exhibits import curve
from twincode.report.figures import theme

_GOLDEN_ANGLE = 0.381966


def above(
    series: NDArray[Any], points: int, rows: int, left: float, width: float
) -> dict[str, Any]:
    """A series (C, L) as the points of a line, above a grid so many cells high and wide."""
    line = curve(series, most=points)
    lifted = line["value"] - line["value"].min()
    return {
        "left": left + line["step"] / max(1, series.shape[1] - 1) * width,
        "low": rows * (1.08 + 0.55 * lifted / (lifted.max() or 1.0)),
        "line": line["channel"],
    }


def code_colour(count: int) -> alt.Color:
    """A colour for each of ``count`` codes, those of neighbours far apart."""
    scale = alt.Scale(domain=list(range(count)), range=_colours(count))
    return alt.Color("code:O", legend=None, scale=scale)


def grid_layers(
    base: alt.Chart, colour: Any, stroke: str | None = None
) -> tuple[alt.Chart, alt.Chart]:
    """Cells of codes in ``colour``, and lines: rows of ``left``, ``low``, and code or line."""
    bare: dict[str, Any] = {"axis": None, "scale": alt.Scale(zero=False, nice=False)}
    mark: dict[str, Any] = {"stroke": stroke, "strokeWidth": 0.5} if stroke else {}
    cells = (
        base.transform_filter("isValid(datum.code)")
        .transform_calculate(right="datum.left + 1", high="datum.low + 1")
        .mark_rect(**mark)
        .encode(
            x=alt.X("left:Q", **bare), x2="right:Q", y=alt.Y("low:Q", **bare), y2="high:Q",
            color=colour, tooltip=["code:O"],
        )
    )  # fmt: skip
    lines = (
        base.transform_filter("!isValid(datum.code)")
        .mark_line(color=theme.INK, strokeWidth=1.2)
        .encode(x="left:Q", y="low:Q", detail="line:N", order="left:Q")
    )
    return cells, lines


def _colours(count: int) -> list[str]:
    """Hue by golden angle, lightness in three steps."""
    found = []
    for index in range(count):
        parts = colorsys.hls_to_rgb(index * _GOLDEN_ANGLE % 1, (0.42, 0.62, 0.80)[index % 3], 0.5)
        found.append("#" + "".join(f"{round(255 * part):02x}" for part in parts))
    return found
