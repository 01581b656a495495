"""Over all data sets: one metric of every model, means, average ranks and what they allow to say.

Means and ranks are over the data sets on which every compared model has a number, and every data
set counts the same. A model with a number on fewer than half of the data sets is not compared, so
that it does not take the others' data sets away.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twincode.report.metrics import (
    MAIN_READOUT,
    MISSING,
    NO_BREAK,
    Metric,
    decimals_for,
    metric_of,
    number,
    p_text,
    table_metrics,
)
from twincode.report.models import NAIVE_RECIPE, Model
from twincode.report.results import Results
from twincode.report.statistics import FEWEST, FEWEST_RANKED, Ranking, rank_models
from twincode.report.tables import Cell, cells, value_of

FEWEST_AVERAGED = 2  # data sets
_RANK_DECIMALS = 2
_RANKED_METRICS = ("svm_accuracy", "knn5_accuracy", "silhouette", "reconstruction")


@dataclass(frozen=True)
class Comparable:
    """A metric of the compared models on the data sets that all have: (data sets, models)."""

    models: tuple[Model, ...]
    datasets: tuple[str, ...]
    values: NDArray


@dataclass(frozen=True)
class FrontRow:
    """One model over all data sets."""

    model: Model
    cells: tuple[Cell, ...]
    mean: Cell
    rank: Cell


@dataclass(frozen=True)
class Front:
    """One metric under one readout: models against data sets, their mean and average rank."""

    metric: Metric
    readout: str
    rows: tuple[FrontRow, ...]
    note: str

    @property
    def title(self) -> str:
        """The metric, and the readout where it belongs to one."""
        return self.metric.heading + (f", {self.readout}" if self.readout else "")


def comparable(results: Results, name: str, readout: str = MAIN_READOUT) -> Comparable:
    """The numbers that can be averaged and ranked; without probes, of trained models alone."""
    measured = {
        model: {
            dataset: found.mean
            for dataset in results.datasets
            if (found := value_of(results, dataset, model.label, name, readout))
        }
        for model in results.models
        if model.trained or metric_of(name).probe
    }
    least = len(results.datasets) / 2
    compared = {model: values for model, values in measured.items() if len(values) >= least}
    shared = tuple(
        dataset
        for dataset in results.datasets
        if compared and all(dataset in values for values in compared.values())
    )
    table = [[values[dataset] for values in compared.values()] for dataset in shared]
    return Comparable(
        tuple(compared), shared, np.array(table, dtype=float).reshape(len(shared), len(compared))
    )


def ranking_of(results: Results, name: str, readout: str = MAIN_READOUT) -> Ranking | None:
    """Average ranks of the comparable models, None over too few data sets or without direction."""
    found, better = comparable(results, name, readout), metric_of(name).better
    if not better or len(found.datasets) < FEWEST_AVERAGED or len(found.models) < 2:
        return None
    return rank_models([model.label for model in found.models], found.values, better)


def critical_rankings(
    results: Results, metrics: Sequence[str] = _RANKED_METRICS
) -> list[tuple[Metric, Ranking]]:
    """The rankings over enough data sets for a critical difference."""
    found = [(metric_of(name), ranking_of(results, name)) for name in metrics]
    return [(metric, ranking) for metric, ranking in found if ranking and ranking.critical]


def fronts(results: Results) -> list[Front]:
    """Every metric that a page compares over data sets: the linear SVM first."""
    readouts = sorted({readout for readout, _ in results.measures} - {""}, key=_readout_place)
    found = []
    for readout in readouts or [MAIN_READOUT]:
        names = [name for own, name in results.measures if own in (readout, "")]
        shown = table_metrics(names)
        if readout != MAIN_READOUT:
            shown = [name for name in shown if metric_of(name).probe]
        found += [_front(results, name, readout) for name in sorted(shown, key=_metric_place)]
    return found


def ratio_to_naive(results: Results, dataset: str, label: str, name: str) -> float:
    """A number as a multiple of the naive model's on the same data set; NaN without either."""
    value, base = (value_of(results, dataset, each, name) for each in (label, naive_label(results)))
    if not value or not base or base.mean <= 0:
        return math.nan
    return value.mean / base.mean


