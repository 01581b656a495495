from dataclasses import replace

import numpy as np
import torch
from conftest import make_waves, tiny
from models import untrained
from sklearn.decomposition import PCA

from twincode.augment import Augmenter
from twincode.evaluate import augmentation_exhibit, make_exhibits
from twincode.evaluate.reconstruction import series_errors
from twincode.spectral import STFT
from twincode.tokenizers import embed


def test_examples_are_the_best_the_median_and_the_worst_test_series():
    tokenizer, split, _ = untrained()
    exhibits = make_exhibits(tokenizer, split)
    errors = np.sort(series_errors(tokenizer, split.x_test).numpy())
    np.testing.assert_allclose(exhibits["example_errors"], errors[[0, len(errors) // 2, -1]])
    actual = ((exhibits["example_series"] - exhibits["example_reconstructions"]) ** 2).mean((1, 2))
    np.testing.assert_allclose(actual, exhibits["example_errors"], rtol=1e-4)


def test_token_grids_show_every_class_first():
    tokenizer, split, _ = untrained()
    exhibits = make_exhibits(tokenizer, split)
    assert exhibits["token_labels"].tolist() == [0, 1, 0, 1, 0, 1]
    for x, codes in zip(exhibits["token_series"], exhibits["token_codes"], strict=True):
        assert np.array_equal(tokenizer.encode(torch.from_numpy(x[None]))[0].numpy(), codes)
    assert exhibits["code_counts"].sum() == 20 * np.prod(tokenizer.grid)


def test_token_grids_find_every_class_however_the_series_are_sorted():
    dataset = make_waves(40, 20)
    order = np.argsort(dataset.y_test, kind="stable")
    sorted_set = replace(dataset, X_test=dataset.X_test[order], y_test=dataset.y_test[order])
    tokenizer, split, _ = untrained(dataset=sorted_set)
    exhibits = make_exhibits(tokenizer, split)
    assert exhibits["token_labels"].tolist() == [0, 1, 0, 1, 0, 1]
    expected = split.x_test[[0, 10, 1, 11, 2, 12]].numpy()
    assert np.array_equal(exhibits["token_series"], expected)


def test_the_grids_of_several_codebooks_are_named():
    tokenizer, split, _ = untrained("vqvae2", quantizer="residual")
    exhibits = make_exhibits(tokenizer, split)
    names = ["top stage 1", "top stage 2", "bottom stage 1", "bottom stage 2"]
    assert exhibits["grid_names"].tolist() == names
    assert exhibits["grid_widths"].sum() == exhibits["token_codes"].shape[2]
    assert exhibits["codebook_sizes"].tolist() == [6, 6, 6, 6]
    per_grid = np.split(exhibits["code_counts"], [6, 12, 18])
    tokens = len(split.x_test) * tokenizer.grid[0] * exhibits["grid_widths"]
    assert [counts.sum() for counts in per_grid] == tokens.tolist()


def test_a_continuous_model_shows_no_codes():
    exhibits = make_exhibits(*untrained("vae")[:2])
    assert not [name for name in exhibits if name.startswith(("code", "token", "grid"))]


def test_the_plane_is_that_of_the_principal_components():
    tokenizer, split, _ = untrained()
    exhibits = make_exhibits(tokenizer, split)
    latents = embed(tokenizer, split.x_test).latents.flatten(1).numpy()
    pca = PCA(2).fit(latents)
    np.testing.assert_allclose(
        np.abs(exhibits["latents_2d"]), np.abs(pca.transform(latents)), atol=1e-3
    )
    np.testing.assert_allclose(
        exhibits["latents_explained"], pca.explained_variance_ratio_, atol=1e-4
    )


def test_the_augmentation_exhibit_shows_each_at_work():
    chosen = tiny("vqvae-augmented").augmentations
    x = untrained()[1].x_train[:1]
    augmenter = Augmenter(chosen, STFT(33))
    exhibit = augmentation_exhibit(augmenter, x, torch.Generator().manual_seed(0))
    names = exhibit["augmentation_names"].tolist()
    assert names == [each.name for each in chosen]
    series = exhibit["augmentation_series"]
    assert np.array_equal(series[0], x[0].numpy())
    assert np.array_equal(series[1 + names.index("flip")], x[0].flip(-1).numpy())
    assert all(not np.array_equal(view, series[0]) for view in series[1:])
