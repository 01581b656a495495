"""Average ranks over data sets with Nemenyi's critical difference."""

import math

import altair as alt

from twincode.report.blocks import Control, Figure
from twincode.report.compare import ranking
from twincode.report.figures import theme
from twincode.report.runs import Results


def average_ranks(results: Results) -> Figure | None:
    """Models by rank, each with a bar of one critical difference around it."""
    found = {measure: ranking(results, measure) for measure in results.main_measures}
    kept = {m: each for m, each in found.items() if each and math.isfinite(each.critical)}
    if not kept:
        return None
    parts = [
        {"measure": m.key, "model": label, "rank": rank,
         "low": rank - each.critical / 2, "high": rank + each.critical / 2}
        for m, each in kept.items()
        for label, rank in each.ranks.items()
    ]  # fmt: skip
    frame, title = theme.stacked(parts), "average rank, 1 the best ({measure title})"
    every = (
        alt.Chart(theme.TABLE)
        .transform_filter(theme.chosen("measure"))
        .encode(
            y=alt.Y("model:N", sort=alt.EncodingSortField("rank", op="mean"), title=None),
            color=theme.models(alt.Color, results.models, legend=False),
            tooltip=["model:N", "rank:Q"],
        )
    )
    bars = every.mark_rule(strokeWidth=6, opacity=0.25)
    chart = theme.wide(
        26 * frame.model.nunique(),
        bars.encode(x=alt.X("low:Q", title=title, scale=theme.FREE), x2="high:Q"),
        every.mark_point(size=80, filled=True, opacity=1).encode(x=alt.X("rank:Q", title=title)),
    )
    return Figure(
        "ranks", "Average ranks",
        "Bars are one critical difference wide (Nemenyi, 5 %): models whose bars overlap cannot be "
        "told apart.",
        chart, frame, (Control("measure", "Measure", theme.options(kept)),),
    )  # fmt: skip
