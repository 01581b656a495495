import numpy as np
import pytest
from features import clouds, measured, quantised
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from twincode.errors import TwincodeError
from twincode.evaluate import METRICS, Features
from twincode.evaluate.dimension import intrinsic_dimension


def plain_dimension(points, share):
    held = PCA().fit(points).explained_variance_ratio_.cumsum()
    return np.searchsorted(held, share) + 1


@given(n=st.integers(8, 60), width=st.integers(1, 80), seed=st.integers(0, 999))
def test_the_dimension_is_that_of_scikit_learns_components(n, width, seed):
    features = clouds(n, n, width, seed=seed)
    expected = {"intrinsic_dimension": plain_dimension(features.points, 0.95)}
    assert measured("dimension", features) == expected


@pytest.mark.parametrize("share", (0.5, 0.9, 0.95, 0.999))
def test_dependent_features_count_once(share):
    rows = quantised()
    features = Features(rows[:50], rows[50:], None, None, 0)
    found = measured("dimension", features, explained_variance=share)
    assert found["intrinsic_dimension"] == plain_dimension(features.points, share)


@pytest.mark.parametrize("shape", ((30, 5), (12, 40)))
def test_a_plane_has_two_dimensions(shape):
    random = np.random.default_rng(0)
    points = random.normal(size=(shape[0], 2)) @ random.normal(size=(2, shape[1]))
    assert intrinsic_dimension(points - points.mean(0), 1.0) <= 2


@pytest.mark.parametrize("value", (0.0, 0.1, -3e7))
def test_a_constant_has_none(value):
    rows = np.full((12, 5), value, dtype=np.float32)
    found = measured("dimension", Features(rows, rows, None, None, 0))
    assert found == {"intrinsic_dimension": 0.0}


@pytest.mark.parametrize("share", (0.0, 1.5))
def test_a_share_of_the_variance_is_between_0_and_1(share):
    with pytest.raises(TwincodeError, match="explained_variance"):
        METRICS.choose("dimension").replace(explained_variance=share)
