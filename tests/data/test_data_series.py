import dataclasses

import numpy as np
import pytest

from twincode.data import Dataset, Scaling
from twincode.errors import TwincodeError


@pytest.fixture
def dataset():
    X = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    y = np.array([0, 1, 0, 1])
    return Dataset("toy", X[:3], X[3:], y[:3], y[3:], ("a", "b"), "made here")


def test_sizes(dataset):
    assert (dataset.channels, dataset.length) == (2, 3)


def test_checksum_follows_values_and_labels_only(dataset):
    renamed = dataclasses.replace(dataset, name="other")
    moved = dataclasses.replace(dataset, X_train=dataset.X_train + 1)
    unlabelled = dataclasses.replace(dataset, y_test=None)
    assert renamed.checksum == dataset.checksum
    assert len({dataset.checksum, moved.checksum, unlabelled.checksum}) == 3


def test_scaling_standardises_and_inverts():
    X = np.random.default_rng(0).normal(1e5, 3, (50, 2, 30)).astype(np.float32)
    scaling = Scaling.fit(X)
    scaled = scaling.apply(X)
    assert scaled.dtype == np.float32
    assert abs(scaled.mean(dtype=np.float64)) < 1e-6
    assert scaled.std(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(scaling.invert(scaled), X, rtol=1e-6)


@pytest.mark.parametrize("value", (0.0, 0.1, -1e6, 3e38))
def test_constant_set_becomes_zero(value):
    X = np.full((7, 3, 11), value, dtype=np.float32)
    scaling = Scaling.fit(X)
    assert scaling.std == 1
    np.testing.assert_allclose(scaling.apply(X), 0, atol=1e-6 * max(1, abs(value)))


def test_values_far_beyond_the_train_set_are_refused_not_made_infinite():
    scaling = Scaling(mean=0.0, std=1e-3)
    with pytest.raises(TwincodeError, match="far beyond those of the train set"):
        scaling.apply(np.full((1, 1, 3), 3e38, dtype=np.float32))
