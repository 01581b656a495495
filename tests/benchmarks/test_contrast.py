import numpy as np

from benchmarks.contrast import BACKGROUND, LENGTH, superpose, targets


def test_targets_are_days_under_outlines_and_background_is_outlines_alone():
    data = superpose(0)
    assert data.classes == ("1", "2", BACKGROUND)
    assert data.length == LENGTH
    for X, y in ((data.X_train, data.y_train), (data.X_test, data.y_test)):
        days, seasons = targets(data, X, y)
        assert len(days) * 2 == len(X)
        assert set(seasons) == {0, 1}
        outlines = X[y == 2]
        np.testing.assert_allclose(outlines.mean(axis=2), 0, atol=1e-5)
        np.testing.assert_allclose(outlines.std(axis=2), 1, atol=1e-4)
        assert days.std() > 1.2


def test_the_same_seed_makes_the_same_series():
    one, same, other = superpose(0), superpose(0), superpose(1)
    assert one.checksum == same.checksum != other.checksum
