"""Whether generated series are train series once more."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Tokens = NDArray[np.integer]


def nearest_distances(x: Floats, train: Floats) -> Floats:
    """The distance (n,) of each series of x (n, C, L) to the nearest of train."""
    return _neighbours(x, train)[0][:, 0]


def nearest_rows(x: Floats, train: Floats) -> NDArray[np.integer]:
    """Which series (n,) of train is the nearest to each of x (n, C, L)."""
    return _neighbours(x, train)[1][:, 0]


def memorised(samples: Floats, test: Floats, train: Floats) -> dict[str, float]:
    """How near samples are to train, by how near test is; test and train through the codes.

    ``memorised_distance`` is the ratio of median distances, ``memorised_share`` the share of
    samples nearer to train than all but 1 % of test.
    """
    own, usual = nearest_distances(samples, train), nearest_distances(test, train)
    return {
        "memorised_distance": float(np.median(own)) / max(float(np.median(usual)), 1e-12),
        "memorised_share": float((own < np.quantile(usual, 0.01)).mean()),
    }


def repeated_share(tokens: Tokens, train: Tokens) -> float:
    """The share of grids (n, N) that stand in train, code for code."""
    known = {row.tobytes() for row in np.ascontiguousarray(train, np.int64)}
    rows = np.ascontiguousarray(tokens, np.int64)
    return float(np.mean([row.tobytes() in known for row in rows]))


def _neighbours(x: Floats, train: Floats) -> tuple[Floats, NDArray[np.integer]]:
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(train.reshape(len(train), -1))
    distances, rows = index.kneighbors(x.reshape(len(x), -1))
    return distances, rows
