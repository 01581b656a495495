"""How far a recipe gets in a given number of steps: NMSE on held-out train series, and on test.

    python -m benchmarks.training FordB,ECG5000 --recipes vqvae --seeds 0

A part of train, the same whatever the seed, is held out of the data set and is what settings are
chosen by; test is told beside it. With PYTHONPATH on another commit's ``src`` it measures that one.
"""

import argparse
import json
import sys
import time

import numpy as np
from numpy.typing import NDArray

from twincode.data import Dataset, load_dataset
from twincode.model import Model
from twincode.recipes import recipe
from twincode.train import fit

SHARE, FEWEST, MOST = 0.15, 50, 400  # of train, held out


def nmse(model: Model, X: NDArray[np.float32]) -> float:
    """Mean squared error in time over the variance of X (n, 1, L)."""
    error = np.square(model.reconstruct(X) - X, dtype=np.float64)
    return float(error.mean() / X.var(dtype=np.float64))


def measure(name: str, recipe_name: str, seed: int, **settings: str | int) -> dict[str, object]:
    """One fit, without labels, and its errors."""
    data = load_dataset(name)
    order = np.random.default_rng(0).permutation(len(data.X_train))
    held = min(MOST, max(FEWEST, round(SHARE * len(order))))
    config = recipe(recipe_name, seed=seed, evaluations=0, **settings)
    began = time.process_time()
    model = fit(config, Dataset.from_arrays(data.X_train[order[held:]]), device="cpu")
    return {
        "dataset": name,
        "recipe": recipe_name,
        "seed": seed,
        "held_out": nmse(model, data.X_train[order[:held]]),
        "test": nmse(model, data.X_test[:MOST]),
        "seconds": round(time.process_time() - began, 1),
    }


def main() -> None:
    """One line of JSON for every data set, recipe and seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets")
    parser.add_argument("--recipes", default="vqvae,bt-vqvae")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    asked = parser.parse_args()
    settings = {"steps": 228, "batch_size": 64} | dict(word.split("=") for word in asked.set)
    for name in asked.datasets.split(","):
        for recipe_name in asked.recipes.split(","):
            for seed in map(int, asked.seeds.split(",")):
                found = measure(name, recipe_name, seed, **settings)
                sys.stdout.write(json.dumps(found) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
