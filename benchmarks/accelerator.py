"""What is particular to an accelerator: recorded steps, and several runs that share it."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import NamedTuple

import torch

from benchmarks.cases import BATCH, our_task
from benchmarks.timing import Comparison, seconds, synchronise
from twincode.train.loop import train_epoch
from twincode.train.recording import ON, VARIABLE
from twincode.train.tokenizer_task import TokenizerTask

PRECISIONS = ("float32", "tf32", "bfloat16")
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
    steps: int = 32
    settings: tuple[tuple[str, object], ...] = ()


SIZES = (Size("bt-vqvae", 140), Size("bt-vqvae", 500), Size("vqvae", 140), Size("vqvae", 1024))


def launches(device: str, sizes: Sequence[Size] = SIZES, rounds: int = ROUNDS) -> Iterator[Launch]:
    """A recorded step against the same step launched, at every size and precision."""
    for precision in PRECISIONS:
        for size in sizes:
            tasks = [_task(size, precision, device, recorded) for recorded in (False, True)]
            pairs = [
                [seconds(lambda t=task, e=epoch: train_epoch(t, e)) / size.steps for task in tasks]  # type: ignore[misc]
                for epoch in range(1, rounds + 2)
            ]
            # The first epoch warms up and records.
            found = Comparison(*zip(*pairs[1:], strict=True))
            medians = statistics.median(found.first), statistics.median(found.second)
            yield Launch(*size[:2], precision, *medians, *found.spread)


def sharing(
    device: str, sizes: Sequence[Size] = SIZES[:1], counts: Sequence[int] = RUNS
) -> Iterator[Sharing]:
    """Total throughput of 1, 2, 4, 8 runs that share the device, their steps recorded."""
    for precision in PRECISIONS[1:]:
        for size in sizes:
            rates = [_together(size, precision, device, runs) for runs in counts]
            for runs, rate in zip(counts, rates, strict=True):
                yield Sharing(*size[:2], precision, runs, rate, rate / rates[0])


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
    task = _task(size, precision, device, recorded=True)
    train_epoch(task, 1)
    synchronise()
    barrier.wait()
    began = time.time()  # the one clock all processes share
    train_epoch(task, 2)
    synchronise()
    pipe.send((began, time.time()))


def _task(size: Size, precision: str, device: str, recorded: bool) -> TokenizerTask:
    """A task of that size; tf32 is float32 with products rounded to 10 bits."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    named = "float32" if precision == "tf32" else precision
    os.environ[VARIABLE] = ON if recorded else ""
    n, settings = size.batch * size.steps, dict(size.settings)
    return our_task(size.length, size.recipe, named, device, n, batch_size=size.batch, **settings)
