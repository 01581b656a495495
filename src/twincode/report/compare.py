"""Comparisons: numbers over data sets, ranks, and paired differences with one test.

Ranks and the critical difference follow Demšar (2006), "Statistical comparisons of classifiers
over multiple data sets": Friedman's test, then Nemenyi's. A pair is one data set and one seed that
both models have. Differences are tested over data sets' means alone, since seeds of one data set
are not independent data sets: Wilcoxon (1945), corrected as in Holm (1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twincode.report.metrics import MISSING, Measure, decimals_for, number
from twincode.report.models import AUGMENTED, NAIVE, Model, nearest
from twincode.report.runs import Results

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 6  # data sets; with fewer, no two-sided signed-rank test can reach 0.05
FEWEST_RANKED = 3  # models; two are compared by a signed-rank test
FEWEST_SEEDS = 3  # of two, Student's t is 12.7: an interval that says nothing
_EXACT_DECIMALS = 12  # equal steps of an accuracy differ by rounding beyond these
_PERMUTED = 13  # data sets; ties among more are left to the normal approximation


def half_interval(spread: float, count: int) -> float:
    """Half the 95 % confidence interval of a mean by Student's t; NaN for fewer than 3 numbers."""
    from scipy.special import stdtrit

    if count < FEWEST_SEEDS:
        return math.nan
    return float(stdtrit(count - 1, 0.975)) * spread / math.sqrt(count)


