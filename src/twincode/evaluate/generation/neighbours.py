"""How far two sets of features reach into one another, by nearest neighbours."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

K = 5


def neighbour_scores(samples: Floats, real: Floats, k: int = K) -> dict[str, float]:
    """``precision``, ``recall``, ``density`` and ``coverage`` of samples (n, F) and real (m, F).

    A ball around each point reaches to its k-th neighbour in its own set. Precision is the share of
    samples in a ball of the real, recall that of the real in a ball of the samples (Kynkaanniemi et
    al., 2019); density counts the balls a sample is in, over k, and coverage is the share of the
    real balls that hold a sample (Naeem et al., 2020). What lies on the edge of a ball is in it, so
    that copies count.
    """
    from scipy.spatial.distance import cdist

    samples, real = np.asarray(samples, np.float64), np.asarray(real, np.float64)
    k = min(k, len(real) - 1, len(samples) - 1)
    across = cdist(real, samples)  # (m, n)
    of_real, of_samples = _radii(real, k), _radii(samples, k)
    in_real = across <= of_real[:, None]
    return {
        "precision": float(in_real.any(0).mean()),
        "recall": float((across <= of_samples).any(1).mean()),
        "density": float(in_real.sum(0).mean() / k),
        "coverage": float(in_real.any(1).mean()),
    }


def _radii(x: Floats, k: int) -> Floats:
    """The distance (n,) of each point to its k-th neighbour, itself not counted."""
    from scipy.spatial.distance import pdist, squareform

    radii: Floats = np.partition(squareform(pdist(x)), k, axis=1)[:, k]
    return radii
