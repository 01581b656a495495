"""What the codes carry against what it costs: one number of every model against another."""

import math
from functools import cache
from statistics import fmean
from typing import Any

import altair as alt
import pandas as pd

from twincode.report.blocks import Control, Figure
from twincode.report.compare import comparable
from twincode.report.figures import theme
from twincode.report.metrics import Measure
from twincode.report.models import NAIVE, Model, is_number
from twincode.report.runs import Results, Summary


def trade_off(results: Results, dataset: str) -> Figure | None:
    """Every model on one data set; bars are one standard deviation over seeds."""
    values = {key[1:]: value for key, value in results.final.items() if key[0] == dataset}
    return _figure(
        results, f"{dataset}-trade-off", "Codes against cost", "Means over seeds, bars of one "
        "standard deviation.", values, ("", ""),
    )  # fmt: skip


def relative_trade_off(results: Results) -> Figure | None:
    """Every model over all data sets, relative to the naive one."""
    ours = (model for model in results.models if model.method == NAIVE and model.fitted)
    naive = max(
        (model.label for model in ours), key=lambda each: len(results.cells[each]), default=""
    )
    values: dict[tuple[str, str], Summary] = {}
    for measure in results.main_measures:
        table = comparable(results, measure)
        if naive not in table or len(table) < 2:
            continue
        multiple = _is_cost(measure)
        if multiple and (table <= 0).any(axis=None):
            continue
        for name in map(str, table):
            gains = [
                _gain(results, dataset, name, naive, measure.key, multiple)
                for dataset in table.index
            ]
            mean = math.exp(fmean(gains)) if multiple else fmean(gains)
            if math.isfinite(mean):
                values[name, measure.key] = Summary(mean, math.nan, 1)
    return _figure(
        results, "trade-off", "Codes against cost, over all data sets", f"Relative to {naive}: "
        "errors as multiples of its errors (geometric mean), the rest as differences (mean), over "
        "the data sets on which every compared model was measured.",
        values, (f", multiple of {naive}'s", f", less {naive}'s"),
    )  # fmt: skip


def _gain(results: Results, dataset: str, name: str, base: str, key: str, multiple: bool) -> float:
    """What a model has beyond another, or the log of the ratio: NaN without a seed in common.

    Means over the seeds that both have; raw series have none, and stand beside all.
    """
    ours, theirs = (results.last[dataset, label, key] for label in (name, base))
    raw = any(model.is_raw for model in results.models if model.label == name)
    seeds = theirs.keys() if raw else ours.keys() & theirs.keys()
    if not seeds:
        return math.nan
    one = fmean(value for seed, own in ours.items() if raw or seed in seeds for value in own)
    other = fmean(value for seed in seeds for value in theirs[seed])
    return math.log(one / other) if multiple else one - other


def _is_cost(measure: Measure) -> bool:
    return measure.better == "lower" and not measure.readout


def _figure(
    results: Results, name: str, title: str, caption: str,
    values: dict[tuple[str, str], Summary], units: tuple[str, str],
) -> Figure | None:  # fmt: skip
    present = {key for _, key in values}
    costs = [m for m in results.main_measures if _is_cost(m) and m.key in present]
    gains = [m for m in results.main_measures if not _is_cost(m) and m.key in present]
    shown = [m for m in results.models if any(name == m.label for name, _ in values)]
    placed = [m for m in shown if m.fitted and any((m.label, c.key) in values for c in costs)]
    if not gains or not placed:
        return None
    rows = []
    for model in shown:
        axis = next((each for each, value in model.axes.items() if is_number(value)), "")
        row: dict[str, Any] = {"model": model.label, "kind": model.kind(axis)}
        row["fitted"] = model.fitted
        row["along"] = model.axes.get(axis, math.nan)
        for measure in (*costs, *gains):
            mean, std, _ = values.get((model.label, measure.key), Summary(math.nan, math.nan, 0))
            row |= {measure.key: mean}
            row |= {f"{measure.key} low": mean - std, f"{measure.key} high": mean + std}
        rows.append(row)
    caption += " A line leads through models that differ in one number; dashed levels are controls."
    controls = (Control("gain", "Upwards", theme.options(gains)),
                Control("cost", "Across", theme.options(costs)))  # fmt: skip
    return Figure(name, title, caption, _chart(tuple(shown), units), pd.DataFrame(rows), controls)


@cache
def _chart(models: tuple[Model, ...], units: tuple[str, str]) -> dict[str, Any]:
    scale = alt.Scale(zero=False, padding=14)
    across: dict[str, Any] = {"title": f"{{cost title}}{units[0]}", "scale": scale}
    up: dict[str, Any] = {"title": f"{{gain title}}{units[1]}", "scale": scale}
    x, y = alt.X("{cost}:Q", **across), alt.Y("{gain}:Q", **up)
    told = [alt.Tooltip(f"{{{each}}}:Q", title=f"{{{each} title}}") for each in ("gain", "cost")]
    every = alt.Chart(theme.TABLE).encode(
        color=theme.models(alt.Color, models), tooltip=["model:N", *told]
    )
    placed = every.transform_filter(
        "datum.fitted && isValid(datum['{cost}']) && isValid(datum['{gain}'])"
    )
    bars = placed.mark_rule(opacity=0.6)
    return theme.wide(
        360,
        every.transform_filter("!datum.fitted").mark_rule(strokeDash=[5, 4]).encode(y=y),
        placed.transform_filter("isValid(datum.along)")
        .mark_line(strokeWidth=1)
        .encode(x=x, y=y, detail="kind:N", order="along:Q", color=alt.value(theme.PALE)),
        bars.encode(x=alt.X("{cost} low:Q", **across), x2="{cost} high:Q", y=y),
        bars.encode(x=x, y=alt.Y("{gain} low:Q", **up), y2="{gain} high:Q"),
        placed.mark_point(size=90, filled=True, opacity=1).encode(
            x=x, y=y, shape=theme.models(alt.Shape, models)
        ),
    )
