"""Paired differences on every data set and in the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from twincode.report.blocks import Control, Figure
from twincode.report.figures import theme
from twincode.report.runs import Results

if TYPE_CHECKING:
    import pandas as pd


def paired_differences(results: Results, by_dataset: pd.DataFrame) -> Figure | None:
    """A dot a data set, a tick at the mean over them; ``by_dataset`` is compare.differences'."""
    if by_dataset.empty:
        return None
    titles = {(m.metric.name, m.readout): m for m in results.main_measures}
    measures = [titles[name] for name in zip(by_dataset.metric, by_dataset.readout, strict=True)]
    frame = by_dataset.assign(measure=[measure.key for measure in measures])
    frame = frame[["against", "measure", "model", "dataset", "mean", "low", "high", "pairs"]]
    labels = [model.label for model in results.models if model.label in set(frame.model)]
    every = (
        alt.Chart(theme.TABLE)
        .transform_filter("datum.measure == '{measure}' && datum.against == '{against}'")
        .encode(
            x=alt.X("mean:Q", title="{measure title}, less that of {against}"),
            y=alt.Y("model:N", sort=labels, title=None),
            color=theme.coloured(results.models, legend=False),
            tooltip=["model:N", "dataset:N", "mean:Q", "low:Q", "high:Q", "pairs:Q"],
        )
    )
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=theme.SOFT).encode(x="zero:Q")
    chart = theme.wide(
        30 * len(labels),
        zero,
        every.mark_point(filled=True, size=50, opacity=0.6),
        every.mark_tick(thickness=3, size=18).encode(
            x="mean(mean):Q", tooltip=["model:N", alt.Tooltip("mean(mean):Q", title="mean")]
        ),
    )
    against = dict.fromkeys(frame.against)
    return Figure(
        "differences", "Differences on every data set",
        "A dot is the mean difference over the seeds of one data set; a tick is the mean over "
        "data sets.",
        chart, frame,
        (Control("measure", "Measure", theme.options(dict.fromkeys(measures))),
         Control("against", "Against", {name: name for name in against})),
    )  # fmt: skip
