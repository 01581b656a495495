import equations
import numpy as np
import pytest
import torch
from conftest import make_waves, tiny
from hypothesis import given
from hypothesis import strategies as st

from twincode.data import Scaling
from twincode.evaluate import (
    augmentation_exhibit,
    evaluate_tokenizer,
    make_exhibits,
    prepare,
)
from twincode.evaluate.evaluator import embed
from twincode.evaluate.probes import probe
from twincode.evaluate.readout import readout_features
from twincode.evaluate.reconstruction import reconstruction_errors, series_errors
from twincode.tokenizers import build_tokenizer


def setup(name="vqvae", dataset=None, **changes):
    dataset = dataset or make_waves()
    config = tiny(name, **changes)
    torch.manual_seed(0)
    tokenizer = build_tokenizer(config, dataset.channels, dataset.length)
    split = prepare(dataset, Scaling.fit(dataset.X_train), torch.device("cpu"))
    return tokenizer, split, config


def test_scaling_uses_the_train_part_alone():
    dataset = make_waves()
    split = prepare(dataset, Scaling.fit(dataset.X_train), torch.device("cpu"))
    assert split.x_train.mean() == pytest.approx(0, abs=1e-5)
    assert split.x_train.std(correction=0) == pytest.approx(1, abs=1e-5)
    expected = (dataset.X_test - dataset.X_train.mean()) / dataset.X_train.std()
    np.testing.assert_allclose(split.x_test, expected, atol=1e-5)


@pytest.mark.parametrize("n", [1, 7, 300])
def test_reconstruction_error_is_equation_4_12_over_the_whole_set(n):
    tokenizer, split, _ = setup(dataset=make_waves(300, 2, length=9))
    x = split.x_train[:n]
    errors = reconstruction_errors(tokenizer, x)
    pairs = tokenizer.reconstruct(x)
    expected = {
        f"reconstruction_{name}": equations.mean_squared_error(*pair)
        for name, pair in pairs.items()
    }
    for name, value in expected.items():
        assert errors[name] == pytest.approx(value, rel=1e-5)
    assert errors["reconstruction"] == pytest.approx(sum(expected.values()), rel=1e-5)
    assert series_errors(tokenizer, x).mean() == pytest.approx(
        errors["reconstruction_time"], rel=1e-4
    )


def test_measurements_are_those_of_the_parts():
    tokenizer, split, config = setup()
    found = {
        (m.readout, m.metric): m.value
        for m in evaluate_tokenizer(tokenizer, split, config.evaluation)
    }
    train, test = embed(tokenizer, split.x_train), embed(tokenizer, split.x_test)
    for readout in ("flatten", "mean", "histogram"):
        Z_train, Z_test = (readout_features(readout, *part, 6) for part in (train, test))
        scores = probe(Z_train, split.y_train, Z_test, split.y_test, config.evaluation, 2)
        assert {m: v for (r, m), v in found.items() if r == readout} == scores
    assert {m for r, m in found if not r} == {
        "reconstruction_time", "reconstruction_frequency", "reconstruction",
        "train_reconstruction_time", "perplexity", "used_codes", "dead_codes",
        "codebook_cosine",
    }  # fmt: skip
    used = len(torch.cat([train[1], test[1]]).unique())
    assert found["", "used_codes"] == used
    assert found["", "dead_codes"] == 6 - used
    assert 1 <= found["", "perplexity"] <= used + 1e-9


@given(
    n_train=st.integers(2, 8), n_test=st.integers(1, 5), channels=st.integers(1, 2),
    labelled=st.booleans(), constant=st.booleans(), raw=st.booleans(),
)  # fmt: skip
def test_no_measurement_is_ever_nan(n_train, n_test, channels, labelled, constant, raw):
    from dataclasses import replace

    dataset = make_waves(n_train, n_test, channels, 12)
    if constant:
        dataset = replace(dataset, X_train=0 * dataset.X_train, X_test=0 * dataset.X_test)
    if not labelled:
        dataset = replace(dataset, y_train=None, y_test=None, classes=())
    tokenizer, split, config = setup("raw-series" if raw else "vqvae", dataset)
    found = evaluate_tokenizer(tokenizer, split, config.evaluation)
    assert all(np.isfinite(m.value) for m in found)
    assert any("accuracy" in m.metric for m in found) == labelled
    exhibits = make_exhibits(tokenizer, split)
    assert all(np.isfinite(array).all() for array in exhibits.values())


def test_examples_are_the_best_the_median_and_the_worst_test_series():
    tokenizer, split, _ = setup()
    exhibits = make_exhibits(tokenizer, split)
    errors = np.sort(series_errors(tokenizer, split.x_test).numpy())
    np.testing.assert_allclose(exhibits["example_errors"], errors[[0, len(errors) // 2, -1]])
    actual = ((exhibits["example_series"] - exhibits["example_reconstructions"]) ** 2).mean((1, 2))
    np.testing.assert_allclose(actual, exhibits["example_errors"], rtol=1e-4)


def test_token_grids_show_every_class_first():
    tokenizer, split, _ = setup()
    exhibits = make_exhibits(tokenizer, split)
    assert exhibits["token_labels"].tolist() == [0, 1, 0, 1, 0, 1]
    for x, codes in zip(exhibits["token_series"], exhibits["token_codes"], strict=True):
        assert np.array_equal(tokenizer.encode(torch.from_numpy(x[None]))[0].numpy(), codes)
    assert exhibits["code_counts"].sum() == 20 * np.prod(tokenizer.grid)


def test_the_plane_is_that_of_the_principal_components():
    from sklearn.decomposition import PCA

    tokenizer, split, _ = setup()
    exhibits = make_exhibits(tokenizer, split)
    latents, _ = embed(tokenizer, split.x_test)
    pca = PCA(2).fit(latents.flatten(1).numpy())
    expected = pca.transform(latents.flatten(1).numpy())
    np.testing.assert_allclose(np.abs(exhibits["latents_2d"]), np.abs(expected), atol=1e-3)
    np.testing.assert_allclose(
        exhibits["latents_explained"], pca.explained_variance_ratio_, atol=1e-4
    )


def test_token_grids_find_every_class_however_the_series_are_sorted():
    from dataclasses import replace

    dataset = make_waves(40, 20)
    order = np.argsort(dataset.y_test, kind="stable")
    sorted_set = replace(dataset, X_test=dataset.X_test[order], y_test=dataset.y_test[order])
    tokenizer, split, _ = setup(dataset=sorted_set)
    exhibits = make_exhibits(tokenizer, split)
    assert exhibits["token_labels"].tolist() == [0, 1, 0, 1, 0, 1]
    expected = split.x_test[[0, 10, 1, 11, 2, 12]].numpy()
    assert np.array_equal(exhibits["token_series"], expected)


def test_the_augmentation_exhibit_shows_each_at_work():
    from twincode.augment import Augmenter
    from twincode.spectral import STFT

    _, split, config = setup()
    augmenter = Augmenter(config.augmentation, STFT(33))
    x = split.x_train[:1]
    exhibit = augmentation_exhibit(augmenter, x, torch.Generator().manual_seed(0))
    names = exhibit["augmentation_names"].tolist()
    assert names == list(config.augmentation.augmentations)
    series = exhibit["augmentation_series"]
    assert np.array_equal(series[0], x[0].numpy())
    assert np.array_equal(series[1 + names.index("flip")], x[0].flip(-1).numpy())
    assert all(not np.array_equal(view, series[0]) for view in series[1:])
