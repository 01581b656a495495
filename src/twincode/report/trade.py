"""What a model's codes carry against what it costs: the places of models in a trade-off."""

from collections.abc import Sequence
from statistics import fmean

from twincode.report.across import comparable, geometric_mean, naive_label, ratio_to_naive
from twincode.report.figures_metrics import COST, Point, TradeOff
from twincode.report.metrics import MAIN_READOUT, metric_of
from twincode.report.models import Model
from twincode.report.results import Results
from twincode.report.runs import Summary
from twincode.report.tables import value_of, values_of

_PROBES = ("svm_accuracy", "knn1_accuracy", "knn5_accuracy", "knn10_accuracy", "silhouette")


def probes_of(results: Results) -> list[str]:
    """The probes of the codes for which more is better, in the tables' order."""
    names = {name for readout, name in results.measures if readout == MAIN_READOUT}
    return [name for name in _PROBES if name in names]


def dataset_trade_offs(
    results: Results, dataset: str, probes: Sequence[str], title: str = ""
) -> list[TradeOff]:
    """A panel per probe on one data set; those without a trained model's place left out."""
    panels = [_on_dataset(results, dataset, name, title) for name in probes]
    return [panel for panel in panels if panel.points]


def relative_trade_offs(results: Results, probes: Sequence[str]) -> list[TradeOff]:
    """A panel per probe over all data sets, relative to the naive model.

    Across: the geometric mean of the error as a multiple of the naive model's. Upwards: the mean
    difference of the probe. Both are over the data sets on which all compared models have both.
    """
    panels = [_relative(results, name) for name in probes] if naive_label(results) else []
    return [panel for panel in panels if len(panel.points) > 1]


def _on_dataset(results: Results, dataset: str, name: str, title: str) -> TradeOff:
    models = results.models_on(dataset)
    costs = values_of(results, dataset, COST)
    gains = values_of(results, dataset, name)
    return TradeOff(
        title or metric_of(name).title,
        "Reconstruction error (less is better)",
        metric_of(name).title,
        {
            model.label: Point(costs[model.label], gains[model.label])
            for model in models
            if model.trained and model.label in costs and model.label in gains
        },
        {
            model.label: gains[model.label]
            for model in models
            if not model.trained and model.label in gains
        },
    )


def _relative(results: Results, name: str) -> TradeOff:
    probed, costed = comparable(results, name), comparable(results, COST)
    shared = [dataset for dataset in probed.datasets if dataset in costed.datasets]
    trained = [model for model in probed.models if model in costed.models]
    controls = [model for model in probed.models if not model.trained]
    title = metric_of(name).title
    return TradeOff(
        title,
        "Reconstruction error, multiple of the naive model's",
        f"{title}, minus the naive's",
        {
            model.label: Point(cost, gain)
            for model in trained
            if (cost := _ratio(results, model, shared))
            and (gain := _gain(results, model, name, shared))
        },
        {model.label: gain for model in controls if (gain := _gain(results, model, name, shared))},
    )


def _ratio(results: Results, model: Model, datasets: Sequence[str]) -> Summary | None:
    ratios = [ratio_to_naive(results, dataset, model.label, COST) for dataset in datasets]
    if not ratios or not all(ratio > 0 for ratio in ratios):
        return None
    return Summary(geometric_mean(ratios), None, len(ratios))


def _gain(results: Results, model: Model, name: str, datasets: Sequence[str]) -> Summary | None:
    naive, gains = naive_label(results), []
    for dataset in datasets:
        value, base = (value_of(results, dataset, each, name) for each in (model.label, naive))
        if not value or not base:
            return None
        gains.append(value.mean - base.mean)
    return Summary(fmean(gains), None, len(gains)) if gains else None
