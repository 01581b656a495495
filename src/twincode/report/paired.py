"""Paired differences between twin models and what they are compared with, tested over a study.

A pair is one data set and one seed that both models have. Tests are those of Wilcoxon (1945),
"Individual comparisons by ranking methods", corrected as in Holm (1979), "A simple sequentially
rejective multiple test procedure".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from twincode.report.metrics import (
    MAIN_READOUT,
    MISSING,
    Metric,
    decimals_for,
    metric_of,
    number,
)
from twincode.report.models import (
    AUGMENTED_RECIPE,
    NAIVE_RECIPE,
    UNTRAINED_RECIPE,
    Model,
    models_of,
)
from twincode.report.results import Results

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 6  # with fewer, no two-sided signed-rank test can reach 0.05
TOO_FEW = "too few"
_PROBED = ("svm_accuracy", "knn5_accuracy", "silhouette")
# An encoder that was never trained comes with a decoder that was not either.
_COMPARISONS = {
    NAIVE_RECIPE: ("the naive VQ-VAE", (*_PROBED, "reconstruction")),
    AUGMENTED_RECIPE: ("augmentation alone", (*_PROBED, "reconstruction")),
    UNTRAINED_RECIPE: ("an untrained encoder", _PROBED),
}
_P_DECIMALS = 3
_SMALLEST_P = 0.001
_EXACT_DECIMALS = 12  # equal steps of an accuracy differ by rounding beyond these
_COLUMNS = [
    *("model", "against", "metric", "better", "datasets", "pairs"),
    *("mean_difference", "unit", "p", "p_holm"),
]

# (data set, seed) -> a number
ByPair = dict[tuple[str, int], float]


@dataclass(frozen=True)
class Difference:
    """One metric of a twin model minus that of ``base``, over all pairs.

    ``mean`` is over data sets, each of which counts the same. ``unit`` says what the test was
    over; it is empty, and ``p`` and ``holm`` are None, where there was too little to test.
    """

    model: Model
    base: Model
    metric: Metric
    datasets: int
    pairs: int
    mean: float
    unit: str
    p: float | None
    holm: float | None = None

    @property
    def mean_text(self) -> str:
        """The mean with its sign."""
        text = number(self.mean, decimals_for(self.metric.name, [self.mean]))
        return f"+{text}" if self.mean > 0 else text

    @property
    def p_text(self) -> str:
        """The p value as it is written, or that there was too little to test."""
        return TOO_FEW if self.p is None else _p_text(self.p)

    @property
    def holm_text(self) -> str:
        """The corrected p value as it is written, a dash where there is none."""
        return MISSING if self.holm is None else _p_text(self.holm)


def paired_differences(results: Results) -> list[Difference]:
    """Every comparison that has a pair, by what is compared with, then twin model, then metric."""
    found = list(_differences(results))
    corrected = iter(holm([entry.p for entry in found if entry.p is not None]))
    return [entry if entry.p is None else replace(entry, holm=next(corrected)) for entry in found]


def by_comparison(results: Results) -> list[tuple[str, list[Difference]]]:
    """The paired differences under what they are against, in words; empty ones left out."""
    found = paired_differences(results)
    groups = [
        (words, [entry for entry in found if entry.base.method == method])
        for method, (words, _) in _COMPARISONS.items()
    ]
    return [group for group in groups if group[1]]


def paired_frame(results: Results) -> pd.DataFrame:
    """The paired differences as plain numbers, for a file."""
    import pandas as pd

    rows = [
        (
            *(entry.model.label, entry.base.label, entry.metric.name, entry.metric.better),
            *(entry.datasets, entry.pairs, entry.mean, entry.unit, entry.p, entry.holm),
        )
        for entry in paired_differences(results)
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def signed_rank(differences: Sequence[float]) -> float:
    """Two-sided p value of the Wilcoxon signed-rank test (Wilcoxon 1945).

    Zeros are split between the signs (``zsplit``); where all are zero, p is 1.
    """
    from scipy.stats import wilcoxon

    rounded = np.round(differences, _EXACT_DECIMALS)
    return float(wilcoxon(rounded, zero_method="zsplit").pvalue) if rounded.any() else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values by Holm's step-down procedure (Holm 1979), in the order given.

    The smallest of m values is multiplied by m, the next by m - 1, and so on; none ends below a
    smaller one's, nor above 1.
    """
    adjusted, floor = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, place in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = floor
    return adjusted


def _differences(results: Results) -> Iterator[Difference]:
    models = models_of(results.runs)
    for method, (_, names) in _COMPARISONS.items():
        base = next((model for model in models if model.method == method), None)
        for twin in (model for model in models if model.twin):
            for metric in map(metric_of, names):
                if base and (pairs := _pairs(results, twin, base, metric)):
                    yield _difference(twin, base, metric, pairs)


def _pairs(results: Results, twin: Model, base: Model, metric: Metric) -> ByPair:
    ours, theirs = _values(results, twin, metric), _values(results, base, metric)
    return {pair: ours[pair] - theirs[pair] for pair in ours if pair in theirs}


def _values(results: Results, model: Model, metric: Metric) -> ByPair:
    """A model's finite final numbers; runs that share data set and seed give one, their mean."""
    key = (MAIN_READOUT if metric.probe else "", metric.name)
    found: dict[tuple[str, int], list[float]] = {}
    for run in results.runs:
        value = run.final.get(key, math.nan)
        if run.label == model.label and math.isfinite(value):
            found.setdefault((run.dataset, run.seed), []).append(value)
    return {pair: fmean(values) for pair, values in found.items()}


def _difference(twin: Model, base: Model, metric: Metric, pairs: ByPair) -> Difference:
    means = _dataset_means(pairs)
    unit, tested = _unit(means, list(pairs.values()))
    p = signed_rank(tested) if tested else None
    return Difference(twin, base, metric, len(means), len(pairs), fmean(means), unit, p)


def _dataset_means(pairs: ByPair) -> list[float]:
    by_dataset: dict[str, list[float]] = {}
    for (dataset, _), difference in pairs.items():
        by_dataset.setdefault(dataset, []).append(difference)
    return [fmean(differences) for differences in by_dataset.values()]


def _unit(means: list[float], pairs: list[float]) -> tuple[str, list[float]]:
    """What a test is over: data sets where there are enough, else pairs, else nothing."""
    if len(means) >= FEWEST:
        return "data sets", means
    return ("pairs", pairs) if len(pairs) >= FEWEST else ("", [])


def _p_text(p: float) -> str:
    return f"< {_SMALLEST_P}" if p < _SMALLEST_P else number(p, _P_DECIMALS)
