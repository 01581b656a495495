"""Average ranks over data sets with Nemenyi's critical difference."""

from __future__ import annotations

import altair as alt

from twincode.report import compare
from twincode.report.blocks import Control, Figure
from twincode.report.figures import theme
from twincode.report.runs import Results


def average_ranks(results: Results) -> Figure | None:
    """Models by rank, each with a bar of one critical difference around it."""
    import pandas as pd

    parts, measures = [], []
    for measure in results.main_measures:
        found = compare.ranks(results, measure)
        if found is not None and found.critical.notna().all():
            half = found.critical / 2
            parts.append(
                found.assign(
                    measure=measure.key, low=found["rank"] - half, high=found["rank"] + half
                )
            )
            measures.append(measure)
    if not parts:
        return None
    frame = pd.concat(parts)[["measure", "model", "rank", "low", "high", "mean"]]
    ordered = alt.Y("model:N", sort=alt.EncodingSortField("rank", op="mean"), title=None)
    every = (
        alt.Chart(theme.TABLE)
        .transform_filter("datum.measure == '{measure}'")
        .encode(y=ordered, color=theme.coloured(results.models, legend=False),
                tooltip=["model:N", "rank:Q", alt.Tooltip("mean:Q", title="mean over data sets")])
    )  # fmt: skip
    rank = alt.X("rank:Q", title="average rank, 1 the best ({measure title})",
                 scale=alt.Scale(zero=False, nice=False, padding=12))  # fmt: skip
    chart = theme.wide(
        26 * frame.model.nunique(),
        every.mark_rule(strokeWidth=6, opacity=0.25).encode(
            x=alt.X("low:Q", title="average rank, 1 the best ({measure title})"), x2="high:Q"
        ),
        every.mark_point(size=80, filled=True, opacity=1).encode(x=rank),
    )
    return Figure(
        "ranks", "Average ranks",
        "Bars are one critical difference wide (Nemenyi, 5 %): models whose bars overlap cannot be "
        "told apart.",
        chart, frame, (Control("measure", "Measure", theme.options(measures)),),
    )  # fmt: skip
