"""One run after another, in this process."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from twincode.study.executors.contract import Ended, Logged, Report, Started, Stopping, Task
from twincode.study.planned import PlannedRun
from twincode.train.log import Record


@dataclass(frozen=True)
class Inline:
    """The executor for one process. ``fit`` itself sees to Ctrl-C."""

    elsewhere = False

    def __call__(self, runs: Sequence[PlannedRun], task: Task, report: Report) -> None:
        """Carry out every run; see the contract."""
        for run in runs:

            def watch(record: Record, run: PlannedRun = run) -> None:
                report(Stopping() if record["event"] == "stopping" else Logged(run, record))

            report(Started(run, f"process {os.getpid()}"))
            report(Ended(run, task(run, watch)))
