"""Comparisons: numbers over data sets, ranks, and paired differences with one test.

Ranks and the critical difference follow Demšar (2006), "Statistical comparisons of classifiers
over multiple data sets": Friedman's test, then Nemenyi's. A pair is one data set and one seed that
both models have. Differences are tested over data sets' means alone, since seeds of one data set
are not independent data sets: Wilcoxon (1945), corrected as in Holm (1979).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import PermutationMethod, friedmanchisquare, rankdata, studentized_range, wilcoxon

from twincode.report.metrics import Measure
from twincode.report.models import AUGMENTED, NAIVE, Model
from twincode.report.runs import Results, Summary, summary

FEWEST = 6  # data sets; with fewer, no two-sided signed-rank test can reach 0.05
FEWEST_RANKED = 3  # models; two are compared by a signed-rank test
FEWEST_SEEDS = 3  # of two, Student's t is 12.7: an interval that says nothing
_EXACT_DECIMALS = 12  # equal steps of an accuracy differ by rounding beyond these


class Ranking(NamedTuple):
    """Average ranks of models by label, 1 the best; Friedman's p and Nemenyi's difference at 5 %.

    The latter are NaN over fewer than 6 data sets or 3 models.
    """

    ranks: dict[str, float]
    p: float
    critical: float


@dataclass
class Difference:
    """One measure of ``model`` minus that of ``base``: over pairs on each data set, then over all.

    ``against`` names what models are compared with; ``higher`` and ``lower`` count data sets.
    ``p`` and ``holm`` are NaN without a test.
    """

    against: str
    model: Model
    base: Model
    measure: Measure
    by_dataset: dict[str, Summary]
    holm: float = math.nan

    def __post_init__(self) -> None:
        means = [value.mean for value in self.by_dataset.values()]
        self.mean, self.p = fmean(means), signed_rank(means)
        self.pairs = sum(value.n for value in self.by_dataset.values())
        signs = np.sign(np.round(means, _EXACT_DECIMALS))
        self.higher, self.lower = int((signs > 0).sum()), int((signs < 0).sum())


def half_interval(value: Summary) -> float:
    """Half the 95 % confidence interval of a mean by Student's t; NaN for fewer than 3 numbers."""
    if value.n < FEWEST_SEEDS:
        return math.nan
    return float(stdtrit(value.n - 1, 0.975)) * value.std / math.sqrt(value.n)


