"""Figures of numbers: the trade-off, metrics during training, metrics as gamma grows."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from twincode.report.canvas import (
    Layout,
    Spacing,
    dot_key,
    line_key,
    sheet,
)
from twincode.report.metrics import MAIN_READOUT, metric_of
from twincode.report.models import Model
from twincode.report.results import FinalValues, Summary, summarise

BAND_OPACITY = 0.16
LOG_SCALE_FROM = 20.0  # a panel whose values span this factor is drawn on a logarithmic axis
_MOST_MARKERS = 12
_MOST_POINTS = 120
_NUDGE = 0.06
_ROUND_STEPS = [1, 2, 2.5, 5, 10]
_LOG_STEPS = (1.0, 2.0, 5.0)
_ERROR_BARS: dict[str, Any] = {"capsize": 2.0, "elinewidth": 1.0, "linestyle": "none"}
_LEVEL_DASHES = ((0, (4, 2)), (0, (1, 1.6)), (0, (6, 2, 1, 2)))


def trade_off_figure(
    final: FinalValues, datasets: Sequence[str], models: Sequence[Model], layout: Layout
) -> Figure:
    """Reconstruction error against linear SVM accuracy: one panel a data set, one dot a model.

    Controls that are not trained stand as horizontal levels.
    """
    levels = [model for model in models if not model.trained]
    trained = [model for model in models if model.trained]
    legend: list[Artist] = [dot_key(model.label, model.colour, model.marker) for model in trained]
    legend += _level_keys(levels)
    figure, axes = sheet(
        len(datasets),
        layout.columns(min(3, len(datasets)), 1),
        layout,
        2.3,
        legend,
        Spacing(left=0.55, right=0.2, above=0.32, below=0.42),
    )
    for axis, dataset in zip(axes, datasets, strict=True):
        for model in trained:
            _trade_off_dot(axis, final, dataset, model)
        _draw_levels(axis, levels, _values(final, dataset, "svm_accuracy", MAIN_READOUT))
        axis.set_title(_short(dataset))
        axis.set_xlabel("Reconstruction error (less is better)")
        axis.set_ylabel("Linear SVM accuracy")
        axis.grid(visible=True)
    return figure


def training_figure(
    evaluations: pd.DataFrame,
    history: pd.DataFrame,
    models: Sequence[Model],
    names: Sequence[str],
    layout: Layout,
) -> Figure:
    """Small multiples over epochs: each metric of ``names``, then each training loss.

    ``evaluations`` has the columns label, seed, epoch, metric, value; ``history`` has quantity in
    place of metric. Lines are means over seeds, bands one sample standard deviation either way.
    """
    trained = [model for model in models if model.trained]
    levels = [model for model in models if not model.trained]
    losses = [name for name in history["quantity"].unique() if name != "perplexity"]
    legend = [line_key(m.label, m.colour, marker=m.marker) for m in trained]
    figure, axes = sheet(
        len(names) + len(losses),
        layout.columns(4, 2),
        layout,
        1.15,
        legend + _level_keys(levels),
    )
    for axis, name in zip(axes, names, strict=False):
        rows = evaluations[evaluations["metric"] == name]
        _draw_courses(axis, rows, trained)
        if metric_of(name).probe:
            _draw_levels(axis, levels, {m.label: _last(rows, m) for m in levels})
        axis.set_title(_titled(name))
    for axis, name in zip(axes[len(names) :], losses, strict=True):
        _draw_courses(axis, history[history["quantity"] == name], trained)
        axis.set_title(_loss_title(name))
    for axis in axes:
        axis.grid(visible=True, axis="y")
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=_ROUND_STEPS))
        axis.yaxis.set_major_locator(MaxNLocator(4, steps=_ROUND_STEPS))
    for axis in axes[len(names) :]:
        _logarithmic_where_wide(axis)
    for axis in axes[-layout.columns(4, 2) :]:
        axis.set_xlabel("epoch", labelpad=1)
    return figure


def gamma_figure(
    final: FinalValues,
    dataset: str,
    readout: str,
    models: Sequence[Model],
    names: Sequence[str],
    layout: Layout,
) -> Figure:
    """Each metric against gamma: twin models as lines, gamma = 0 as single marks, raw as a level.

    Error bars are one sample standard deviation over seeds.
    """
    families = _families(models)
    nudge = _NUDGE * max(model.gamma for model in models)
    still = [model for model in models if model.trained and not model.twin]
    levels = [model for model in models if not model.trained]
    legend: list[Artist] = [line_key(m.label, m.colour, marker=m.marker, lw=0.8) for m in still]
    legend += [line_key(name, members[-1].colour) for name, members in families.items()]
    figure, axes = sheet(
        len(names), layout.columns(4, 2), layout, 1.3, legend + _level_keys(levels)
    )
    for axis, name in zip(axes, names, strict=True):
        values = _values(final, dataset, name, readout)
        for index, model in enumerate(still):
            _gamma_mark(axis, model, values, aside=index * nudge)
            _level(axis, model, values, lw=0.8, alpha=0.55)
        for members in families.values():
            _gamma_line(axis, members, values)
        if metric_of(name).probe:
            _draw_levels(axis, levels, values)
        axis.set_title(_titled(name))
        axis.set_xticks(sorted({0.0, *(m.gamma for m in models if m.twin)}))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_major_locator(MaxNLocator(4, steps=_ROUND_STEPS))
        axis.margins(x=0.08)
        axis.grid(visible=True, axis="y")
    for axis in axes[-layout.columns(4, 2) :]:
        axis.set_xlabel("γ", labelpad=1)
    return figure


def _titled(name: str) -> str:
    metric = metric_of(name)
    return f"{metric.title} {metric.arrow}".strip()


def _short(name: str, longest: int = 34) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


Values = Mapping[str, Summary]


def _values(final: FinalValues, dataset: str, metric: str, readout: str) -> Values:
    """The final number of every model that has one."""
    belongs = readout if metric_of(metric).probe else ""
    return {
        label: summary
        for (of, label, under, name), summary in final.items()
        if (of, under, name) == (dataset, belongs, metric) and summary.count
    }


def _last(rows: pd.DataFrame, model: Model) -> Summary:
    """The number at the last epoch of ``model``, over seeds."""
    own = rows[rows["label"] == model.label]
    return summarise(own.loc[own["epoch"] == own["epoch"].max(), "value"])


def _trade_off_dot(axis: Axes, final: FinalValues, dataset: str, model: Model) -> None:
    cost = _values(final, dataset, "reconstruction", MAIN_READOUT).get(model.label)
    codes = _values(final, dataset, "svm_accuracy", MAIN_READOUT).get(model.label)
    if cost and codes:
        axis.errorbar(
            cost.mean,
            codes.mean,
            xerr=cost.spread,
            yerr=codes.spread,
            color=model.colour,
            marker=model.marker,
            markersize=6.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            **_ERROR_BARS,
        )


def _level_keys(levels: Sequence[Model]) -> list[Artist]:
    return [
        line_key(model.label, model.colour, linestyle=_dashes(index), lw=1.2)
        for index, model in enumerate(levels)
    ]


def _dashes(index: int) -> tuple[int, tuple[float, ...]]:
    return _LEVEL_DASHES[index % len(_LEVEL_DASHES)]


def _level(axis: Axes, model: Model, values: Values, **style: Any) -> None:
    """A horizontal line at the model's number, where it has one."""
    summary = values.get(model.label)
    if summary and summary.count:
        axis.axhline(summary.mean, color=model.colour, zorder=1, **style)


