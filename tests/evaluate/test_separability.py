from dataclasses import replace

import numpy as np
import pytest
from features import clouds, measured, quantised
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from twincode.errors import TwincodeError
from twincode.evaluate import METRICS, Features, blocks, separability
from twincode.evaluate.separability import nearest_neighbours


def plain_separability(features, C, neighbours):
    """scikit-learn, called plainly."""
    scaler = MinMaxScaler((-1, 1), clip=True).fit(features.train.astype(np.float64))
    train, test = (
        scaler.transform(rows.astype(np.float64)) for rows in (features.train, features.test)
    )
    models = {"svm": SVC(kernel="linear", C=C)}
    models |= {
        f"knn{K}": KNeighborsClassifier(min(K, len(train)), algorithm="brute") for K in neighbours
    }
    return {
        f"{name}_accuracy": model.fit(train, features.y_train).score(test, features.y_test)
        for name, model in models.items()
    }


@given(
    n_train=st.integers(8, 60), n_test=st.integers(4, 60), width=st.integers(1, 80),
    classes=st.integers(2, 5), C=st.sampled_from([1e-3, 1.0, 10.0]), seed=st.integers(0, 999),
)  # fmt: skip
def test_accuracies_are_scikit_learns(n_train, n_test, width, classes, C, seed):
    features = clouds(n_train, n_test, width, classes, seed)
    found = measured("separability", features, svm_c=C, neighbours=(1, 4, 50))
    assert found == pytest.approx(plain_separability(features, C, (1, 4, 50)), abs=1e-9)


def test_blocks_of_rows_change_no_number(monkeypatch):
    features = clouds(seed=3)
    whole = measured("separability", features)
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 7 * 100)
    assert measured("separability", features) == whole


def test_an_svm_of_many_series_sees_a_part_of_them(monkeypatch):
    features = clouds(60, 40, 5, 2, 1)
    train, test = features.points[:60], features.points[60:]
    monkeypatch.setattr(separability, "SVM_SERIES", 9)
    rows = np.sort(np.random.default_rng(0).permutation(60)[:9])
    svm = SVC(kernel="linear").fit(train[rows], features.y_train[rows])
    found = measured("separability", features)
    assert found["svm_accuracy"] == svm.score(test, features.y_test)
    assert found["svm_accuracy"] != plain_separability(features, 1.0, ())["svm_accuracy"]
    assert found["knn1_accuracy"] == plain_separability(features, 1.0, (1,))["knn1_accuracy"]


def test_every_number_is_declared():
    metrics = METRICS.build(METRICS.choose("separability").replace(neighbours=(3, 7))).metrics
    assert [metric.name for metric in metrics] == [
        "svm_accuracy", "knn3_accuracy", "knn7_accuracy",
    ]  # fmt: skip
    assert [metric.title for metric in metrics] == ["Linear SVM", "3-NN", "7-NN"]
    assert all(metric.better == "higher" and metric.labels for metric in metrics)
    found = measured("separability", clouds(), neighbours=(3, 7))
    assert list(found) == [metric.name for metric in metrics]


@pytest.mark.parametrize("missing", [{"y_train"}, {"y_test"}, {"y_train", "y_test"}])
def test_without_labels_nothing_is_measured(missing):
    assert measured("separability", replace(clouds(), **dict.fromkeys(missing))) == {}


def test_one_class_in_train_is_always_answered():
    features = clouds()
    features = replace(features, y_train=np.full_like(features.y_train, 1))
    found = measured("separability", features)
    assert set(found.values()) == {np.mean(features.y_test == 1)}


def test_tied_distances_go_to_the_earlier_train_series():
    grid = quantised(n=6, seed=1)
    train, y_train = np.repeat(grid, 4, axis=0), np.tile([2, 0, 1, 1], 6)
    features = Features(train, grid, y_train, np.full(6, 2), 3)
    found = measured("separability", features, neighbours=(1, 3))
    assert (found["knn1_accuracy"], found["knn3_accuracy"]) == (1.0, 0.0)
    features = Features(train, grid, y_train, np.full(6, 1), 3)
    assert measured("separability", features, neighbours=(4,))["knn4_accuracy"] == 1.0


@given(
    rows=st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=5),
    count=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_rounding_does_not_break_ties(rows, count, seed):
    exact = np.array(rows, dtype=np.float64)
    noisy = exact + 1e-13 * np.random.default_rng(seed).normal(size=exact.shape)
    found = nearest_neighbours(noisy, np.full(len(rows), 1e-11), count)
    np.testing.assert_array_equal(found, exact.argsort(axis=1, kind="stable")[:, :count])


@pytest.mark.parametrize("setting", ({"svm_c": 0.0}, {"neighbours": (1, 0)}))
def test_settings_outside_their_range_are_refused(setting):
    with pytest.raises(TwincodeError, match=next(iter(setting))):
        METRICS.choose("separability").replace(**setting)
