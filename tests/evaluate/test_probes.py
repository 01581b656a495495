import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from twincode.config import EvaluationConfig
from twincode.errors import TwincodeError
from twincode.evaluate import probes
from twincode.evaluate.probes import (
    clusterability,
    intrinsic_dimension,
    kmeans_labels,
    nearest_neighbours,
    probe,
    silhouettes,
)

CONFIG = EvaluationConfig(kmeans_fits=3)
LABEL_FREE = {"intrinsic_dimension", "silhouette", "silhouette_std"}


def make_series(n_train=40, n_test=60, width=12, classes=3, seed=0, spread=1.0):
    random = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), random.integers(0, classes, n_train + n_test)])
    y = y[: n_train + n_test]
    centres = random.normal(size=(classes, width))
    features = (centres[y] + spread * random.normal(size=(len(y), width))).astype(np.float32)
    return features[:n_train], y[:n_train], features[n_train:], y[n_train:]


def make_quantised(n=150, K=4, D=6, N=5, seed=0):
    """Flattened z_q: dependent features, and the same grid in several series."""
    random = np.random.default_rng(seed)
    codebook = random.normal(size=(K, D))
    return codebook[random.integers(0, K, (n, N))].reshape(n, N * D)


def plain_kmeans(points, clusters, fits):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.stack(
            [
                KMeans(clusters, n_init=1, random_state=seed).fit(points).labels_
                for seed in range(fits)
            ]
        )


def plain_probe(train, y_train, test, y_test, config, classes):
    """scikit-learn, called plainly."""
    scaler = MinMaxScaler((-1, 1)).fit(train.astype(np.float64))
    train, test = (scaler.transform(part.astype(np.float64)) for part in (train, test))
    metrics = {"svm_accuracy": SVC(kernel="linear").fit(train, y_train).score(test, y_test)}
    for K in config.neighbours:
        neighbours = KNeighborsClassifier(min(K, len(train)), algorithm="brute")
        metrics[f"knn{K}_accuracy"] = neighbours.fit(train, y_train).score(test, y_test)
    points = np.concatenate([train, test])
    held = PCA().fit(points).explained_variance_ratio_.cumsum()
    metrics["intrinsic_dimension"] = np.searchsorted(held, config.explained_variance) + 1
    labels = plain_kmeans(points, config.kmeans_clusters or classes, config.kmeans_fits)
    scores = [silhouette_score(points, fit) for fit in labels]
    return metrics | {"silhouette": np.mean(scores), "silhouette_std": np.std(scores)}


def plain_silhouette(points, labels):
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    scores = []
    for i, own in enumerate(labels):
        same = (labels == own) & (np.arange(len(labels)) != i)
        if not same.any():
            scores.append(0.0)
            continue
        inside = distances[i, same].mean()
        outside = min(distances[i, labels == k].mean() for k in set(labels) - {own})
        scores.append((outside - inside) / max(inside, outside) if max(inside, outside) else 0.0)
    return np.mean(scores)


@settings(max_examples=25, deadline=None)
@given(
    n_train=st.integers(8, 60),
    n_test=st.integers(4, 60),
    width=st.integers(1, 80),
    classes=st.integers(2, 5),
    seed=st.integers(0, 999),
)
def test_every_metric_is_scikit_learns(n_train, n_test, width, classes, seed):
    data = make_series(n_train, n_test, width, classes, seed)
    found, expected = probe(*data, CONFIG, classes), plain_probe(*data, CONFIG, classes)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


def test_blocks_of_rows_change_no_number(monkeypatch):
    data = make_series(seed=3)
    whole = probe(*data, CONFIG, 3)
    monkeypatch.setattr(probes, "BLOCK_VALUES", 7 * 100)
    assert probe(*data, CONFIG, 3) == pytest.approx(whole, abs=1e-12)


def test_settings_reach_the_probes():
    data = make_series(spread=4.0)
    config = EvaluationConfig(
        neighbours=(3,), svm_c=1e-4, explained_variance=0.5, kmeans_clusters=7, kmeans_fits=2
    )
    found = probe(*data, config, 3)
    expected = plain_probe(*data, config, 3)
    del expected["svm_accuracy"]
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert found["svm_accuracy"] != probe(*data, CONFIG, 3)["svm_accuracy"]


@pytest.mark.parametrize("missing", ("train", "test", "both"))
def test_without_labels_only_the_label_free_metrics(missing):
    train, y_train, test, y_test = make_series()
    y_train = None if missing != "test" else y_train
    y_test = None if missing != "train" else y_test
    assert probe(train, y_train, test, y_test, CONFIG, 0).keys() == LABEL_FREE


def test_one_class_in_train_is_always_answered():
    train, y_train, test, y_test = make_series()
    found = probe(train, np.full_like(y_train, 1), test, y_test, CONFIG, 3)
    accuracies = {value for name, value in found.items() if name.endswith("accuracy")}
    assert accuracies == {np.mean(y_test == 1)}


def test_more_neighbours_than_train_series():
    train, y_train, test, y_test = make_series(n_train=4)
    config = EvaluationConfig(neighbours=(2, 50), kmeans_fits=1)
    found = probe(train, y_train, test, y_test, config, 3)
    assert found["knn50_accuracy"] == np.mean(y_test == np.bincount(y_train).argmax())
    expected = plain_probe(train, y_train, test, y_test, config, 3)
    assert found["knn2_accuracy"] == expected["knn2_accuracy"]