def ratios_to_naive(results: Results, label: str, name: str) -> list[float]:
    """The ratios to the naive model on the data sets that have one."""
    ratios = (ratio_to_naive(results, dataset, label, name) for dataset in results.datasets)
    return [ratio for ratio in ratios if ratio > 0]


def naive_label(results: Results) -> str:
    """The label of the naive model; empty where there is none."""
    naive = results.of_method(NAIVE_RECIPE)
    return naive.label if naive else ""


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios: the exponential of the mean logarithm; NaN of none."""
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if values else math.nan


def _readout_place(readout: str) -> tuple[bool, str]:
    return readout != MAIN_READOUT, readout


def _metric_place(name: str) -> bool:
    """Metrics of codes come before those of the whole model; else the tables' order stands."""
    return not metric_of(name).probe


def _front(results: Results, name: str, readout: str) -> Front:
    metric = metric_of(name)
    shared, ranking = comparable(results, name, readout), ranking_of(results, name, readout)
    columns = [
        cells(results, dataset, readout, name, results.models) for dataset in results.datasets
    ]
    means = _mean_cells(results, shared, name)
    ranks = _rank_cells(results, ranking)
    rows = tuple(
        FrontRow(model, tuple(own), mean, rank)
        for model, mean, rank, *own in zip(results.models, means, ranks, *columns, strict=True)
        if any(cell.mean != MISSING for cell in own)
    )
    return Front(metric, readout if metric.probe else "", rows, _note(results, shared, ranking))


def _mean_cells(results: Results, shared: Comparable, name: str) -> list[Cell]:
    if len(shared.datasets) < FEWEST_AVERAGED:
        return [Cell(MISSING, "", "", False)] * len(results.models)
    means = dict(zip(shared.models, shared.values.mean(axis=0).tolist(), strict=True))
    decimals = decimals_for(name, list(means.values()))
    better = metric_of(name).better
    trained = [number(mean, decimals) for model, mean in means.items() if model.trained]
    best = _best(trained, better)
    return [
        Cell(text, "", repr(means[model]), model.trained and text == best)
        if (text := number(means.get(model, math.nan), decimals)) != MISSING
        else Cell(MISSING, "", "", False)
        for model in results.models
    ]


def _best(texts: Sequence[str], better: str) -> str | None:
    if len(texts) < 2 or not better:
        return None
    return (max if better == "higher" else min)(texts, key=_plain)


def _plain(text: str) -> float:
    return float(text.replace("−", "-"))


def _rank_cells(results: Results, ranking: Ranking | None) -> list[Cell]:
    ranks = dict(zip(ranking.labels, ranking.ranks, strict=True)) if ranking else {}
    trained = [ranks[m.label] for m in results.models if m.trained and m.label in ranks]
    best = min(trained) if len(trained) > 1 else None
    return [
        Cell(
            number(ranks[model.label], _RANK_DECIMALS),
            "",
            repr(ranks[model.label]),
            model.trained and ranks[model.label] == best,
        )
        if model.label in ranks
        else Cell(MISSING, "", "", False)
        for model in results.models
    ]


def _note(results: Results, shared: Comparable, ranking: Ranking | None) -> str:
    """Over how many data sets a mean and a rank are, and what the ranks allow to say."""
    count, total = len(shared.datasets), len(results.datasets)
    if count < FEWEST_AVERAGED:
        return (
            f"Mean and rank: too few data sets ({count} of {total}) on which every compared model "
            "has a number."
        )
    over = f"Mean{' and rank' if ranking else ''} over the {count} of {total} data sets on which "
    over += f"all {len(shared.models)} compared models have a number."
    return over + (f" {ranking_text(ranking)}" if ranking else "")


def ranking_text(ranking: Ranking) -> str:
    """Friedman's test and the critical difference in words, or that there is too little."""
    if ranking.p is None or ranking.critical is None:
        return (
            f"Too few for a test of the ranks, which needs {FEWEST} data sets and "
            f"{FEWEST_RANKED} models."
        )
    return (
        f"Friedman's test of equal ranks: p {_equals(p_text(ranking.p))}; two ranks that differ by "
        f"less than {ranking.critical:.2f} (Nemenyi, 5{NO_BREAK}%) cannot be told apart."
    )


def _equals(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"
