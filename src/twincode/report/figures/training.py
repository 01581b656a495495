"""How probes, codebooks and losses move during training."""

from __future__ import annotations

from functools import cache
from typing import Any

import altair as alt
import numpy as np

from twincode.report.blocks import Control, Figure
from twincode.report.figures import theme
from twincode.report.models import Model
from twincode.report.runs import Results

_EPOCHS_SHOWN = 40


def training(results: Results, dataset: str) -> Figure | None:
    """Every measure and loss over epochs: the mean over seeds, in a band of one deviation."""
    import pandas as pd

    trained = [model for model in results.models if model.trained]
    options, parts = {}, []
    table = results.table[results.table.dataset == dataset]
    for measure in results.measures:
        own = table[(table.metric == measure.metric.name) & (table.readout == measure.readout)]
        if own.epoch.nunique() > 1:
            options[measure.heading] = measure.key
            parts.append(own.assign(quantity=measure.key))
    history = results.history[results.history.dataset == dataset]
    for name in history.quantity.unique().tolist():
        options[f"{name.replace('_', ' ').capitalize()}, in training"] = f"loss {name}"
    epochs = np.sort(history.epoch.unique())
    if len(epochs) > _EPOCHS_SHOWN:
        places = np.linspace(0, len(epochs) - 1, _EPOCHS_SHOWN).round().astype(int)
        history = history[history.epoch.isin(epochs[places])]
    parts.append(history.assign(quantity="loss " + history.quantity.astype(str)))
    found = pd.concat(parts)[["quantity", "model", "epoch", "value"]]
    found = found[found.model.isin([model.label for model in trained])]
    if found.empty:
        return None
    grouped = found.groupby(["quantity", "model", "epoch"], sort=False, observed=True).value
    frame = grouped.agg(["mean", "std"]).reset_index()
    frame = frame.assign(low=frame["mean"] - frame["std"], high=frame["mean"] + frame["std"])
    present = set(frame.quantity)
    return Figure(
        f"{dataset}-training", "During training",
        "Means over seeds; bands are one standard deviation either way.",
        _chart(tuple(m for m in trained if m.label in set(frame.model))),
        frame.drop(columns="std"),
        (Control("quantity", "Quantity", {k: v for k, v in options.items() if v in present}),),
    )  # fmt: skip


@cache
def _chart(models: tuple[Model, ...]) -> dict[str, Any]:
    every = (
        alt.Chart(theme.TABLE)
        .transform_filter("datum.quantity == '{quantity}'")
        .encode(
            x=alt.X("epoch:Q", title="epoch"),
            color=theme.coloured(models),
            tooltip=["model:N", "epoch:Q", alt.Tooltip("mean:Q", title="{quantity title}")],
        )
    )
    value = alt.Y("mean:Q", title="{quantity title}", scale=alt.Scale(zero=False))
    return theme.wide(
        300,
        every.mark_area(opacity=0.15).encode(
            y=alt.Y("low:Q", title="{quantity title}", scale=alt.Scale(zero=False)), y2="high:Q"
        ),
        every.mark_line(strokeWidth=1.8).encode(y=value),
        every.mark_point(size=60, opacity=0, filled=True).encode(y=value),
    )
