"""Paired differences between models: per data set with an interval, over data sets with a test.

A pair is one data set and one seed that both models have. Seeds of one data set are not
independent data sets, so tests over a study are over the data sets' mean differences alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from twincode.report.metrics import (
    MAIN_READOUT,
    MISSING,
    Metric,
    decimals_for,
    metric_of,
    number,
    p_text,
    signed,
)
from twincode.report.models import (
    AUGMENTED_RECIPE,
    NAIVE_RECIPE,
    UNTRAINED_CONTINUOUS_RECIPE,
    UNTRAINED_RECIPE,
    Model,
)
from twincode.report.results import Results
from twincode.report.runs import Summary, summarise
from twincode.report.statistics import TOO_FEW, holm, interval, margin, signed_rank

if TYPE_CHECKING:
    import pandas as pd

_PROBED = ("svm_accuracy", "knn5_accuracy", "silhouette")
# An encoder that was never trained comes with a decoder that was not either.
_COMPARISONS = {
    NAIVE_RECIPE: ("the naive VQ-VAE", (*_PROBED, "reconstruction")),
    AUGMENTED_RECIPE: ("augmentation alone", (*_PROBED, "reconstruction")),
    UNTRAINED_RECIPE: ("an untrained encoder", _PROBED),
    UNTRAINED_CONTINUOUS_RECIPE: ("an untrained encoder without a codebook", _PROBED),
}
_COLUMNS = [
    *("model", "against", "metric", "better", "datasets", "pairs", "mean_difference"),
    *("datasets_higher", "datasets_lower", "p", "p_holm"),
]
_DATASET_COLUMNS = [
    *("dataset", "model", "against", "metric", "better", "pairs"),
    *("mean_difference", "std", "interval_low", "interval_high"),
]


@dataclass(frozen=True)
class Difference:
    """One metric of ``model`` minus that of ``base``: per data set over pairs, then over those.

    ``mean`` is over data sets, each of which counts the same. ``p`` and ``holm`` are None where
    there are too few data sets to test.
    """

    model: Model
    base: Model
    metric: Metric
    by_dataset: dict[str, Summary]
    p: float | None
    holm: float | None = None

    @property
    def datasets(self) -> int:
        """How many data sets have a pair."""
        return len(self.by_dataset)

    @property
    def pairs(self) -> int:
        """How many pairs of data set and seed there are."""
        return sum(each.count for each in self.by_dataset.values())

    @property
    def mean(self) -> float:
        """The mean over data sets."""
        return fmean(each.mean for each in self.by_dataset.values())

    @property
    def mean_text(self) -> str:
        """The mean with its sign."""
        return signed(self.mean, decimals_for(self.metric.name, [self.mean]))

    @property
    def signs(self) -> tuple[int, int]:
        """On how many data sets the model's number is the higher, and on how many the lower."""
        means = [each.mean for each in self.by_dataset.values()]
        return sum(mean > 0 for mean in means), sum(mean < 0 for mean in means)

    @property
    def p_text(self) -> str:
        """The p value as it is written, or that there was too little to test."""
        return TOO_FEW if self.p is None else p_text(self.p)

    @property
    def holm_text(self) -> str:
        """The corrected p value as it is written, a dash where there is none."""
        return MISSING if self.holm is None else p_text(self.holm)


def paired_differences(
    results: Results, metrics: Sequence[str] = (), readout: str = MAIN_READOUT
) -> list[Difference]:
    """Every comparison that has a pair, by what is compared with, then model, then metric.

    ``metrics`` asks for others than those a page shows. Holm's correction is over the models that
    are compared with the same base by the same metric (Demšar 2006, section 3.2.2), those with a
    twin loss apart from those without: they answer different questions.
    """
    found = list(_differences(results, metrics, readout))
    families: dict[tuple[str, str, bool], list[Difference]] = {}
    for entry in found:
        if entry.p is not None:
            family_of = (entry.base.label, entry.metric.name, entry.model.twin)
            families.setdefault(family_of, []).append(entry)
    corrected = {
        id(entry): p
        for family in families.values()
        for entry, p in zip(family, holm([e.p for e in family if e.p is not None]), strict=True)
    }
    return [replace(entry, holm=corrected.get(id(entry))) for entry in found]