def signed_rank(differences: Sequence[float]) -> float:
    """Two-sided p of the Wilcoxon signed-rank test, zeros split between the signs; 1 where all are.

    Exact, with ties too up to 13 differences. NaN for fewer than 6.
    """
    from scipy.stats import PermutationMethod, wilcoxon

    rounded = np.round(differences, _EXACT_DECIMALS)
    if len(rounded) < FEWEST:
        return math.nan
    if not rounded.any():
        return 1.0
    sizes = np.abs(rounded)
    method: object = "exact" if len(rounded) <= 50 else "auto"
    if len(np.unique(sizes)) < len(sizes) or not sizes.all():
        every = PermutationMethod(n_resamples=2 ** len(rounded))
        method = every if len(rounded) <= _PERMUTED else "auto"
    return float(wilcoxon(rounded, zero_method="zsplit", method=method).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values by Holm's step-down procedure, in the order given.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none ends below a smaller
    one's, nor above 1. NaN is no test: it is not counted and stays NaN.
    """
    adjusted, floor = [math.nan] * len(p_values), 0.0
    tested = [place for place, p in enumerate(p_values) if not math.isnan(p)]
    for rank, place in enumerate(sorted(tested, key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (len(tested) - rank) * p_values[place]))
        adjusted[place] = floor
    return adjusted


def average_ranks(values: NDArray, better: str) -> NDArray:
    """Average ranks of models over data sets, 1 the best, ties sharing: (N, models) -> (models,).

    ``better`` is ``"higher"`` or ``"lower"``; every value must be finite.
    """
    from scipy.stats import rankdata

    rounded = np.round(values, _EXACT_DECIMALS)
    ranks: NDArray = rankdata(-rounded if better == "higher" else rounded, axis=1).mean(axis=0)
    return ranks


def friedman(values: NDArray) -> float:
    """p of Friedman's test over ``values`` (N, models); 1 where all models are equal."""
    from scipy.stats import friedmanchisquare

    rounded = np.round(values, _EXACT_DECIMALS)
    if (rounded == rounded[:, :1]).all():
        return 1.0
    return float(friedmanchisquare(*rounded.T).pvalue)


@lru_cache(maxsize=64)
def critical_difference(models: int, datasets: int) -> float:
    """Nemenyi's critical difference of average ranks at 5 % (Demšar 2006, section 3.2.2).

    The studentised range statistic divided by the root of 2, times sqrt(k (k + 1) / (6 N)).
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(0.95, models, math.inf)) / math.sqrt(2)
    return q * math.sqrt(models * (models + 1) / (6 * datasets))


def comparable(results: Results, measure: Measure) -> pd.DataFrame:
    """The means over seeds of the models that can be compared: a row a data set, a column a model.

    Models with a number on fewer than half of the data sets are left out, then data sets on which
    one of the others has none. Errors of untrained decoders are never compared.
    """
    final = results.final
    chosen = final[(final.metric == measure.metric.name) & (final.readout == measure.readout)]
    table = chosen.pivot(index="dataset", columns="model", values="mean")
    kept = [
        model.label
        for model in results.models
        if model.label in table
        and (model.trained or measure.readout)
        and table[model.label].count() * 2 >= len(results.datasets)
    ]
    return table.reindex(index=results.datasets, columns=kept).dropna()


def ranks(results: Results, measure: Measure) -> pd.DataFrame | None:
    """Models by average rank: model, rank, mean, datasets, p (Friedman's) and critical difference.

    p and critical are NaN over fewer than 6 data sets or 3 models. None where ranks mean nothing:
    one data set, one model, or a measure without a better direction.
    """
    import pandas as pd

    table = comparable(results, measure)
    count, models = table.shape
    if not measure.metric.better or count < 2 or models < 2:
        return None
    values = table.to_numpy()
    enough = count >= FEWEST and models >= FEWEST_RANKED
    return pd.DataFrame(
        {
            "model": table.columns,
            "rank": average_ranks(values, measure.metric.better),
            "mean": values.mean(axis=0),
            "datasets": count,
            "p": friedman(values) if enough else math.nan,
            "critical": critical_difference(models, count) if enough else math.nan,
        }
    )


def references(results: Results) -> Iterator[tuple[str, list[tuple[Model, Model]]]]:
    """What trained models are compared with: a heading, and pairs of a model and its base.

    The naive model (the first one where there is none), augmentation alone for twin models, and
    every untrained encoder. Of several bases a model has the one that differs least from it.
    """
    trained = [model for model in results.models if model.trained]
    naive = [model for model in trained if model.method == NAIVE]
    augmented = [model for model in trained if model.method == AUGMENTED]
    if not naive or len(naive) == len(trained):
        naive = trained[:1]
    groups = [(naive, trained), (augmented, [model for model in trained if model.twin])]
    untrained: dict[str, list[Model]] = {}
    for model in results.models:
        if not model.trained and model.settings["quantizer"] != "none":
            untrained.setdefault(model.method, []).append(model)
    groups += [(bases, trained) for bases in untrained.values()]
    for bases, models in groups:
        pairs = [
            (each, base) for each in models if each not in bases and (base := nearest(each, bases))
        ]
        if pairs:
            yield bases[0].title, pairs


def differences(results: Results) -> pd.DataFrame:
    """Paired differences on each data set, model minus base, of the main measures.

    Columns: against, model, base, metric, readout, better, dataset, pairs, mean, std, low, high,
    the last two a 95 % interval over seeds.
    """
    import pandas as pd

    names = ["readout", "metric", "dataset", "seed"]
    wide = results.last.pivot_table("value", names, "model", sort=False)
    shown = pd.DataFrame(
        [(m.readout, m.metric.name, m.metric.better, place)
         for place, m in enumerate(results.main_measures)],
        columns=["readout", "metric", "better", "place"],
    )  # fmt: skip
    parts = []
    for against, pairs in references(results):
        for model, base in pairs:
            found = (wide[model.label] - wide[base.label]).dropna()
            own = found.groupby(names[:-1], sort=False).agg(["count", "mean", "std"]).reset_index()
            own = own.merge(shown, on=["readout", "metric"]).assign(
                against=against, model=model.label, base=base.label, part=len(parts)
            )
            parts.append(own if base.trained else own[own.readout != ""])
    columns = ["against", "model", "base", "metric", "readout", "better", "dataset", "pairs"]
    columns += ["mean", "std", "low", "high"]
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True).rename(columns={"count": "pairs"})
    half = [half_interval(*each) for each in zip(table["std"], table.pairs, strict=True)]
    table = table.assign(low=table["mean"] - half, high=table["mean"] + half)
    order = {name: place for place, name in enumerate(results.datasets)}
    table = table.assign(at=table.dataset.map(order))
    return table.sort_values(["part", "place", "at"], kind="stable", ignore_index=True)[columns]


def paired(results: Results, by_dataset: pd.DataFrame) -> pd.DataFrame:
    """The differences over data sets, each counting the same, with the signed-rank test.

    Holm's correction is over the models that are compared with one base by one measure, those
    with a twin loss apart from those without: they answer different questions.
    """
    import pandas as pd

    twins = {model.label: model.twin for model in results.models}
    names = ["against", "model", "base", "metric", "readout", "better"]
    rows = [
        (
            *key,
            *(len(part), int(part.pairs.sum()), float(part["mean"].mean())),
            *(int((part["mean"] > 0).sum()), int((part["mean"] < 0).sum())),
            signed_rank(part["mean"].tolist()),
        )
        for key, part in by_dataset.groupby(names, sort=False)
    ]
    measured = ["datasets", "pairs", "mean", "higher", "lower", "p"]
    table = pd.DataFrame(rows, columns=[*names, *measured]).assign(p_holm=math.nan)
    twin = table.model.map(twins)
    for _, part in table.groupby(["against", "metric", "readout", twin], sort=False):
        table.loc[part.index, "p_holm"] = holm(part.p.tolist())
    return table


def summary_table(results: Results) -> pd.DataFrame:
    """The final numbers as text, one row per data set and model, for a terminal.

    Columns: data set, model, seeds, then ``mean ± spread`` of up to four measures of the codes
    under the main readout, the first error, and the first number without a better direction.
    """
    import pandas as pd

    whole = [m for m in results.measures if not m.readout]
    shown = [m for m in results.main_measures if m.readout][:4]
    shown += [m for m in whole if m.metric.better][:1]
    shown += [m for m in whole if not m.metric.better and m.metric.name != "seconds"][:1]
    values = texts(results)
    seeds = results.last.groupby(["dataset", "model"]).seed.nunique()
    rows = [
        [dataset, model.label, int(seeds[dataset, model.label]),
         *(values.get((dataset, model.label, m), MISSING) for m in shown)]
        for dataset in results.datasets
        for model in results.models
        if (dataset, model.label) in seeds.index
    ]  # fmt: skip
    return pd.DataFrame(
        rows, columns=["data set", "model", "seeds", *(m.metric.title for m in shown)]
    )


def texts(results: Results) -> dict[tuple[str, str, Measure], str]:
    """Every final number as ``mean ± spread`` by data set, model and measure."""
    measures = {(m.metric.name, m.readout): m for m in results.measures}
    found = {}
    for (dataset, name, readout), part in results.final.groupby(
        ["dataset", "metric", "readout"], sort=False
    ):
        decimals = decimals_for(part["mean"])
        for model, mean, std in zip(part.model, part["mean"], part["std"], strict=True):
            spread = f" ± {number(std, decimals)}" if math.isfinite(std) else ""
            found[dataset, model, measures[name, readout]] = number(mean, decimals) + spread
    return found
