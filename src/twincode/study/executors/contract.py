"""What every executor keeps to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from twincode.study.planned import PlannedRun
    from twincode.train.log import Record, Watch

# How often a run is given to a worker before its workers' deaths count as its failure.
ATTEMPTS = 3


@dataclass(frozen=True)
class Started:
    """A worker has taken a run up; ``worker`` says which, in words."""

    run: PlannedRun
    worker: str


@dataclass(frozen=True)
class Logged:
    """A run wrote a record to its log."""

    run: PlannedRun
    record: Record


@dataclass(frozen=True)
class Lost:
    """A run's worker died; the run will be taken up again from its last checkpoint."""

    run: PlannedRun


@dataclass(frozen=True)
class Ended:
    """A run is over: done, or failed for ``reason``."""

    run: PlannedRun
    reason: str | None


@dataclass(frozen=True)
class Stopping:
    """Ctrl-C was pressed: no run begins any more, those at work finish their epoch."""


Event = Started | Logged | Lost | Ended | Stopping
Report = Callable[[Event], None]


class Task(Protocol):
    """Carries one run out where it is called: None, or why it failed in one line."""

    def __call__(self, run: PlannedRun, watch: Watch | None = None) -> str | None:
        """Tell ``watch`` every record of the run's log on the way."""
        ...


class Executor(Protocol):
    """Carries runs out. ``elsewhere`` says whether on machines this process knows nothing of."""

    @property
    def elsewhere(self) -> bool:
        """Whether devices are for the workers alone to judge."""
        ...

    def __call__(self, runs: Sequence[PlannedRun], task: Task, report: Report) -> None:
        """Carry out every run, in about this order, and return when all are over.

        ``report`` is called in the calling thread. On Ctrl-C the runs at work finish and save their
        epoch, then KeyboardInterrupt is raised; a second one ends them at once. No worker outlives
        the call, nor the process that made it, however it ends.
        """
        ...
