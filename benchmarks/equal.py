"""Closed forms at the very bits that the thesis's networks take on each data set.

    python -m benchmarks.equal

What a network costs follows from its grid, which follows from the length of series, so on each set
it takes other bits. Rows that are there already are not measured again.
"""

import argparse
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.accuracy import SETS
from benchmarks.tables import RESULTS, measure_missing
from twincode.data import load_dataset
from twincode.recipes import CLOSED_FORMS, recipe
from twincode.train import fit
from twincode.train.result import commit

METRICS = ("reconstruction", "rate", "kernels")


class Row(NamedTuple):
    """One closed form of one seed, asked for as many bits as a network takes."""

    dataset: str
    recipe: str
    seed: int
    asked: int
    bits: float
    nmse: float
    kernels: float
    cpu_seconds: float
    commit: str | None


def measure(name: str, closed_form: str, seed: int) -> Row:
    """Fitted on train, judged on test, as in a study."""
    data = load_dataset(name)
    # An encoder that was never trained has the same grid, and as many codes.
    network = recipe("vqvae", epochs=0, evaluations=0)
    asked = round(fit(network, data, device="cpu").bits_per_series)
    began = time.process_time()
    config = recipe(closed_form, bits=asked, seed=seed, evaluations=0, metrics=METRICS)
    model = fit(config, data, device="cpu")
    spent = time.process_time() - began
    scores = {each.metric: each.value for each in model.evaluate(data)}
    bits, error, kernels = (scores[metric] for metric in ("bits", "nmse", "kernels"))
    return Row(name, closed_form, seed, asked, bits, error, kernels, spent, commit())


def main() -> None:
    """One row after another, kept as it is found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="?", default=SETS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "equal.csv")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keys = product(asked.datasets.split(","), CLOSED_FORMS, range(asked.seeds))
    measure_missing(asked.out, Row, keys, measure)


if __name__ == "__main__":
    main()
