"""Two programs timed in turns, so that a noisy machine disturbs both alike.

Each runs in a process of its own: neither has the other's memory at hand, and what the command line
sets for ours (freed memory kept) is not lent to the plain way.
"""

import gc
import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType

import torch

from twincode.memory import keep_freed_memory

Work = Callable[[], object]
# A function of the module level with its arguments bound, so that it can be sent to a process.
WorkMaker = Callable[[], Work]


@dataclass(frozen=True)
class Comparison:
    """Seconds of each round, the two sides beside each other."""

    first: tuple[float, ...]
    second: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """How many times as long the first takes, round by round."""
        return [a / b for a, b in zip(self.first, self.second, strict=True)]

    @property
    def spread(self) -> tuple[float, float, float]:
        """The median over rounds, the lowest and the highest."""
        return statistics.median(self.ratios), min(self.ratios), max(self.ratios)


def clock_name() -> str:
    """What time is: this process's own where it computes alone on one core, else the wall's.

    On a shared machine a process's own time leaves out what others were given.
    """
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    return "process_time" if alone else "perf_counter"


def seconds(work: Work) -> float:
    """How long one call takes, on an accelerator until its last kernel is done."""
    clock: Callable[[], float] = getattr(time, clock_name())
    synchronise()
    began = clock()
    work()
    synchronise()
    return clock() - began


def best(work: Work, rounds: int = 5) -> float:
    """The shortest of several calls, after one that does not count."""
    work()
    return min(seconds(work) for _ in range(rounds))


class Side:
    """A process that does the work of one side when asked, and says how long it took."""

    def __init__(self, keep_memory: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, keep_memory, torch.get_num_threads())
        self._process = context.Process(target=_serve, args=arguments, daemon=True)

    def __enter__(self) -> "Side":
        self._process.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pipe.send(None)
        self._process.join()

    def prepare(self, maker: WorkMaker, warm: bool) -> None:
        """Have the work made, and done once where ``warm``; what was there before is let go."""
        self._pipe.send((maker, warm))
        self._pipe.recv()

    def seconds(self) -> float:
        """How long the work takes, done once more."""
        self._pipe.send("go")
        taken: float = self._pipe.recv()
        return taken


def _serve(pipe: Connection, keep_memory: bool, threads: int) -> None:
    torch.set_num_threads(threads)
    if keep_memory:
        keep_freed_memory()
    work: Work | None = None
    while (request := pipe.recv()) is not None:
        if request == "go" and work is not None:
            pipe.send(seconds(work))
            continue
        maker, warm = request
        work = None
        gc.collect()
        work = maker()
        if warm:
            work()
        pipe.send("ready")


def compare(
    first: Side, second: Side, makers: tuple[WorkMaker, WorkMaker], rounds: int, warm: bool
) -> Comparison:
    """Time both sides' work in turns."""
    for side, maker in zip((first, second), makers, strict=True):
        side.prepare(maker, warm)
    pairs = [(first.seconds(), second.seconds()) for _ in range(rounds)]
    return Comparison(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def synchronise() -> None:
    """Wait for the accelerator, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
