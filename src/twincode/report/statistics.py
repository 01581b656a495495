"""Intervals, ranks and tests over seeds and data sets; pure functions of numbers.

Ranks and the critical difference follow Demšar (2006), "Statistical comparisons of classifiers
over multiple data sets": Friedman's test over average ranks, then Nemenyi's. Pairs are tested as
in Wilcoxon (1945), "Individual comparisons by ranking methods", and corrected as in Holm (1979),
"A simple sequentially rejective multiple test procedure".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from twincode.report.runs import Summary

FEWEST = 6  # data sets; with fewer, no two-sided signed-rank test can reach 0.05
FEWEST_RANKED = 3  # models; two are compared by a signed-rank test
FEWEST_SEEDS = 3  # of two, Student's t is 12.7: an interval that says nothing
CONFIDENCE = 0.95
TOO_FEW = "too few"
_EXACT_DECIMALS = 12  # equal steps of an accuracy differ by rounding beyond these


@dataclass(frozen=True)
class Ranking:
    """Average ranks of models over data sets, 1 the best; ties share their mean rank.

    ``p`` is Friedman's, ``critical`` Nemenyi's critical difference at 5 %: two models whose ranks
    differ by less cannot be told apart. Both are None over too few data sets or models.
    """

    labels: tuple[str, ...]
    ranks: tuple[float, ...]
    datasets: int
    p: float | None
    critical: float | None


def half_interval(spread: float | None, count: int) -> float | None:
    """Half the width of the 95 % confidence interval of a mean, by Student's t.

    ``spread`` is the sample standard deviation of ``count`` numbers; None for too few of them.
    """
    if spread is None or count < FEWEST_SEEDS:
        return None
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(count)


def interval(value: Summary) -> tuple[float, float] | None:
    """The 95 % confidence interval of a mean over seeds; None without one."""
    half = half_interval(value.spread, value.count)
    return None if half is None else (value.mean - half, value.mean + half)


def margin(value: Summary) -> float | None:
    """What stands behind a ±: half the 95 % interval; of two numbers half the distance of the two.

    None for one number.
    """
    if value.count == 2 and value.spread is not None:
        return value.spread / math.sqrt(2)
    return half_interval(value.spread, value.count)


def rank_models(labels: Sequence[str], values: NDArray, better: str) -> Ranking:
    """Rank the models over data sets by ``values`` (data sets, models).

    ``better`` is ``"higher"`` or ``"lower"``; every value must be finite.
    """
    from scipy.stats import rankdata

    datasets, count = values.shape
    rounded = np.round(values, _EXACT_DECIMALS)
    ranks = rankdata(-rounded if better == "higher" else rounded, axis=1).mean(axis=0)
    enough = datasets >= FEWEST and count >= FEWEST_RANKED
    return Ranking(
        labels=tuple(labels),
        ranks=tuple(ranks.tolist()),
        datasets=datasets,
        p=friedman(rounded) if enough else None,
        critical=nemenyi_difference(count, datasets) if enough else None,
    )


def friedman(values: NDArray) -> float:
    """p value of Friedman's test over ``values`` (data sets, models); 1 where all are equal."""
    from scipy.stats import friedmanchisquare

    if (values == values[:, :1]).all():
        return 1.0
    return float(friedmanchisquare(*values.T).pvalue)


@lru_cache(maxsize=64)
def nemenyi_difference(models: int, datasets: int) -> float:
    """Nemenyi's critical difference of average ranks at 5 % (Demšar 2006, section 3.2.2).

    The studentised range statistic divided by the root of 2, times sqrt(k (k + 1) / (6 N)).
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(CONFIDENCE, models, math.inf)) / math.sqrt(2)
    return q * math.sqrt(models * (models + 1) / (6 * datasets))


def cliques(ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """The largest runs of sorted ``ranks`` that lie within ``critical``, as (first, last) places.

    Runs of one are left out, and so are those inside a larger one.
    """
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(place for place, other in enumerate(ranks) if other - rank <= critical)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def signed_rank(differences: Sequence[float]) -> float | None:
    """Two-sided p value of the Wilcoxon signed-rank test over data sets' mean differences.

    Zeros are split between the signs (``zsplit``); where all are zero, p is 1. None for fewer
    than ``FEWEST`` differences.
    """
    if len(differences) < FEWEST:
        return None
    from scipy.stats import wilcoxon

    rounded = np.round(differences, _EXACT_DECIMALS)
    return float(wilcoxon(rounded, zero_method="zsplit").pvalue) if rounded.any() else 1.0


def smallest_p(differences: int) -> float:
    """The least two-sided p that a signed-rank test can give: all of one sign, one way in 2^n."""
    return min(1.0, 2.0 ** (1 - differences))


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
