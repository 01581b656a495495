"""What a classifier makes of generated series."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def inception_score(probabilities: Floats, splits: int = 10, seed: int = 0) -> float:
    """exp of the mean KL(p(y | x), p(y)) of probabilities (n, classes), in ``splits`` parts.

    The series are shuffled first: parts of sorted ones hold few classes (Salimans et al., 2016).
    """
    order = np.random.default_rng(seed).permutation(len(probabilities))
    p = np.asarray(probabilities, np.float64)[order].clip(1e-16)
    scores = []
    for part in np.array_split(p, min(splits, len(p))):
        divergence = part * (np.log(part) - np.log(part.mean(0)))
        scores.append(np.exp(divergence.sum(1).mean()))
    return float(np.mean(scores))


def agreement(probabilities: Floats, y: NDArray[np.integer]) -> float:
    """The share of series that the classifier gives the class y (n,) they were drawn for."""
    return float((probabilities.argmax(1) == y).mean())
