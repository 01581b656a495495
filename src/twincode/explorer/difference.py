"""What a code stands for: the mean difference that it makes to decoded series where it occurs."""

import numpy as np
from numpy.typing import NDArray

from twincode.explorer.rows import Codes, Counts, Floats


def replacements(counts: Counts) -> Codes:
    """What each code of a row is replaced by (K,), given how often each occurs (K,).

    That is the most frequent code of the row, and for this one the next; of equally frequent ones
    the first. -1 where no other code occurs.
    """
    first, *others = np.argsort(-counts, kind="stable").tolist()
    chosen = np.full(len(counts), first)
    chosen[first] = next((other for other in others if counts[other]), -1)
    return chosen


def aligned(difference: NDArray[np.float32], starts: Counts, before: int, steps: int) -> Floats:
    """Differences (m, C, L) around places (m, C, steps), NaN beyond the series.

    Each begins ``before`` steps before its place in ``starts`` (m,).
    """
    m, _, L = difference.shape
    at = starts[:, None] - before + np.arange(steps)
    inside = (at >= 0) & (at < L)
    found = difference[np.arange(m)[:, None], :, at.clip(0, L - 1)].transpose(0, 2, 1)
    return np.where(inside[:, None], found, np.nan)


def mean_of_known(values: Floats) -> Floats:
    """The mean over the first axis of what is not NaN; NaN where all is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(0)
    return np.divide(total, known.sum(0), out=np.full(total.shape, np.nan), where=known.any(0))


def nearest(values: Floats, mean: Floats) -> NDArray[np.int64]:
    """The order (m,) of differences (m, C, steps) by how near they come to their mean.

    Nearness is the mean squared distance over the steps that lie in the series.
    """
    distance = mean_of_known(np.square(values - mean).reshape(len(values), -1).T)
    return np.argsort(distance, kind="stable")
