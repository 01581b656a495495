"""How often each code of a codebook is used."""

from __future__ import annotations

import altair as alt
import numpy as np

from twincode.report.blocks import Figure
from twincode.report.exhibits import Exhibit, exhibits_of, seeds_text
from twincode.report.figures import theme
from twincode.report.runs import Results


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


def _names(exhibit: Exhibit) -> list[str]:
    """What is added to the model's label for each codebook: nothing for a single one."""
    count = len(exhibit.codebook_sizes)
    grids = [f", {name}" for name in exhibit.arrays.get("grid_names", [])]
    if len(grids) == count > 1:
        return grids
    return [f", codebook {place + 1}" for place in range(count)] if count > 1 else [""]
