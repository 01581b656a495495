"""The scores of gaps and forecasts, and the plain ways beside the priors."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import make_waves
from scipy.stats import norm

from benchmarks import uses


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_the_score_is_a_mean_over_all_pairs():
    draws, x = noise(7, 3, 2), noise(3, 2, seed=1)
    expected = np.abs(draws - x).mean() - np.abs(draws[:, None] - draws).mean() / 2
    assert uses.crps(draws, x) == pytest.approx(expected)
    assert uses.crps(draws[:1], x) == pytest.approx(np.abs(draws[0] - x).mean())


def test_of_right_draws_nine_of_ten_values_are_covered():
    draws, x = noise(400, 2000), noise(2000, seed=1)
    assert uses.coverage(draws, x) == pytest.approx(0.9, abs=0.02)
    assert uses.coverage(noise(20, 40_000), noise(40_000, seed=1)) == pytest.approx(0.82, abs=0.01)
    assert uses.coverage(draws / 3, x) == pytest.approx(2 * norm.cdf(1.645 / 3) - 1, abs=0.03)


def test_plain_ways():
    nan = np.nan
    x = np.array([[[1.0, 2.0, nan, nan]], [[5.0, 4.0, nan, nan]]])
    assert uses.last_value(x).tolist() == [[[1, 2, 2, 2]], [[5, 4, 4, 4]]]
    train = np.array([[[1.0, 1.0, 9.0, 9.0]], [[5.0, 5.0, 0.0, 0.0]], [[2.0, 9.0, 2.0, 2.0]]])
    assert uses.nearest_series(x, train).tolist() == [train[0].tolist(), train[1].tolist()]


def test_every_way_is_judged_on_every_task(monkeypatch):
    settings = {"latent_channels": 4, "residual_blocks": 1, "codebook_size": 6}

    def recipe(name, **more):
        return RECIPE(name, **more, **(settings if name == "vqvae" else {}))

    monkeypatch.setattr(uses, "recipe", recipe)
    small = {"model_width": 8, "layers": 1}
    few = {"masked": small, "autoregressive": small, "tree": {}}
    monkeypatch.setattr(uses, "prior", lambda kind, **more: PRIOR(kind, **more, **few[kind]))
    rows = list(uses.measure(make_waves(40), uses.Budget(4, 4, 6, 3, 0)))
    assert [(row.task, row.way) for row in rows] == [
        *(("impute", way) for way in ("masked", "tree", uses.CLOSED, "linear", "nearest of train")),
        *(
            ("forecast", way)
            for way in (
                "masked",
                "tree",
                uses.CLOSED,
                "autoregressive",
                "last value",
                "nearest of train",
            )
        ),
        *(
            ("surprise", way)
            for way in ("surprise", "surprise, tree", "reconstruction error", "nearest of train")
        ),
    ]
    assert all(np.isfinite(row.mae) == (row.task != "surprise") for row in rows)
    assert all(np.isfinite(row.auroc) == (row.task == "surprise") for row in rows)
    assert rows[-1].auroc == 1  # slow waves are far from fast ones


RECIPE, PRIOR = uses.recipe, uses.prior


def test_sets_are_measured_once(monkeypatch, tmp_path):
    out, asked = tmp_path / "uses.csv", []

    def measure(data, budget):
        asked.append((data.name, budget.seed))
        yield uses.Row(data.name, "surprise", "surprise", auroc=0.5)

    monkeypatch.setattr(uses, "measure", measure)
    for sets, seed in (("GunPoint", "0"), ("GunPoint,ItalyPowerDemand", "0"), ("GunPoint", "1")):
        monkeypatch.setattr(sys, "argv", ["uses", sets, "--seed", seed, "--out", str(out)])
        uses.main()
    assert asked == [("GunPoint", 0), ("ItalyPowerDemand", 0), ("GunPoint", 1)]
    kept = pd.read_csv(out)
    assert list(zip(kept["dataset"], kept["seed"], strict=True)) == asked
    assert kept["mae"].isna().all()
