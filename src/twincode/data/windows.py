"""Series longer than a model's: cut into windows of its length, and put together again."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twincode.data.policy import FloatArray


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows of ``window`` steps begin: every ``stride`` steps, the last one at the end.

    So every step is in a window, and the last two overlap more where the stride does not fit.
    A series that is no longer than a window is one.
    """
    last = max(0, length - window)
    return [*range(0, last, stride), last]


def cut(series: FloatArray, window: int, stride: int) -> FloatArray:
    """The windows (k, C, window) of a series (C, L) of at least ``window`` steps."""
    starts = window_starts(series.shape[1], window, stride)
    return np.stack([series[:, start : start + window] for start in starts])


def join(windows: Sequence[FloatArray] | FloatArray, length: int, stride: int) -> FloatArray:
    """A series (C, length) of its windows (k, C, window): means where they overlap."""
    first = windows[0]
    total = np.zeros((first.shape[0], length))
    count: NDArray[np.int64] = np.zeros(length, dtype=np.int64)
    starts = window_starts(length, first.shape[1], stride)
    for start, values in zip(starts, windows, strict=True):
        total[:, start : start + first.shape[1]] += values
        count[start : start + first.shape[1]] += 1
    return (total / count).astype(np.float32)
