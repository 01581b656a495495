"""Windows of long series, against a plain restatement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twincode.data.windows import cut, join, window_starts

SIZES = (st.integers(1, 60), st.integers(1, 20), st.integers(1, 25))


@given(*SIZES)
def test_windows_start_a_stride_apart_and_the_last_ends_with_the_series(length, window, stride):
    starts = window_starts(length, window, stride)
    assert starts[0] == 0
    assert starts[-1] == max(0, length - window)
    assert set(np.diff(starts[:-1])) <= {stride}
    if len(starts) > 1:
        assert 0 < starts[-1] - starts[-2] <= stride


@given(*SIZES, st.integers(1, 3))
def test_no_step_is_left_out_where_the_stride_is_no_longer_than_a_window(
    extra, window, stride, channels
):
    length, stride = window + extra, min(stride, window)
    x = np.random.default_rng(0).normal(size=(channels, length)).astype(np.float32)
    windows = cut(x, window, stride)
    assert windows.shape[1:] == (channels, window)
    np.testing.assert_allclose(join(windows, length, stride), x, rtol=1e-6)


@given(*SIZES)
def test_overlaps_are_means(extra, window, stride):
    length, stride = window + extra, min(stride, window)
    starts = window_starts(length, window, stride)
    windows = np.random.default_rng(0).normal(size=(len(starts), 1, window)).astype(np.float32)
    joined = join(windows, length, stride)
    for step in range(length):
        over = [
            w[0, step - s] for w, s in zip(windows, starts, strict=True) if 0 <= step - s < window
        ]
        assert joined[0, step] == pytest.approx(np.mean(over, dtype=np.float64), abs=1e-6)