def _draw_levels(axis: Axes, levels: Sequence[Model], values: Values) -> None:
    for index, model in enumerate(levels):
        _level(axis, model, values, linestyle=_dashes(index), lw=1.2)


def _draw_courses(axis: Axes, rows: pd.DataFrame, models: Sequence[Model]) -> None:
    """Mean and band over seeds for every model; ``rows`` has label, epoch and value."""
    for model in models:
        own = rows[rows["label"] == model.label].dropna(subset=["value"])
        if own.empty:
            continue
        by_epoch = _thinned(own.groupby("epoch")["value"].agg(["mean", "std"]))
        marker = model.marker if len(by_epoch) <= _MOST_MARKERS else None
        axis.plot(
            by_epoch.index, by_epoch["mean"], color=model.colour, marker=marker, markersize=3.0
        )
        axis.fill_between(
            by_epoch.index,
            by_epoch["mean"] - by_epoch["std"],
            by_epoch["mean"] + by_epoch["std"],
            color=model.colour,
            alpha=BAND_OPACITY,
            linewidth=0,
        )


def _thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """Evenly chosen rows, first and last among them, where there are more than a panel can show."""
    if len(rows) <= _MOST_POINTS:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, _MOST_POINTS).round().astype(int)]


def _loss_title(name: str) -> str:
    return f"{name.removeprefix('reconstruction_')} loss".replace("_", " ").capitalize()


def _logarithmic_where_wide(axis: Axes) -> None:
    heights = [float(y) for line in axis.get_lines() for y in np.asarray(line.get_ydata())]
    if heights and min(heights) > 0 and max(heights) / min(heights) > LOG_SCALE_FROM:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=_LOG_STEPS))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())


def _families(models: Sequence[Model]) -> dict[str, list[Model]]:
    """Twin models by method, under their name without its gamma, in the order of gamma."""
    methods: dict[str, list[Model]] = {}
    for model in models:
        if model.twin:
            methods.setdefault(model.method, []).append(model)
    return {re.sub(r"\s*γ\s*=.*$", "", members[0].label): members for members in methods.values()}


def _gamma_mark(axis: Axes, model: Model, values: Values, aside: float = 0.0) -> None:
    summary = values.get(model.label)
    if summary:
        axis.errorbar(
            model.gamma + aside,
            summary.mean,
            yerr=summary.spread,
            color=model.colour,
            marker=model.marker,
            **_ERROR_BARS,
        )


def _gamma_line(axis: Axes, members: Sequence[Model], values: Values) -> None:
    measured = [model for model in members if model.label in values]
    axis.plot(
        [model.gamma for model in measured],
        [values[model.label].mean for model in measured],
        color=members[-1].colour,
        lw=1.2,
    )
    for model in measured:
        _gamma_mark(axis, model, values)
