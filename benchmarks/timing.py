"""Two programs timed in turns, so that a noisy machine disturbs both alike."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """Seconds of each round, plain and ours side by side."""

    plain: tuple[float, ...]
    ours: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """How many times ahead, round by round."""
        return [a / b for a, b in zip(self.plain, self.ours, strict=True)]

    @property
    def ratio(self) -> float:
        """The median over rounds."""
        return statistics.median(self.ratios)


def seconds(work: Work) -> float:
    """How long one call takes, on an accelerator until its last kernel is done."""
    synchronise()
    began = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - began


def best(work: Work, rounds: int = 5) -> float:
    """The shortest of several calls, after one that does not count."""
    work()
    return min(seconds(work) for _ in range(rounds))


def compare(plain: Work, ours: Work, rounds: int = 5, warm: bool = True) -> Comparison:
    """Time both in turns."""
    if warm:
        plain(), ours()
    gc.collect()
    pairs = [(seconds(plain), seconds(ours)) for _ in range(rounds)]
    return Comparison(tuple(p for p, _ in pairs), tuple(o for _, o in pairs))


def synchronise() -> None:
    """Wait for the accelerator, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
