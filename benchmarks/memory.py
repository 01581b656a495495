"""``python -m benchmarks.memory``: the most memory a run of each data set needs.

The data sets are those of the thesis, table 5.1, in sizes alone: random walks take as much room.
Each is measured in a fresh process, as the command line trains: BT-VQVAE, batch 128, P 4096.
"""

import multiprocessing
import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

import torch

from benchmarks.cases import BATCH, series
from benchmarks.tables import RESULTS, write_table
from twincode.data import Dataset
from twincode.evaluate import readout_features
from twincode.evaluate.readout import minmax_scale
from twincode.memory import keep_freed_memory
from twincode.recipes import recipe
from twincode.tokenizers import embed
from twincode.train.tokenizer_task import TokenizerTask

# Linux counts in kibibytes, macOS in bytes.
_UNIT = 1 if sys.platform == "darwin" else 1024
GIGABYTE = 1e9
STEPS, LATER_STEPS = 3, 6

Found = TypeVar("Found")


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
    for sizes in sets:
        stages = in_fresh_process(partial(_stages, sizes, settings))
        yield Peak(*sizes, *(highest / GIGABYTE for highest in stages))


def in_fresh_process(measure: Callable[[], Found]) -> Found:
    """What ``measure`` finds in a process of its own, which keeps memory as the command line does.

    It has as many threads as this one. ``measure`` is of the module level, arguments bound.
    """
    context, threads = multiprocessing.get_context("spawn"), torch.get_num_threads()
    with ProcessPoolExecutor(1, context, _prepare, (threads,)) as fresh:
        return fresh.submit(measure).result()


def _prepare(threads: int) -> None:
    torch.set_num_threads(threads)
    keep_freed_memory()


def peak() -> int:
    """The highest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def _stages(sizes: Sizes, settings: dict[str, object]) -> list[int]:
    """Train for a few steps and a few more, then embed everything as evaluation does.

    The largest probe starts from both parts' flattened codes side by side, scaled.
    """
    found = [peak()]
    x = series(sizes.length, sizes.train + sizes.test).numpy()
    data = Dataset.from_arrays(x[: sizes.train], test=(x[sizes.train :], None))
    task = TokenizerTask(
        recipe("bt-vqvae", continuous_share=0, **settings), data, torch.device("cpu")
    )
    rows = torch.arange(min(sizes.train, BATCH))
    for steps in (STEPS, LATER_STEPS):
        task.begin_epoch(1)
        for step in range(steps):
            task.step(rows, step)
        found.append(peak())
    tokenizer, parts = task.tokenizer, (task.split.x_train, task.split.x_test)
    minmax_scale(
        *(readout_features("flatten", *embed(tokenizer, x), tokenizer.layout) for x in parts)
    )
    return [*found, peak()]


def main() -> None:
    """Measure every data set and write."""
    torch.set_num_threads(1)
    write_table(RESULTS / "memory.csv", peaks())


if __name__ == "__main__":
    main()
