"""What the codes look like: grids of tokens under their series, and how often each code is used."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from twincode.report.blocks import Control, Figure
from twincode.report.figures import theme
from twincode.report.figures.exhibits import Exhibit, curve, exhibits_of, seeds_text
from twincode.report.runs import Results

if TYPE_CHECKING:
    import pandas as pd

_GAP = 0.03  # of a grid's width, between grids side by side
_GOLDEN_ANGLE = 0.381966
_STEPS_SHOWN = 100


def tokens(results: Results, dataset: str) -> Figure | None:
    """A panel a model: one series above its grid of codes, low frequencies at the bottom."""
    import pandas as pd

    kept = exhibits_of(results, dataset, "token_series", "token_codes", "code_counts")
    if not kept:
        return None
    frame = pd.concat(part for exhibit in kept for part in _token_rows(exhibit))
    count = int(frame.code.max()) + 1
    titles = {
        f"{place + 1}, class {kept[0].class_of(int(label))}" if label >= 0 else f"{place + 1}": str(place)
        for place, label in enumerate(_labels(kept[0]))
    }
    one = alt.Chart().transform_filter("datum.series == {series}")
    bare = {"axis": None, "scale": alt.Scale(zero=False, nice=False)}
    cells = (
        one.transform_filter("isValid(datum.code)")
        .transform_calculate(right="datum.left + 1", high="datum.low + 1")
        .mark_rect()
        .encode(
            x=alt.X("left:Q", **bare), x2="right:Q", y=alt.Y("low:Q", **bare), y2="high:Q",
            color=alt.Color("code:O", legend=None, scale=alt.Scale(
                domain=list(range(count)), range=code_colours(count))),
            tooltip=["code:O"],
        )
    )  # fmt: skip
    line = (
        one.transform_filter("!isValid(datum.code)")
        .mark_line(color=theme.INK, strokeWidth=1.2)
        .encode(x="left:Q", y="low:Q", detail="line:N", order="left:Q")
    )
    data = f"tokens {dataset}"
    return Figure(
        f"{dataset}-tokens", "Series as tokens",
        "A test series above its grid of codes: time runs to the right, frequency upwards. Equal "
        "colours are equal codes within one model. Levels, bands and codebooks stand side by side, "
        f"each under the whole series. {seeds_text(kept)}",
        theme.panels("panel", 150, data, cells, line, x="independent", y="independent"),
        {data: frame}, (Control("series", "Series", titles),),
    )  # fmt: skip


def codebook_use(results: Results, dataset: str) -> Figure | None:
    """A panel a codebook: the share of tokens each code takes, most used first."""
    import pandas as pd

    kept = exhibits_of(results, dataset, "code_counts")
    if not kept:
        return None
    parts = []
    for exhibit in kept:
        ends = np.cumsum(exhibit.codebook_sizes)[:-1]
        for name, counts in zip(
            exhibit.codebook_names, np.split(exhibit.arrays["code_counts"], ends), strict=True
        ):
            order = np.argsort(-counts, kind="stable")
            share = counts[order] / max(1, counts.sum())
            used = share[share > 0]
            perplexity = float(np.exp(-(used * np.log(used)).sum()))
            title = ", ".join(filter(None, [exhibit.model.label, name]))
            parts.append(
                pd.DataFrame(
                    {
                        "panel": f"{title}: {perplexity:.1f} of {len(counts)}",
                        "place": np.arange(1, len(counts) + 1),
                        "code": order,
                        "share": share,
                        "even": 1 / len(counts),
                    }
                )
            )
    data = f"codebook {dataset}"
    bars = (
        alt.Chart()
        .mark_bar(color="#0072b2")
        .encode(
            x=alt.X("place:O", title=None, axis=None),
            y=alt.Y("share:Q", title=None, axis=alt.Axis(format="%")),
            tooltip=["code:O", alt.Tooltip("share:Q", format=".2%")],
        )
    )
    even = alt.Chart().mark_rule(color=theme.SOFT, strokeDash=[4, 3]).encode(y="max(even):Q")
    return Figure(
        f"{dataset}-codebook", "Codebook use",
        "The share of tokens that each code takes, most used first; the dashed level is even use. "
        "Above each panel its perplexity: how many codes would do the same work evenly. "
        f"{seeds_text(kept)}",
        theme.panels("panel", 100, data, bars, even, x="independent"),
        {data: pd.concat(parts)},
    )  # fmt: skip


def code_colours(count: int) -> list[str]:
    """``count`` colours, neighbours far apart: hue by golden angle, lightness in three steps."""
    found = []
    for index in range(count):
        parts = colorsys.hls_to_rgb(index * _GOLDEN_ANGLE % 1, (0.42, 0.62, 0.80)[index % 3], 0.5)
        found.append("#" + "".join(f"{round(255 * part):02x}" for part in parts))
    return found


def _labels(exhibit: Exhibit) -> NDArray[Any]:
    count = len(exhibit.arrays["token_codes"])
    return exhibit.arrays.get("token_labels", np.full(count, -1))


def _token_rows(exhibit: Exhibit) -> list[pd.DataFrame]:
    """For each series the cells of its grids, and the series above each of them."""
    import pandas as pd

    found = []
    for place, (codes, series) in enumerate(
        zip(exhibit.arrays["token_codes"], exhibit.arrays["token_series"], strict=True)
    ):
        height, left = len(codes), 0.0
        own = {"panel": exhibit.model.label, "series": place}
        for number, grid in enumerate(_grids(exhibit, codes)):
            rows, columns = np.indices(grid.shape)
            cells = {
                "left": left + columns.ravel(),
                "low": rows.ravel().astype(float),
                "code": grid.ravel(),
            }
            line = curve(series, _STEPS_SHOWN)
            span = float(np.ptp(line.value)) or 1.0
            line = pd.DataFrame(
                {
                    "left": left + line.step / (series.shape[1] - 1 or 1) * grid.shape[1],
                    "low": height * (1.08 + 0.55 * (line.value - line.value.min()) / span),
                    "line": number * len(series) + line.channel,
                }
            )
            found += [pd.DataFrame({**cells, **own}), line.assign(**own)]
            left += grid.shape[1] + _GAP * codes.shape[1]
    return found


def _grids(exhibit: Exhibit, codes: NDArray[Any]) -> list[NDArray[Any]]:
    """The grids (H, W_i) that stand side by side in codes (H, W)."""
    widths = exhibit.arrays.get("grid_widths")
    if widths is not None and int(widths.sum()) == codes.shape[1]:
        return np.split(codes, np.cumsum(widths)[:-1], axis=1)
    # Runs that did not store widths: a new grid begins where codes come from the next codebook.
    owners = np.searchsorted(np.cumsum(exhibit.codebook_sizes), codes[0], side="right")
    return np.split(codes, np.flatnonzero(np.diff(owners)) + 1, axis=1)