def by_comparison(found: Sequence[Difference]) -> list[tuple[str, list[Difference]]]:
    """The paired differences under what they are against, in words; empty ones left out."""
    groups = [
        (words, [entry for entry in found if entry.base.method == method])
        for method, (words, _) in _COMPARISONS.items()
    ]
    return [group for group in groups if group[1]]


def difference_of(
    results: Results, model: Model, base: Model, name: str, readout: str = MAIN_READOUT
) -> Difference | None:
    """One metric of one model minus that of another, None where no pair has both."""
    ours, theirs = _values(results, model, name, readout), _values(results, base, name, readout)
    pairs: dict[str, list[float]] = {}
    for dataset, seed in ours:
        if (dataset, seed) in theirs:
            difference = ours[dataset, seed] - theirs[dataset, seed]
            pairs.setdefault(dataset, []).append(difference)
    if not pairs:
        return None
    by_dataset = {name: summarise(pairs[name]) for name in results.datasets if name in pairs}
    p = signed_rank([each.mean for each in by_dataset.values()])
    return Difference(model, base, metric_of(name), by_dataset, p)


def paired_frame(found: Sequence[Difference]) -> pd.DataFrame:
    """The paired differences over data sets as plain numbers, for a file."""
    import pandas as pd

    rows = [
        (
            *(entry.model.label, entry.base.label, entry.metric.name, entry.metric.better),
            *(entry.datasets, entry.pairs, entry.mean, *entry.signs, entry.p, entry.holm),
        )
        for entry in found
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def paired_dataset_frame(found: Sequence[Difference]) -> pd.DataFrame:
    """The paired differences of each data set with 95 % intervals over seeds, for a file."""
    import pandas as pd

    rows = [row for entry in found for row in _dataset_rows(entry)]
    return pd.DataFrame(rows, columns=_DATASET_COLUMNS)


def dataset_rows(
    found: Sequence[Difference], dataset: str
) -> tuple[list[Metric], list[tuple[Model, list[str]]]]:
    """The differences from the naive model on one data set: metrics, then a row per model."""
    own = [e for e in found if e.base.method == NAIVE_RECIPE and dataset in e.by_dataset]
    metrics = list(dict.fromkeys(entry.metric for entry in own))
    cells = {(e.model, e.metric): e.by_dataset[dataset] for e in own}
    decimals = {
        metric: decimals_for(metric.name, [v.mean for (_, m), v in cells.items() if m == metric])
        for metric in metrics
    }
    return metrics, [
        (
            model,
            [
                difference_text(cells[model, metric], decimals[metric])
                if (model, metric) in cells
                else MISSING
                for metric in metrics
            ],
        )
        for model in dict.fromkeys(entry.model for entry in own)
    ]


def difference_text(value: Summary, decimals: int) -> str:
    """A difference with its sign and what its seeds allow to say about it after a ±."""
    half = margin(value)
    text = signed(value.mean, decimals)
    return text if half is None else f"{text} ± {number(half, decimals)}"


def _dataset_rows(entry: Difference) -> Iterator[tuple[object, ...]]:
    for dataset, value in entry.by_dataset.items():
        ends = interval(value) or (math.nan, math.nan)
        names = (entry.model.label, entry.base.label, entry.metric.name, entry.metric.better)
        yield (dataset, *names, value.count, value.mean, value.spread, *ends)


def _differences(results: Results, metrics: Sequence[str], readout: str) -> Iterator[Difference]:
    models = results.models
    for method, (_, names) in _COMPARISONS.items():
        base = results.of_method(method)
        for model in models:
            if base and _compared(model, base):
                for name in metrics or names:
                    found = difference_of(results, model, base, name, readout)
                    yield from [found] if found else []


def _compared(model: Model, base: Model) -> bool:
    """Whether a page shows ``model`` minus ``base``: augmentation is a part of twin losses only."""
    if base.method == AUGMENTED_RECIPE:
        return model.twin
    return model.trained and model.method != base.method


def _values(
    results: Results, model: Model, name: str, readout: str
) -> dict[tuple[str, int], float]:
    """A model's finite final numbers by data set and seed; repeated runs give one, their mean."""
    key = (readout if metric_of(name).probe else "", name)
    found: dict[tuple[str, int], list[float]] = {}
    for run in results.of_label(model.label):
        value = run.final.get(key, math.nan)
        if math.isfinite(value):
            found.setdefault((run.dataset, run.seed), []).append(value)
    return {pair: fmean(values) for pair, values in found.items()}
