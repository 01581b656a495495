"""Each measure along a setting the study varied: gamma, the size of the codebook, any number."""

from __future__ import annotations

from functools import cache
from typing import Any

import altair as alt

from twincode.report.blocks import Control, Figure
from twincode.report.figures import theme
from twincode.report.models import Model, is_number, symbol
from twincode.report.runs import Results


def along_axes(results: Results, dataset: str) -> Figure | None:
    """Lines through the models that differ in one number alone; other models as levels."""
    import pandas as pd

    axes = dict.fromkeys(axis for m in results.models for axis, v in m.axes.items() if is_number(v))
    measures = {(m.metric.name, m.readout): m for m in results.measures if m.metric.better}
    final = results.final[results.final.dataset == dataset]
    rows = []
    for axis in axes:
        kinds = {m.label: m.without(axis) for m in results.models if is_number(m.axes.get(axis))}
        places = {m.label: m.axes[axis] for m in results.models if m.label in kinds}
        for row in final.itertuples():
            measure = measures.get((row.metric, row.readout))
            if measure and row.model in set(final.model):
                rows.append(
                    (axis, measure.key, row.model, kinds.get(row.model, ""), places.get(row.model),
                     row.mean, row.mean - row.std, row.mean + row.std)
                )  # fmt: skip
    names = ["axis", "measure", "model", "kind", "along", "mean", "low", "high"]
    frame = pd.DataFrame(rows, columns=names)
    if frame.empty:
        return None
    present = set(frame.measure)
    return Figure(
        f"{dataset}-along", "Along a setting",
        "Bars are one standard deviation over seeds; dashed levels are models without this setting.",
        _chart(tuple(m for m in results.models if m.label in set(frame.model))), frame,
        (Control("measure", "Measure",
                 theme.options(m for m in results.measures if m.key in present)),
         Control("axis", "Along", {symbol(axis): axis for axis in axes})),
    )  # fmt: skip


@cache
def _chart(models: tuple[Model, ...]) -> dict[str, Any]:
    every = (
        alt.Chart(theme.TABLE)
        .transform_filter("datum.measure == '{measure}' && datum.axis == '{axis}'")
        .encode(
            color=theme.coloured(models),
            tooltip=["model:N", alt.Tooltip("mean:Q", title="{measure title}"), "low:Q", "high:Q"],
        )
    )
    value = alt.Y("mean:Q", title="{measure title}", scale=alt.Scale(zero=False))
    across = alt.X("along:Q", title="{axis title}", scale=alt.Scale(zero=False, padding=16))
    placed = every.transform_filter("isValid(datum.along)")
    return theme.wide(
        300,
        every.transform_filter("!isValid(datum.along)")
        .mark_rule(strokeDash=[5, 4])
        .encode(y=value),
        placed.mark_line(strokeWidth=1).encode(
            x=across, y=value, detail="kind:N", color=alt.value("#b9bdc5")
        ),
        placed.mark_rule(opacity=0.6).encode(
            x=across,
            y=alt.Y("low:Q", title="{measure title}", scale=alt.Scale(zero=False)),
            y2="high:Q",
        ),
        placed.mark_point(size=80, filled=True, opacity=1).encode(
            x=across, y=value, shape=theme.shaped(models)
        ),
    )
