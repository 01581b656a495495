"""``python -m benchmarks.memory``: the most memory a run of each data set needs.

The data sets are those of the thesis, table 5.1, in sizes alone: random walks take as much room.
Each is measured in a fresh process, as the command line trains: BT-VQVAE, batch 128, P 4096.
"""

import multiprocessing
import resource
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import NamedTuple

import torch

from benchmarks.cases import BATCH, series
from benchmarks.tables import RESULTS, write_table
from twincode.evaluate.evaluator import embed
from twincode.evaluate.readout import minmax_scale, readout_features
from twincode.memory import keep_freed_memory
from twincode.recipes import recipe
from twincode.tokenizers import Tokenizer
from twincode.train.loop import build_learner

# Linux counts in kibibytes, macOS in bytes.
_UNIT = 1 if sys.platform == "darwin" else 1024
STEPS = 3
LATER_STEPS = 6


class Sizes(NamedTuple):
    """A data set's number of series, and their length."""

    dataset: str
    train: int
    test: int
    length: int


SETS = (
    Sizes("ElectricDevices", 8926, 7711, 96),
    Sizes("StarLightCurves", 1000, 8236, 1024),
    Sizes("Wafer", 1000, 6164, 152),
    Sizes("ECG5000", 500, 4500, 140),
    Sizes("TwoPatterns", 1000, 4000, 128),
    Sizes("FordA", 3601, 1320, 500),
    Sizes("UWaveGestureLibraryAll", 896, 3582, 945),
    Sizes("FordB", 3636, 810, 500),
    Sizes("ChlorineConcentration", 467, 3840, 166),
)


class Peak(NamedTuple):
    """Highest resident memory so far, in gigabytes: at the start, and after each stage."""

    dataset: str
    train: int
    test: int
    length: int
    imported: float
    first_steps: float
    later_steps: float
    evaluation: float


def peaks(sets: tuple[Sizes, ...] = SETS, **settings: object) -> Iterator[Peak]:
    """The peaks of each data set, one process after another."""
    context = multiprocessing.get_context("spawn")
    for sizes in sets:
        mine, theirs = context.Pipe()
        threads = torch.get_num_threads()
        process = context.Process(target=_measure, args=(theirs, sizes, settings, threads))
        process.start()
        yield Peak(*sizes, *mine.recv())
        process.join()


def _measure(pipe: Connection, sizes: Sizes, settings: dict[str, object], threads: int) -> None:
    """Train for a few steps and a few more, then embed everything as evaluation does."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    found = [_peak()]
    x = series(sizes.length, sizes.train + sizes.test)
    learner = build_learner(recipe("bt-vqvae", **settings), x, torch.device("cpu"))
    for epoch, steps in enumerate((STEPS, LATER_STEPS), start=1):
        learner.train_epoch(x[: steps * BATCH], epoch)
        found.append(_peak())
    _embed_all(learner.tokenizer, x, sizes.train)
    pipe.send([*found, _peak()])


def _embed_all(tokenizer: Tokenizer, x: torch.Tensor, n_train: int) -> None:
    """Both parts' flattened codes side by side, scaled: what the largest probe starts from."""
    features = []
    for part in (x[:n_train], x[n_train:]):
        latents, codes = embed(tokenizer, part)
        features.append(readout_features("flatten", latents, codes, 0))
    minmax_scale(*features)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT / 1e9


def main() -> None:
    """Measure every data set and write."""
    torch.set_num_threads(1)
    write_table(RESULTS / "memory.csv", peaks())


if __name__ == "__main__":
    main()
