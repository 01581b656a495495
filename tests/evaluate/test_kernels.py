import dataclasses

import numpy as np
import pytest
import torch
from conftest import make_waves, tiny

from twincode.errors import TwincodeError
from twincode.evaluate.kernels import kernels_accuracy
from twincode.recipes import recipe
from twincode.train import fit


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


def test_the_seed_of_the_settings_is_that_of_the_kernels() -> None:
    draw = np.random.default_rng(0)
    data = dataclasses.replace(
        make_waves(40, 40),
        X_train=draw.normal(size=(40, 1, 33)).astype(np.float32),
        X_test=draw.normal(size=(40, 1, 33)).astype(np.float32),
    )
    found = set()
    for seed in range(4):
        config = recipe("pca-pq", metrics="kernels", kernels=84, kernels_seed=seed)
        found.add(tuple(each.value for each in fit(config, data).evaluate(data)))
    assert len(found) > 1


def test_one_class_is_refused() -> None:
    x = np.zeros((4, 1, 12))
    with pytest.raises(TwincodeError, match="two classes"):
        kernels_accuracy(x, np.zeros(4), x, np.zeros(4))


def test_nothing_is_retained_where_nothing_was() -> None:
    """A class that train lacks is never answered."""
    waves = make_waves(n_train=12, n_test=2)
    y = np.array([2, 2])
    data = dataclasses.replace(waves, y_test=y, classes=(*waves.classes, "new"))
    model = fit(recipe("patch-rvq", bits=12, metrics="kernels", kernels=84), data)
    assert [(each.metric, each.value) for each in model.evaluate(data)] == [("kernels", 0)]


def test_features_of_test_are_made_in_parts(monkeypatch) -> None:
    draw = np.random.default_rng(0)
    x, labels = draw.normal(size=(90, 1, 30)), np.arange(90) % 2
    x[labels == 1] += 0.3 * np.linspace(-1, 1, 30)
    parts = x[:40], labels[:40], x[40:], labels[40:]
    whole = kernels_accuracy(*parts, kernels=200)
    monkeypatch.setattr("twincode.evaluate.kernels.SERIES_AT_ONCE", 7)
    assert 0.5 < kernels_accuracy(*parts, kernels=200) == whole < 1


def test_what_a_model_retains() -> None:
    """It is decoded over original, from the very series that a plain call sees."""
    waves = make_waves(n_train=40, n_test=30)
    seen: list[dict] = []
    config = recipe("patch-rvq", bits=12, metrics="kernels", kernels=500, kernels_series=25)
    model = fit(config, waves, watch=seen.append)
    (told,) = [each["measurements"] for each in seen if each["event"] == "evaluation"]
    found = {each["metric"]: each["value"] for each in told}
    rows = np.sort(np.random.default_rng(0).permutation(40)[:25])
    parts = waves.X_train[rows], waves.X_test
    decoded = [model.scaling.apply(model.reconstruct(part)) for part in parts]
    labels = waves.y_train[rows], waves.y_test
    plain = kernels_accuracy(decoded[0], labels[0], decoded[1], labels[1], kernels=500)
    scaled = [model.scaling.apply(part) for part in parts]
    original = kernels_accuracy(scaled[0], labels[0], scaled[1], labels[1], kernels=500)
    assert found["kernels"] == pytest.approx(plain)
    assert found["retained_accuracy"] == pytest.approx(plain / original)


def test_series_are_not_classified_on_the_way() -> None:
    seen: list[dict] = []
    config = tiny("vqvae", metrics="kernels", kernels=84, continuous_share=0)
    fit(config, make_waves(n_train=20, n_test=10), watch=seen.append)
    assert [each["epoch"] for each in seen if each["event"] == "evaluation"] == [4]


def test_nothing_of_the_process_is_moved() -> None:
    """Neither NumPy's global stream nor torch's number of threads, on which rounding depends."""
    x, y = np.random.default_rng(0).normal(size=(12, 2, 20)), np.arange(12) % 2
    np.random.seed(3)  # noqa: NPY002
    before, threads = np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    kernels_accuracy(x, y, x, y, kernels=84)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert torch.get_num_threads() == threads