def test_tied_distances_go_to_the_earlier_train_series():
    grid = make_quantised(n=6, seed=1)
    train = np.repeat(grid, 4, axis=0)
    y_train = np.tile([2, 0, 1, 1], 6)
    found = probe(train, y_train, grid, np.full(6, 2), EvaluationConfig(neighbours=(1, 3)), 3)
    assert found["knn1_accuracy"] == 1.0
    assert found["knn3_accuracy"] == 0.0
    found = probe(train, y_train, grid, np.full(6, 1), EvaluationConfig(neighbours=(4,)), 3)
    assert found["knn4_accuracy"] == 1.0


@settings(max_examples=50, deadline=None)
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


@pytest.mark.parametrize("shape", ((30, 5), (12, 40)))
def test_dimension_of_points_in_a_plane(shape):
    random = np.random.default_rng(0)
    plane, directions = random.normal(size=(shape[0], 2)), random.normal(size=(2, shape[1]))
    assert intrinsic_dimension(plane @ directions - (plane @ directions).mean(0), 1.0) <= 2


@pytest.mark.parametrize("share", (0.5, 0.9, 0.95, 0.999))
def test_dimension_of_dependent_features_is_that_of_pca(share):
    points = make_quantised()
    points -= points.mean(axis=0)
    held = PCA().fit(points).explained_variance_ratio_.cumsum()
    assert intrinsic_dimension(points, share) == np.searchsorted(held, share) + 1


@pytest.mark.parametrize("value", (0.0, 0.1, -3e7))
def test_constant_features(value):
    constant = np.full((12, 5), value, dtype=np.float32)
    y = np.arange(12) % 2
    found = probe(constant, y, constant, y, CONFIG, 2)
    assert found["intrinsic_dimension"] == found["silhouette"] == found["silhouette_std"] == 0.0
    assert found["knn1_accuracy"] == found["svm_accuracy"] == 0.5


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(8, 90),
    width=st.integers(1, 20),
    clusters=st.integers(2, 7),
    seed=st.integers(0, 999),
)
def test_kmeans_labels_are_scikit_learns(n, width, clusters, seed):
    points = np.random.default_rng(seed).normal(size=(n, width))
    found = kmeans_labels(points - points.mean(axis=0), clusters, 4)
    np.testing.assert_array_equal(found, plain_kmeans(points, clusters, 4))


@pytest.mark.parametrize("iterations", (1, 2, 3))
def test_kmeans_stops_at_the_iteration_limit_as_scikit_learn_does(monkeypatch, iterations):
    points = np.random.default_rng(0).normal(size=(300, 4))
    points -= points.mean(axis=0)
    monkeypatch.setattr(probes, "KMEANS_ITERATIONS", iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = KMeans(5, n_init=1, random_state=0, max_iter=iterations).fit(points)
    np.testing.assert_array_equal(kmeans_labels(points, 5, 1)[0], fitted.labels_)


def test_an_empty_cluster_is_resolved_as_scikit_learn_does():
    distinct = np.random.default_rng(0).normal(size=(3, 4))
    points = distinct[np.arange(20) % 3]
    points -= points.mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = kmeans_labels(points, 5, 3)
        scores = clusterability(points, 5, 3)
    np.testing.assert_array_equal(found, plain_kmeans(points, 5, 3))
    assert scores["silhouette"] == pytest.approx(1.0, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(4, 40), width=st.integers(1, 6), seed=st.integers(0, 999))
def test_silhouettes_equal_their_definition(n, width, seed):
    random = np.random.default_rng(seed)
    points = random.integers(0, 3, (n, width)).astype(np.float64)
    labels = random.integers(0, 4, (3, n))
    labels[:, :2] = [0, 3]
    expected = [plain_silhouette(points, fit) for fit in labels]
    np.testing.assert_allclose(silhouettes(points, labels), expected, atol=1e-6)


def test_silhouettes_of_singletons_and_of_one_cluster():
    points = np.array([[0.0], [1.0], [5.0]])
    labels = np.array([[0, 1, 2], [0, 0, 0], [2, 2, 0]])
    expected = [0.0, 0.0, np.mean([4 / 5, 3 / 4, 0.0])]
    np.testing.assert_allclose(silhouettes(points, labels), expected, atol=1e-12)


@pytest.mark.parametrize("n", (1, 2, 3))
def test_few_points_have_a_silhouette(n):
    scores = clusterability(np.eye(3)[:n], 9, 2)
    assert all(np.isfinite(value) for value in scores.values())
    assert clusterability(np.eye(3)[:n], 9, 0)["silhouette"] == 0.0


def test_no_global_random_state_is_touched_or_needed():
    data = make_series()
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    numpy_before, torch_before = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    first = probe(*data, CONFIG, 3)
    assert torch.equal(torch.get_rng_state(), torch_before)
    numpy_after = np.random.get_state()  # noqa: NPY002
    assert numpy_after[2:] == numpy_before[2:]
    np.testing.assert_array_equal(numpy_after[1], numpy_before[1])
    np.random.seed(2)  # noqa: NPY002
    assert probe(*data, CONFIG, 3) == first


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_features_that_are_not_finite_are_refused(bad):
    train, y_train, test, y_test = make_series()
    test[3, 2] = bad
    with pytest.raises(TwincodeError, match="not finite"):
        probe(train, y_train, test, y_test, CONFIG, 3)


def test_an_empty_part_is_refused():
    train, y_train, test, y_test = make_series()
    with pytest.raises(TwincodeError, match="no series"):
        probe(train, y_train, test[:0], y_test[:0], CONFIG, 3)


@pytest.mark.parametrize(
    "setting", ({"svm_c": 0.0}, {"neighbours": (1, 0)}, {"explained_variance": 1.5})
)
def test_settings_outside_their_range_are_refused(setting):
    with pytest.raises(TwincodeError, match=next(iter(setting))):
        probe(*make_series(), EvaluationConfig(**setting), 3)
