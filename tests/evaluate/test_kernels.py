import numpy as np
import pytest

from twincode.errors import TwincodeError
from twincode.evaluate.kernels import kernels_accuracy, retained_accuracy


@pytest.mark.parametrize(("channels", "length"), [(1, 3), (1, 9), (3, 5), (2, 40)])
def test_classes_that_differ_in_shape_are_told_apart(channels: int, length: int) -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(60) % 2
    x = 0.1 * draw.normal(size=(60, channels, length))
    x[labels == 1] += np.linspace(-1, 1, length)
    assert kernels_accuracy(x[:40], labels[:40], x[40:], labels[40:], kernels=500) > 0.9


def test_a_seed_fixes_the_accuracy() -> None:
    draw = np.random.default_rng(0)
    x, labels = draw.normal(size=(60, 2, 20)), np.arange(60) % 3
    runs = {kernels_accuracy(x[:40], labels[:40], x[40:], labels[40:], 3, 200) for _ in range(2)}
    assert len(runs) == 1


def test_one_class_is_refused() -> None:
    x = np.zeros((4, 1, 12))
    with pytest.raises(TwincodeError, match="two classes"):
        kernels_accuracy(x, np.zeros(4), x, np.zeros(4))


def test_retained() -> None:
    assert retained_accuracy(0.9, 0.9) == 1
    assert np.isnan(retained_accuracy(0.5, 0))
