"""What the codes carry against what it costs: one number of every model against another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import altair as alt

from twincode.report.blocks import Control, Figure
from twincode.report.compare import comparable
from twincode.report.figures import theme
from twincode.report.metrics import Measure
from twincode.report.models import NAIVE, Model, is_number
from twincode.report.runs import Results

_CAPTION = (
    "A line leads through the models of one kind along one setting; dashed levels are controls, "
    "which are not trained."
)


def trade_off(results: Results, dataset: str) -> Figure | None:
    """Every model on one data set; bars are one standard deviation over seeds."""
    import pandas as pd

    costs, gains = _costs(results), _gains(results)
    final = results.final[results.final.dataset == dataset]
    values = {
        (row.model, row.metric, row.readout): (row.mean, row.std) for row in final.itertuples()
    }
    rows = []
    for model in results.models:
        numbers = [
            (m.key, values.get((model.label, m.metric.name, m.readout), (math.nan,) * 2))
            for m in (*costs, *gains)
        ]
        if any(math.isfinite(mean) for _, (mean, _) in numbers):
            rows.append(_row(model, {key: pair for key, pair in numbers}))
    return _figure(
        f"{dataset}-trade-off", "Codes against cost", _CAPTION, results.models,
        pd.DataFrame(rows), (costs, gains), ("", ""),
    )  # fmt: skip


def relative_trade_off(results: Results) -> Figure | None:
    """Every model over all data sets, relative to the naive one."""
    import pandas as pd

    naive = next((m for m in results.models if m.method == NAIVE and m.trained), None)
    if naive is None or len(results.datasets) < 2:
        return None
    costs, gains = _costs(results), _gains(results)
    columns: dict[str, dict[str, float]] = {}
    for measure in (*costs, *gains):
        table = comparable(results, measure)
        if naive.label not in table or table.empty:
            continue
        base = table[naive.label]
        if measure in gains:
            columns[measure.key] = table.sub(base, axis=0).mean().to_dict()
        elif (table > 0).all(axis=None):
            ratios = table.div(base, axis=0).map(math.log)
            columns[measure.key] = {str(k): math.exp(v) for k, v in ratios.mean().items()}
    rows = [
        _row(m, {key: (found.get(m.label, math.nan), math.nan) for key, found in columns.items()})
        for m in results.models
    ]
    kept = [[m for m in measures if m.key in columns] for measures in (costs, gains)]
    return _figure(
        "trade-off", "Codes against cost, over all data sets",
        f"Relative to {naive.label}: errors as multiples of its errors (geometric mean), the rest "
        "as differences (mean), over the data sets on which every compared model was measured. "
        + _CAPTION,
        results.models, pd.DataFrame(rows), (kept[0], kept[1]),
        (f", multiple of {naive.label}'s", f", less {naive.label}'s"),
    )  # fmt: skip


def _costs(results: Results) -> list[Measure]:
    return [m for m in results.main_measures if not m.readout and m.metric.better == "lower"]


def _gains(results: Results) -> list[Measure]:
    costs = _costs(results)
    return [m for m in results.main_measures if m not in costs]


def _row(model: Model, values: dict[str, tuple[float, float]]) -> dict[str, Any]:
    axis = next((name for name, value in model.axes.items() if is_number(value)), "")
    row: dict[str, Any] = {
        "model": model.label,
        "kind": model.without(axis),
        "along": float(model.axes.get(axis, 0)),
        "trained": model.trained,
    }
    for key, (mean, spread) in values.items():
        row[key] = mean
        row[f"{key} low"], row[f"{key} high"] = mean - spread, mean + spread
    return row


def _figure(
    name: str, title: str, caption: str, models: Sequence[Model], frame: Any,
    measures: tuple[Sequence[Measure], Sequence[Measure]], units: tuple[str, str],
) -> Figure | None:  # fmt: skip
    costs, gains = measures
    if frame.empty or not costs or not gains:
        return None
    if not any(frame[frame.trained][m.key].notna().any() for m in costs if m.key in frame):
        return None
    shown = tuple(model for model in models if model.label in set(frame.model))
    return Figure(
        name, title, caption, _chart(shown, units), frame,
        (Control("gain", "Upwards", theme.options(gains)),
         Control("cost", "Across", theme.options(costs))),
    )  # fmt: skip


@cache
def _chart(models: tuple[Model, ...], units: tuple[str, str]) -> dict[str, Any]:
    across = alt.X(
        "{cost}:Q", title=f"{{cost title}}{units[0]}", scale=alt.Scale(zero=False, padding=14)
    )
    up = alt.Y(
        "{gain}:Q", title=f"{{gain title}}{units[1]}", scale=alt.Scale(zero=False, padding=14)
    )
    every = alt.Chart(theme.TABLE).encode(
        color=theme.coloured(models),
        tooltip=["model:N", alt.Tooltip("{gain}:Q", title="{gain title}"),
                 alt.Tooltip("{cost}:Q", title="{cost title}")],
    )  # fmt: skip
    base = every.transform_filter(
        "datum.trained && isValid(datum['{cost}']) && isValid(datum['{gain}'])"
    )
    return theme.wide(
        360,
        every.transform_filter("!datum.trained").mark_rule(strokeDash=[5, 4]).encode(y=up),
        base.mark_line(strokeWidth=1, color=theme.SOFT)
        .encode(x=across, y=up, detail="kind:N", order="along:Q", color=alt.value("#b9bdc5"))
        .transform_filter("datum.kind != datum.model"),
        base.mark_rule(opacity=0.6).encode(
            x=alt.X("{cost} low:Q", title=f"{{cost title}}{units[0]}"), x2="{cost} high:Q", y=up
        ),
        base.mark_rule(opacity=0.6).encode(
            x=across, y=alt.Y("{gain} low:Q", title=f"{{gain title}}{units[1]}"), y2="{gain} high:Q"
        ),
        base.mark_point(size=90, filled=True, opacity=1).encode(
            x=across, y=up, shape=theme.shaped(models)
        ),
    )
