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


def memorised(own: Floats, usual: Floats) -> dict[str, float]:
    """How near samples are to train (n,), by how near test is (m,), as ``nearest_distances`` tell.

    ``memorised_distance`` is the ratio of median distances, left out where that of test is 0;
    ``memorised_share`` the share of samples nearer to train than all but 1 % of test, or, where
    that part of test is in train, of samples that are.
    """
    near, middle = float(np.quantile(usual, 0.01)), float(np.median(usual))
    found = {"memorised_share": float((own < near if near else own == 0).mean())}
    if middle:
        found["memorised_distance"] = float(np.median(own)) / middle
    return found


def repeated_share(tokens: Tokens, train: Tokens) -> float:
    """The share of grids (n, N) that stand in train, code for code."""
    known = {row.tobytes() for row in np.ascontiguousarray(train, np.int64)}
    rows = np.ascontiguousarray(tokens, np.int64)
    return float(np.mean([row.tobytes() in known for row in rows]))


def _neighbours(x: Floats, train: Floats) -> tuple[Floats, NDArray[np.integer]]:
    from sklearn.neighbors import NearestNeighbors

    known, asked = train.reshape(len(train), -1), x.reshape(len(x), -1)
    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(known)
    distances, rows = index.kneighbors(asked)
    # Found by products, whose rounding hides that two series are one.
    same = (asked == known[rows[:, 0]]).all(1)
    return np.where(same[:, None], 0, distances), rows
