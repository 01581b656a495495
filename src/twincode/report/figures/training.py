"""How probes, codebooks and losses move during training."""

from functools import cache
from typing import Any

import altair as alt

from twincode.report.blocks import Control, Figure
from twincode.report.figures import theme
from twincode.report.metrics import key_of
from twincode.report.models import Model
from twincode.report.runs import Results, summary

_EPOCHS_SHOWN = 40


def training(results: Results, dataset: str) -> Figure | None:
    """Every measure and loss over epochs: the mean over seeds, in a band of one deviation."""
    values: dict[tuple[str, str, int], list[float]] = {}
    titles = {measure.key: measure.heading for measure in results.measures.values()}
    for run in results.of_dataset(dataset):
        model = results.model_of(run)
        if not run.record["epochs"]:
            continue
        for epoch, readout, metric, value in run.evaluations():
            values.setdefault((key_of(metric, readout), model.label, epoch), []).append(value)
        every = -(-len(run.record["history"]) // _EPOCHS_SHOWN)
        for epoch, name, value in run.history():
            if (run.record["epochs"] - epoch) % every == 0:
                titles[f"loss {name}"] = f"{name.replace('_', ' ').capitalize()}, in training"
                values.setdefault((f"loss {name}", model.label, epoch), []).append(value)
    epochs: dict[tuple[str, str], set[int]] = {}
    for quantity, name, epoch in values:
        epochs.setdefault((quantity, name), set()).add(epoch)
    # Of one number a model there is no course.
    moving = {quantity for (quantity, _), own in epochs.items() if len(own) > 1}
    shown = {title: key for key, title in titles.items() if key in moving}
    if not shown:
        return None
    rows = []
    for (quantity, name, epoch), own in values.items():
        if quantity in shown.values():
            mean, std, _ = summary(own)
            row = {"quantity": quantity, "model": name, "epoch": epoch, "mean": mean}
            rows.append({**row, "low": mean - std, "high": mean + std})
    frame = theme.stacked(rows)
    present = set(frame.model)
    return Figure(
        f"{dataset}-training", "During training",
        "Means over seeds, in bands of one standard deviation.",
        _chart(tuple(m for m in results.models if m.label in present)), frame,
        (Control("quantity", "Quantity", shown),),
    )  # fmt: skip


@cache
def _chart(models: tuple[Model, ...]) -> dict[str, Any]:
    told: dict[str, Any] = {"title": "{quantity title}", "scale": theme.FREE}
    every = (
        alt.Chart(theme.TABLE)
        .transform_filter(theme.chosen("quantity"))
        .encode(
            x=alt.X("epoch:Q", title="epoch"),
            color=theme.models(alt.Color, models),
            tooltip=["model:N", "epoch:Q", alt.Tooltip("mean:Q", title="{quantity title}")],
        )
    )
    value = alt.Y("mean:Q", **told)
    return theme.wide(
        300,
        every.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", **told), y2="high:Q"),
        every.mark_line(strokeWidth=1.8).encode(y=value),
        every.mark_point(size=60, opacity=0, filled=True).encode(y=value),
    )
