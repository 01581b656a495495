import dataclasses
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincode.data import Dataset, Policy, Scaling
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
    X[:, 1] = (X[:, 1] - 1e5) * 1000
    scaling = Scaling.fit(X)
    scaled = scaling.apply(X)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=(0, 2), dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=(0, 2), dtype=np.float64), 1, atol=1e-6)
    np.testing.assert_allclose(scaling.invert(scaled), X, rtol=1e-6, atol=1e-3)


def test_one_channel_is_scaled_as_ever():
    X = np.random.default_rng(0).normal(7, 3, (501, 1, 33)).astype(np.float32)
    scaling, x = Scaling.fit(X), X.astype(np.float64)
    mean, std = float(X.mean(dtype=np.float64)), float(X.std(dtype=np.float64))
    assert (scaling.mean, scaling.std) == ((mean,), (std,))
    np.testing.assert_array_equal(scaling.apply(X), ((x - mean) / std).astype(np.float32))
    np.testing.assert_array_equal(scaling.invert(X), (x * std + mean).astype(np.float32))


def test_a_loud_channel_does_not_drown_a_quiet_one():
    """A thousand times larger, it left the other a thousandth of the loss."""
    X = np.random.default_rng(0).normal(size=(50, 2, 30)).astype(np.float32)
    X[:, 1] *= 1000
    assert Scaling.fit(X).apply(X).std(axis=(0, 2)) == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize("value", (0.0, 0.1, -1e6, 3e38))
def test_constant_set_becomes_zero(value):
    X = np.full((7, 3, 11), value, dtype=np.float32)
    scaling = Scaling.fit(X)
    assert scaling.std == (1, 1, 1)
    np.testing.assert_allclose(scaling.apply(X), 0, atol=1e-6 * max(1, abs(value)))


def test_values_far_beyond_the_train_set_are_refused_not_made_infinite():
    scaling = Scaling(mean=(0.0,), std=(1e-3,))
    with pytest.raises(TwincodeError, match="far beyond those of the train set"):
        scaling.apply(np.full((1, 1, 3), 3e38, dtype=np.float32))


@given(
    n=st.integers(1, 6), channels=st.integers(1, 3), length=st.integers(1, 9), test=st.booleans()
)
def test_arrays_become_a_data_set(n, channels, length, test):
    X = np.random.default_rng(0).normal(size=(n, channels, length))
    y = [f"class {i % 2}" for i in range(n)]
    found = Dataset.from_arrays(X, y, (X[:1] + 1, ["other"]) if test else None)
    np.testing.assert_array_equal(found.X_train, X.astype(np.float32))
    assert [found.classes[i] for i in found.y_train] == y
    assert found.X_test.shape == (int(test), channels, length)
    if test:
        assert [found.classes[i] for i in found.y_test] == ["other"]
    else:
        assert found.y_test is None


def test_a_channel_of_one_may_be_left_out_and_labels_too():
    X = np.arange(12.0).reshape(3, 4)
    found = Dataset.from_arrays(X)
    assert found.X_train.shape == (3, 1, 4)
    assert (found.y_train, found.classes) == (None, ())
    assert Dataset.from_arrays(X.tolist()).checksum == found.checksum
    assert Dataset.from_arrays(X, [10, 9, 1]).classes == ("1", "9", "10")
    assert Dataset.from_arrays(X, [10.0, 9.0, 1.0]).classes == ("1", "9", "10")


def test_a_data_frame_is_an_array_and_what_is_masked_is_missing():
    X = np.arange(12.0).reshape(3, 4)
    assert Dataset.from_arrays(pd.DataFrame(X)).checksum == Dataset.from_arrays(X).checksum
    masked = np.ma.masked_equal(X, 5)
    with pytest.raises(TwincodeError, match="series 2 has a missing value"):
        Dataset.from_arrays(masked)
    found = Dataset.from_arrays(masked, policy=Policy(missing="interpolate"))
    assert np.array_equal(found.X_train[:, 0], X)


def test_series_of_unequal_lengths_need_a_policy():
    ragged = [np.arange(5.0), np.arange(3.0)]
    with pytest.raises(TwincodeError, match='use lengths="resample"'):
        Dataset.from_arrays(ragged)
    found = Dataset.from_arrays(ragged, policy=Policy(lengths="resample"))
    np.testing.assert_allclose(found.X_train[1, 0], [0, 0.5, 1, 1.5, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 3)), [1]), "y must hold one label for each of 2 series"),
        ((np.zeros((2, 3)), None, (np.zeros((1, 3)), [1, 2])), "test y must hold one label"),
        ((np.zeros((2, 1, 1, 3)),), r"X must be \(n, L\) or \(n, C, L\)"),
        ((np.zeros(3),), r"X must be \(n, L\) or \(n, C, L\)"),
        (([["a", "b"]],), "X must be numbers"),
        ((np.zeros((2, 3), complex),), "X must be numbers"),
        ((np.zeros((2, 3)), ["a", None]), "y, row 2 has no label"),
        ((np.zeros((2, 3)), ["a", np.nan]), "y, row 2 has no label"),
        ((None,), "X must be numbers"),
        (([],), "there are no train series"),
        (([], None, (np.zeros((1, 3)), None)), "there are no train series"),
        ((np.zeros((2, 3)), None, np.zeros((1, 3))), r"test must be a pair \(X, y\)"),
        ((torch.zeros(2, 3, requires_grad=True),), "X cannot be read: .*detach"),
        ((np.zeros((2, 3)), pd.Series(["a", pd.NA], dtype="string")), "y, row 2 has no label"),
        ((np.zeros((2, 3)), np.array([b"a", b"\xff"])), "y, row 2: its label is no UTF-8 text"),
        ((np.full((2, 3), np.nan),), "series 1 has no known value"),
        ((np.zeros((2, 3)), None, (np.zeros((1, 4)), None)), "has 4 time steps, not 3"),
    ],
)
def test_arrays_that_make_no_data_set_are_errors(arguments, message):
    with pytest.raises(TwincodeError, match=message):
        Dataset.from_arrays(*arguments)


def test_rows_of_every_kind_of_table_are_series():
    X = np.arange(15.0).reshape(5, 3)
    for table in (pd.DataFrame(X), pl.DataFrame(X), pa.table(pd.DataFrame(X))):
        assert Dataset.from_arrays(table).checksum == Dataset.from_arrays(X).checksum


def test_labels_of_bytes_are_texts():
    found = Dataset.from_arrays(np.eye(2), np.array([b"rest", b"walk"]))
    assert found.classes == ("rest", "walk")


def test_classes_are_in_one_order_whatever_the_seed_of_hashing():
    """``float`` reads 1_12 and 11_2 as one number."""
    code = "from twincode.data.classes import sorted_classes as s; print(s({'1_12','11_2','2_3'}))"
    orders = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert orders == {b"('11_2', '1_12', '2_3')\n"}


def test_a_masked_label_is_none():
    with pytest.raises(TwincodeError, match="has a masked label"):
        Dataset.from_arrays(np.eye(2), np.ma.array([1, 2], mask=[False, True]))