def signed_rank(differences: Sequence[float]) -> float:
    """Two-sided p of the Wilcoxon signed-rank test, zeros split between the signs; 1 where all are.

    Exact, with ties too up to 13 differences. NaN for fewer than 6.
    """
    rounded = np.round(differences, _EXACT_DECIMALS)
    count = len(rounded)
    if count < FEWEST:
        return math.nan
    if not rounded.any():
        return 1.0
    method = "exact" if count <= 50 else "auto"
    if len(np.unique(np.abs(rounded))) < count or not rounded.all():  # SciPy's exact wants no ties
        method = PermutationMethod(n_resamples=2**count) if count <= 13 else "auto"
    return float(wilcoxon(rounded, zero_method="zsplit", method=method).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values by Holm's step-down procedure, in the order given; NaN stays uncounted.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none ends below a smaller
    one's, nor above 1.
    """
    adjusted, floor = [math.nan] * len(p_values), 0.0
    tested = [place for place, p in enumerate(p_values) if not math.isnan(p)]
    for rank, place in enumerate(sorted(tested, key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (len(tested) - rank) * p_values[place]))
        adjusted[place] = floor
    return adjusted


def friedman(values: NDArray) -> float:
    """p of Friedman's test over ``values`` (N, models); 1 where all models are equal."""
    if (values == values[:, :1]).all():
        return 1.0
    return float(friedmanchisquare(*values.T).pvalue)


@lru_cache(maxsize=64)
def critical_difference(models: int, datasets: int) -> float:
    """Nemenyi's critical difference of average ranks at 5 % (Demšar 2006, section 3.2.2).

    The studentised range statistic divided by the root of 2, times sqrt(k (k + 1) / (6 N)).
    """
    q = float(studentized_range.ppf(0.95, models, math.inf)) / math.sqrt(2)
    return q * math.sqrt(models * (models + 1) / (6 * datasets))


def comparable(results: Results, measure: Measure) -> pd.DataFrame:
    """The means over seeds of the models that can be compared: a row a data set, a column a model.

    Models with a number on fewer than half of the data sets are left out, then data sets on which
    one of the others has none. Errors of untrained decoders are never compared.
    """
    found: dict[str, list[float]] = {}
    for model in results.models:
        if model.fitted or measure.readout:
            keys = ((dataset, model.label, measure.key) for dataset in results.datasets)
            found[model.label] = [results.mean(*key) for key in keys]
    return shared(pd.DataFrame(found, index=list(results.datasets), dtype=float))


def shared(table: pd.DataFrame) -> pd.DataFrame:
    """The part without gaps: models (columns) that have at least half of the data sets (rows), then
    the data sets that all of those have.
    """
    return table.loc[:, table.notna().mean() >= 0.5].dropna()


def ranking(results: Results, measure: Measure) -> Ranking | None:
    """Average ranks of comparable models, ties sharing; None where ranks mean nothing."""
    table = comparable(results, measure)
    count, models = table.shape
    if not measure.better or count < 2 or models < 2:
        return None
    values = np.round(table.to_numpy(), _EXACT_DECIMALS)
    ranks = rankdata(-values if measure.better == "higher" else values, axis=1).mean(axis=0)
    enough = count >= FEWEST and models >= FEWEST_RANKED
    return Ranking(
        dict(zip(map(str, table.columns), ranks.tolist(), strict=True)),
        friedman(values) if enough else math.nan,
        critical_difference(models, count) if enough else math.nan,
    )


def references(results: Results) -> Iterator[tuple[str, list[tuple[Model, Model]]]]:
    """What fitted models are compared with: a title, and pairs of a model and its base.

    The naive model (the first one where there is none), augmentation alone for twin models, and
    every untrained encoder. Of several bases a model has the one that differs least from it, of
    equally near ones that with the most runs in common.
    """
    fitted = [model for model in results.models if model.fitted]
    methods = [model.method for model in fitted]
    first = NAIVE if NAIVE in methods else next(iter(methods), "")
    naive, augmented = (
        [model for model in fitted if model.method == method] for method in (first, AUGMENTED)
    )
    groups = [(naive[:1] if naive == fitted else naive, fitted)]
    if first != AUGMENTED:
        groups.append((augmented, [model for model in fitted if model.twin]))
    controls = [m for m in results.models if not m.fitted and not m.is_raw]
    for method in dict.fromkeys(model.method for model in controls):
        groups.append(([model for model in controls if model.method == method], fitted))
    for bases, models in groups:
        pairs = [(m, _nearest(results, m, bases)) for m in models if bases and m not in bases]
        if pairs:
            yield bases[0].title, pairs


def _nearest(results: Results, model: Model, bases: Sequence[Model]) -> Model:
    ours = results.cells[model.label]
    return min(
        bases, key=lambda base: (model.distance(base), -len(ours & results.cells[base.label]))
    )


def differences(results: Results) -> list[Difference]:
    """Every paired difference of the main measures that has a pair.

    Holm's correction is over the models that are compared with one base by one measure, those
    with a twin loss apart from those without: they answer different questions.
    """
    found = []
    for against, pairs in references(results):
        families: dict[tuple[str, bool], list[Difference]] = {}
        for model, base in pairs:
            for measure in results.main_measures:
                by_dataset = _paired(results, model, base, measure)
                if by_dataset and (base.fitted or measure.readout):
                    entry = Difference(against, model, base, measure, by_dataset)
                    families.setdefault((measure.key, model.twin), []).append(entry)
                    found.append(entry)
        for family in families.values():
            for entry, adjusted in zip(family, holm([e.p for e in family]), strict=True):
                entry.holm = adjusted
    return found


def _paired(results: Results, model: Model, base: Model, measure: Measure) -> dict[str, Summary]:
    """The differences over the seeds that both have, by data set."""
    found = {}
    for dataset in results.datasets:
        ours = results.last.get((dataset, model.label, measure.key), {})
        theirs = results.last.get((dataset, base.label, measure.key), {})
        own = [fmean(ours[seed]) - fmean(theirs[seed]) for seed in ours if seed in theirs]
        if own:
            found[dataset] = summary(own)
    return found
