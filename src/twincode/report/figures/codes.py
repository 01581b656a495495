"""What the codes look like: series above their grids, and how often each code is used."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from twincode.report.blocks import Control, Figure
from twincode.report.exhibits import Exhibit, exhibits_of, seeds_text
from twincode.report.figures import theme
from twincode.report.figures.grids import above, code_colour, grid_layers
from twincode.report.runs import Results

_POINTS = 100  # of a curve
_GAP = 0.03  # of a grid's width, between grids side by side


def tokens(results: Results, dataset: str) -> Figure | None:
    """A panel a model: one series above its grid of codes, low frequencies at the bottom."""
    kept = exhibits_of(results, dataset, "token_series", "token_codes", "code_counts")
    if not kept:
        return None
    frame = theme.stacked(part for each in kept for part in _parts(each))
    count = len(kept[0].arrays["token_codes"])
    labels = kept[0].arrays.get("token_labels", np.full(count, -1)).tolist()
    named = [f", class {kept[0].class_of(label)}" if label >= 0 else "" for label in labels]
    return Figure(
        f"{dataset}-tokens", "Series as tokens",
        "A test series above its grid of codes: time runs to the right, frequency upwards. Equal "
        "colours are equal codes within one model. Levels, bands and codebooks stand side by side, "
        f"each under the whole series. {seeds_text(kept)}",
        _chart(tuple(each.model.label for each in kept), int(frame.code.max()) + 1), frame,
        (Control("series", "Series", {f"{k + 1}{name}": str(k) for k, name in enumerate(named)}),),
    )  # fmt: skip


def codebook_use(results: Results, dataset: str) -> Figure | None:
    """A panel a codebook: the share of tokens each code takes, most used first."""
    kept = exhibits_of(results, dataset, "code_counts")
    if not kept:
        return None
    parts = []
    for each in kept:
        ends = np.cumsum(each.codebook_sizes)[:-1]
        books = np.split(each.arrays["code_counts"], ends)
        for name, counts in zip(_names(each), books, strict=True):
            order = np.argsort(-counts, kind="stable")
            share = counts[order] / max(1, counts.sum())
            perplexity = float(np.exp(-(share * np.log(np.where(share > 0, share, 1))).sum()))
            title = f"{each.model.label}{name}: {perplexity:.1f} of {len(counts)}"
            place = np.arange(1, len(counts) + 1)
            parts.append({"panel": title, "place": place, "code": order, "share": share,
                          "even": 1 / len(counts)})  # fmt: skip
    bars = (
        alt.Chart()
        .mark_bar(color=theme.BLUE)
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
        theme.panels([part["panel"] for part in parts], 100, bars, even, x="independent"),
        theme.stacked(parts),
    )  # fmt: skip


@cache
def _chart(names: tuple[str, ...], count: int) -> dict[str, Any]:
    one = alt.Chart().transform_filter("datum.series == {series}")
    return theme.panels(
        names, 150, *grid_layers(one, code_colour(count)), x="independent", y="independent"
    )


def _parts(exhibit: Exhibit) -> Iterator[dict[str, Any]]:
    """For each series the cells of its grids, and the series above each of them."""
    pairs = zip(exhibit.arrays["token_codes"], exhibit.arrays["token_series"], strict=True)
    for place, (codes, series) in enumerate(pairs):
        left, own = 0.0, {"panel": exhibit.model.label, "series": place}
        for number, grid in enumerate(_grids(exhibit, codes)):
            rows, columns = np.indices(grid.shape)
            line = above(series, _POINTS, len(codes), left, grid.shape[1])
            line["line"] = line["line"] + number * len(series)
            yield {**own, "left": left + columns.ravel(), "low": rows.ravel(), "code": grid.ravel()}
            yield {**own, **line}
            left += grid.shape[1] + _GAP * codes.shape[1]


def _grids(exhibit: Exhibit, codes: NDArray[Any]) -> list[NDArray[Any]]:
    """The grids (H, W_i) that stand side by side in codes (H, W)."""
    widths = exhibit.arrays.get("grid_widths")
    if widths is not None and int(widths.sum()) == codes.shape[1]:
        return np.split(codes, np.cumsum(widths)[:-1], axis=1)
    # Runs that did not store widths: a new grid begins where codes come from the next codebook.
    owners = np.searchsorted(np.cumsum(exhibit.codebook_sizes), codes[0], side="right")
    return np.split(codes, np.flatnonzero(np.diff(owners)) + 1, axis=1)


def _names(exhibit: Exhibit) -> list[str]:
    """What is added to the model's label for each codebook: nothing for a single one."""
    count = len(exhibit.codebook_sizes)
    grids = [f", {name}" for name in exhibit.arrays.get("grid_names", [])]
    if len(grids) == count > 1:
        return grids
    return [f", codebook {place + 1}" for place in range(count)] if count > 1 else [""]
