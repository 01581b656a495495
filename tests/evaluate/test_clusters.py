import warnings

import numpy as np
import pytest
from features import clouds, measured
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from twincode.errors import TwincodeError
from twincode.evaluate import METRICS, Features, blocks
from twincode.evaluate.clusters import silhouettes


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


@pytest.mark.parametrize("wanted", (0, 2, 7))
def test_silhouettes_are_those_of_scikit_learns_clusterings(wanted):
    features = clouds()
    found = measured("clusters", features, kmeans_fits=4, kmeans_clusters=wanted)
    fits = [KMeans(wanted or 3, n_init=1, random_state=i).fit(features.points) for i in range(4)]
    scores = [silhouette_score(features.points, fit.labels_) for fit in fits]
    expected = {"silhouette": np.mean(scores), "silhouette_std": np.std(scores)}
    assert found == pytest.approx(expected, abs=1e-9)


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


def test_blocks_of_rows_change_no_number(monkeypatch):
    points, labels = clouds().centred(), np.arange(100)[None] % 3
    whole = silhouettes(points, labels)
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 7 * 100)
    np.testing.assert_allclose(silhouettes(points, labels), whole, atol=1e-12)


def test_fewer_distinct_points_than_clusters_are_no_fault():
    rows = np.random.default_rng(0).normal(size=(3, 4))[np.arange(20) % 3]
    features = Features(rows[:9], rows[9:], None, None, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measured("clusters", features, kmeans_fits=3)
    assert found["silhouette"] == pytest.approx(1.0, abs=1e-6)


def test_a_constant_has_no_clusters():
    rows = np.full((12, 5), 0.1, dtype=np.float32)
    found = measured("clusters", Features(rows, rows, None, None, 2), kmeans_fits=2)
    assert found == {"silhouette": 0.0, "silhouette_std": 0.0}


@pytest.mark.parametrize("n", (1, 2, 3))
def test_few_points_have_a_silhouette(n):
    rows = np.eye(4)
    found = measured("clusters", Features(rows[:n], rows[n:][:1], None, None, 9), kmeans_fits=2)
    assert all(np.isfinite(value) for value in found.values())


@pytest.mark.parametrize("setting", ({"kmeans_fits": 0}, {"kmeans_clusters": 1}))
def test_settings_outside_their_range_are_refused(setting):
    with pytest.raises(TwincodeError, match=next(iter(setting))):
        METRICS.choose("clusters").replace(**setting)
