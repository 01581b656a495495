"""Many points, worked on some rows at a time, so that memory stays bounded."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

# Values in a block of points, or of distances.
BLOCK_VALUES = 2**20


def blocks(n: int, width: int) -> Iterator[slice]:
    """Slices that cover n rows of ``width`` values, each of about BLOCK_VALUES values."""
    step = max(1, BLOCK_VALUES // width)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def squared_lengths(points: Points) -> Points:
    """|p|^2 of each point (n, features): (n,)."""
    return np.asarray(np.einsum("ij,ij->i", points, points))
