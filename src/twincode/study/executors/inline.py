"""One run after another, in this process."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from twincode.study.executors.executor import Report, Task
from twincode.study.executors.log_tail import LogTail
from twincode.study.runs import PlannedRun
from twincode.train.log import Record


@dataclass(frozen=True)
class Inline:
    """The executor for one process. ``fit`` itself sees to Ctrl-C."""

    elsewhere = False

    def __call__(self, runs: Sequence[PlannedRun], task: Task, report: Report) -> None:
        """Carry out every run; see ``Executor``."""
        for run in runs:
            tail = LogTail(run)

            def watch(record: Record, tail: LogTail = tail) -> None:
                if record["event"] == "stopping":
                    report({"event": "stopping"})
                for each in tail.news():
                    report(each)

            report({"event": "started", "run": run.name, "worker": f"process {os.getpid()}"})
            reason = task(run, watch)
            report({"event": "ended", "run": run.name, "reason": reason})
