"""What is particular to an accelerator: recorded steps, and several runs that share it."""

import dataclasses
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import NamedTuple

import torch

from benchmarks.cases import BATCH, series
from benchmarks.timing import Comparison, seconds, synchronise
from twincode.recipes import recipe
from twincode.train.loop import Learner, build_learner

PRECISIONS = ("float32", "tf32", "bfloat16")
STEPS = 32
ROUNDS = 5
RUNS = (1, 2, 4, 8)


class Launch(NamedTuple):
    """Seconds a step, launched kernel by kernel and recorded, in turns."""

    recipe: str
    length: int
    precision: str
    launched: float
    recorded: float
    ratio: float
    lowest: float
    highest: float


class Sharing(NamedTuple):
    """Steps a second of several runs together, each a process of its own."""

    recipe: str
    length: int
    precision: str
    runs: int
    steps_a_second: float
    times_one: float


class Size(NamedTuple):
    """One training: the recipe, its series and its settings, and steps to an epoch."""

    recipe: str
    length: int
    batch: int = BATCH
    steps: int = STEPS
    settings: tuple[tuple[str, object], ...] = ()


SIZES = (Size("bt-vqvae", 140), Size("bt-vqvae", 500), Size("vqvae", 140), Size("vqvae", 1024))


def launches(device: str, sizes: Sequence[Size] = SIZES, rounds: int = ROUNDS) -> Iterator[Launch]:
    """A recorded step against the same step launched, at every size and precision."""
    for precision in PRECISIONS:
        for size in sizes:
            recorded = _learner(size, precision, device)
            launched = dataclasses.replace(_learner(size, precision, device), recorder=None)
            yield _compare(size, precision, launched, recorded, device, rounds)


def _compare(
    size: Size, precision: str, launched: Learner, recorded: Learner, device: str, rounds: int
) -> Launch:
    x = series(size.length, size.batch * size.steps, device)
    pairs = []
    for epoch in range(1, rounds + 2):
        pair = [
            seconds(lambda one=one, epoch=epoch: one.train_epoch(x, epoch)) / size.steps  # type: ignore[misc]
            for one in (launched, recorded)
        ]
        pairs.append(pair)
    # The first epoch warms up and records.
    found = Comparison(*zip(*pairs[1:], strict=True))
    return Launch(
        size.recipe,
        size.length,
        precision,
        statistics.median(found.first),
        statistics.median(found.second),
        found.ratio,
        min(found.ratios),
        max(found.ratios),
    )


def sharing(
    device: str, sizes: Sequence[Size] = SIZES[:1], counts: Sequence[int] = RUNS
) -> Iterator[Sharing]:
    """Total throughput of 1, 2, 4, 8 runs that share the device."""
    for precision in PRECISIONS[1:]:
        for size in sizes:
            alone = 0.0
            for runs in counts:
                rate = _together(size, precision, device, runs)
                alone = alone or rate
                yield Sharing(size.recipe, size.length, precision, runs, rate, rate / alone)


def _together(size: Size, precision: str, device: str, runs: int) -> float:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(runs)
    pipes, processes = [], []
    for _ in range(runs):
        mine, theirs = context.Pipe()
        threads = torch.get_num_threads()
        arguments = (theirs, barrier, size, precision, device, threads)
        processes.append(context.Process(target=_run, args=arguments, daemon=True))
        pipes.append(mine)
    for process in processes:
        process.start()
    spans = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join()
    began, ended = min(a for a, _ in spans), max(b for _, b in spans)
    return runs * size.steps / (ended - began)


def _run(
    pipe: Connection, barrier: Barrier, size: Size, precision: str, device: str, threads: int
) -> None:
    torch.set_num_threads(threads)
    learner = _learner(size, precision, device)
    x = series(size.length, size.batch * size.steps, device)
    learner.train_epoch(x, 1)
    synchronise()
    barrier.wait()
    began = time.time()  # the one clock all processes share
    learner.train_epoch(x, 2)
    synchronise()
    pipe.send((began, time.time()))


def _learner(size: Size, precision: str, device: str) -> Learner:
    """A learner of that size; tf32 is float32 with products rounded to 10 bits."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    named = "float32" if precision == "tf32" else precision
    config = recipe(
        size.recipe, epochs=1000, precision=named, batch_size=size.batch, **dict(size.settings)
    )
    x = series(size.length, size.batch, device)
    return build_learner(config, x, torch.device(device))
