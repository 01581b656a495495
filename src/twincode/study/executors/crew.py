"""What executors with workers of their own share: runs that wait, runs at work, Ctrl-C."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from twincode.study.executors.executor import Report
from twincode.study.executors.log_tail import LogTail
from twincode.study.runs import PlannedRun
from twincode.train.interrupt import PatientInterrupt

Worker = TypeVar("Worker", bound=Hashable)


class Crew(ABC, Generic[Worker]):
    """Runs that wait for a worker, and the logs of those at work, by who carries them out."""

    def __init__(self, runs: Sequence[PlannedRun], report: Report) -> None:
        self.waiting = deque(runs)
        self.tails: dict[Worker, LogTail] = {}
        self.report = report
        self.stopping = False

    def carry_out(self) -> None:
        """Go on until all is over; on Ctrl-C until those at work have saved."""
        with PatientInterrupt() as interrupt:
            while self.waiting or self.tails:
                if interrupt.pending and not self.stopping:
                    self.stopping = True
                    self.waiting.clear()
                    self.report({"event": "stopping"})
                    self.ask_to_stop()
                self.step()
        if interrupt.pending:
            raise KeyboardInterrupt

    @abstractmethod
    def step(self) -> None:
        """Hand out runs, wait a moment, and take in what became of others."""

    @abstractmethod
    def ask_to_stop(self) -> None:
        """Pass Ctrl-C on: those at work finish their epoch."""

    def started(self, run: PlannedRun, worker: str) -> None:
        """Report that a run was taken up."""
        self.report({"event": "started", "run": run.name, "worker": worker})

    def follow(self) -> None:
        """Report what the logs of the runs at work have gained."""
        for tail in self.tails.values():
            for record in tail.news():
                self.report(record)

    def ended(self, worker: Worker, reason: str | None) -> None:
        """Report that a run is over."""
        run = self.tails.pop(worker).run
        self.report({"event": "ended", "run": run.name, "reason": reason})
