import numpy as np
import pytest
from conftest import make_waves

from benchmarks import contrast
from benchmarks.contrast import BACKGROUND, LENGTH, OUTLINE_STD, compare, superpose, targets


def test_targets_are_days_under_outlines_and_background_is_outlines_alone():
    data = superpose("ItalyPowerDemand", 0)
    assert data.classes == ("1", "2", BACKGROUND)
    assert data.length == LENGTH
    for X, y in ((data.X_train, data.y_train), (data.X_test, data.y_test)):
        days, seasons = targets(data, X, y)
        assert len(days) * 2 == len(X)
        assert set(seasons) == {0, 1}
        outlines = X[y == 2]
        np.testing.assert_allclose(outlines.mean(axis=2), 0, atol=1e-5)
        np.testing.assert_allclose(outlines.std(axis=2), OUTLINE_STD, atol=1e-4)
        assert days.std() > 1.05 * OUTLINE_STD


def test_the_same_seed_makes_the_same_series():
    one, same, other = (superpose("ItalyPowerDemand", seed) for seed in (0, 0, 1))
    assert one.checksum == same.checksum != other.checksum


@pytest.fixture
def small_sets(monkeypatch):
    """Two kinds of wave under others of the same two kinds: small, and made at once."""
    made = make_waves(24, length=LENGTH)
    sets = {"Waves": made, "OSULeaf": made}
    monkeypatch.setattr(contrast, "load_dataset", sets.get)
    monkeypatch.setitem(contrast.HIDDEN, "Waves", 2)


@pytest.mark.usefixtures("small_sets")
def test_every_kind_of_features_is_probed():
    rows = list(compare(superpose("Waves", 0), 0.1, 0, epochs=2))
    assert [row["features"] for row in rows] == ["series", "vae", "shared", "salient"]
    assert all(0 <= row["svm_accuracy"] <= 1 for row in rows)
