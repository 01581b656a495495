"""``python -m benchmarks.systems``: what every system costs beside the naive model.

A training step as a multiple of the naive model's, the two timed in turns, each in a process of its
own; and the most memory that a fresh process needs for a few steps. The settings are those of
``results/systems.toml``, the study that compares what the systems are worth.
"""

import argparse
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.progress import track

from benchmarks.cases import our_step, our_task
from benchmarks.memory import STEPS, in_fresh_process, peak
from benchmarks.tables import RESULTS, write_table
from benchmarks.timing import Side, compare
from twincode.recipes import RECIPES
from twincode.train.loop import train_epoch

STUDY = Path(__file__).parents[1] / "results" / "systems.toml"
NAIVE = "vqvae"
# All that train, each at one budget.
SYSTEMS = tuple(
    name
    for name, (_, make) in RECIPES.items()
    if make().training.epochs and not name.startswith("thesis-")
)
LENGTHS = (140, 500)
SHARED = ("batch_size", "precision", "projector_width")
ROUNDS = 5


class Cost(NamedTuple):
    """A step's time over the naive model's, median, lowest and highest round; bytes; sizes.

    ``codes`` is how many codes a series becomes, 0 for a model without.
    """

    recipe: str
    length: int
    ratio: float
    lowest: float
    highest: float
    peak_memory: int
    parameters: int
    codes: int


def study_settings() -> dict[str, Any]:
    """Those of the study's settings that all systems share and that decide what a step costs."""
    settings = tomllib.loads(STUDY.read_text(encoding="utf-8"))["settings"]
    return {name: settings[name] for name in SHARED}


def costs(
    settings: Mapping[str, Any],
    recipes: Sequence[str] = SYSTEMS,
    lengths: Sequence[int] = LENGTHS,
    rounds: int = ROUNDS,
) -> Iterator[Cost]:
    """What each recipe costs at each length; ``settings`` has to hold a ``batch_size``."""
    step = partial(our_step, n=settings["batch_size"], **settings)
    with Side(keep_memory=True) as system, Side(keep_memory=True) as naive:
        for length in lengths:
            for name in recipes:
                makers = (partial(step, length, name), partial(step, length, NAIVE))
                found = compare(system, naive, makers, rounds, warm=True)
                size = in_fresh_process(partial(footprint, name, length, settings))
                yield Cost(name, length, *found.spread, *size)


def footprint(name: str, length: int, settings: Mapping[str, Any]) -> tuple[int, int, int]:
    """Peak memory of this process after ``STEPS`` steps, numbers that it trains, codes a series."""
    task = our_task(length, name, n=STEPS * settings["batch_size"], **settings)
    train_epoch(task, 1)
    groups, tokenizer = task.optimizer.param_groups, task.tokenizer
    trained = sum(tensor.numel() for group in groups for tensor in group["params"])
    return peak(), trained, math.prod(tokenizer.grid) if tokenizer.layout.grids else 0


def main() -> None:
    """Measure every system, or some, and write; of others rows stay."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=SYSTEMS)
    recipes = parser.parse_args().recipes
    torch.set_num_threads(1)
    measured = costs(study_settings(), recipes)
    rows = track(measured, total=len(recipes) * len(LENGTHS))
    write_table(RESULTS / "systems.csv", rows, ("recipe", "length"))


if __name__ == "__main__":
    main()
