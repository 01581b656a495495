"""Time to quality: the error that each recipe reaches in so many CPU minutes, on one thread.

    python -m benchmarks.training ECG5000 --minutes 1,5,20

A row is a run of its own: as many steps as fit into the minutes, so that what falls over a run (a
cosine) falls over these. What has no steps (closed forms) or brings its own number of them
(``warm-vqvae``) is run once, as it is. Rows that are there already are not measured again. With
``--held-out`` errors are those on a part of train, the same whatever the seed, that is then missing
from training: that is what settings are chosen by.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.tables import RESULTS, read_rows, write_rows
from twincode.config import Config
from twincode.data import Dataset, load_dataset
from twincode.evaluate.rate import nmse
from twincode.recipes import is_closed_form, recipe
from twincode.train import fit
from twincode.train.loop import train_epoch
from twincode.train.result import commit
from twincode.train.tokenizer_task import TokenizerTask

RECIPES = "thesis-vqvae,vqvae,warm-vqvae,mixture,pca-pq,patch-rvq"
SHARE, FEWEST, MOST = 0.15, 50, 400  # of train, held out
TIMED = 30  # steps that say how long one takes


class Row(NamedTuple):
    """One run; ``minutes`` is the budget, empty where the recipe has its own."""

    dataset: str
    recipe: str
    minutes: str
    seed: int
    steps: int
    cpu_seconds: float
    nmse: float
    commit: str | None

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What is measured once."""
        return self.dataset, self.recipe, self.minutes, self.seed


def parts(name: str, held_out: bool) -> tuple[Dataset, NDArray[np.float32]]:
    """Series to learn from, without labels, and those to judge by."""
    data = load_dataset(name)
    if not held_out:
        return Dataset.from_arrays(data.X_train), data.X_test
    order = np.random.default_rng(0).permutation(len(data.X_train))
    held = min(MOST, max(FEWEST, round(SHARE * len(order))))
    return Dataset.from_arrays(data.X_train[order[held:]]), data.X_train[order[:held]]


def seconds_a_step(config: Config, data: Dataset) -> float:
    """CPU seconds, after the first epoch."""
    task = TokenizerTask(config.replace(epochs=TIMED), data, torch.device("cpu"))
    train_epoch(task, 1)
    epochs = max(1, TIMED // task.schedule.steps_per_epoch)
    began = time.process_time()
    for epoch in range(2, 2 + epochs):
        train_epoch(task, epoch)
    return (time.process_time() - began) / (epochs * task.schedule.steps_per_epoch)


def rows(
    name: str, recipe_name: str, minutes: list[str], seed: int, held_out: bool
) -> Iterator[Row]:
    """The runs of one recipe, shortest first."""
    data, X = parts(name, held_out)
    base = recipe(recipe_name, seed=seed, evaluations=0)
    own = is_closed_form(base) or bool(base.training.steps)
    step = 0.0 if own else seconds_a_step(base, data)
    for budget in [""] if own else minutes:
        config = base
        if not own:
            config = base.replace(steps=max(1, round(60 * float(budget) / step)))
        began = time.process_time()
        model = fit(config, data, device="cpu")
        spent = time.process_time() - began
        yield Row(
            name,
            recipe_name,
            budget,
            seed,
            config.training.steps,
            spent,
            nmse(X, model.reconstruct(X)),
            commit(),
        )


def main() -> None:
    """One row after another, kept as it is found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets")
    parser.add_argument("--recipes", default=RECIPES)
    parser.add_argument("--minutes", default="1")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS / "training.csv")
    asked = parser.parse_args()
    if asked.held_out and asked.out == parser.get_default("out"):
        parser.error("errors on held-out series need a file of their own: --out FILE")
    torch.set_num_threads(1)
    found = read_rows(asked.out, Row)
    for name in asked.datasets.split(","):
        for recipe_name in asked.recipes.split(","):
            for seed in map(int, asked.seeds.split(",")):
                done = {row.key for row in found}
                minutes = asked.minutes.split(",")
                own = (name, recipe_name, "", seed) in done
                left = [each for each in minutes if (name, recipe_name, each, seed) not in done]
                if own or not left:
                    continue
                for row in rows(name, recipe_name, left, seed, asked.held_out):
                    found.append(row)
                    write_rows(asked.out, found)
                    print(*row)


if __name__ == "__main__":
    main()
