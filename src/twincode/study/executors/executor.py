"""What every executor keeps to, and what they share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from twincode.study.runs import PlannedRun
    from twincode.train.log import Watch

# How often a run is given to a worker before its workers' deaths count as its failure.
ATTEMPTS = 3
# OpenMP, and so torch and scikit-learn; then the two linear algebra libraries NumPy comes with.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Report = Callable[[dict[str, Any]], None]


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

        ``report`` is called in the calling thread, with what the log of a run gains (``LogTail``)
        and with these events:

        - ``started``, a ``run`` by its name and the ``worker`` that took it up, in words
        - ``lost``, a ``run`` whose worker died; it will be taken up again from its checkpoint
        - ``ended``, a ``run`` that is over, and the ``reason`` why it failed, or None
        - ``stopping``: Ctrl-C was pressed; no run begins, those at work finish their epoch

        On Ctrl-C the runs at work finish and save their epoch, then KeyboardInterrupt is raised; a
        second one ends them at once. No worker outlives the call, nor the process that made it,
        however it ends.
        """
        ...


def thread_variables(threads: int) -> dict[str, str]:
    """The environment variables for ``threads`` threads, or for as many as the user has set.

    To be set before a worker loads the libraries that would take all.
    """
    return {name: os.environ.get(_THREADS[0]) or str(threads) for name in _THREADS}
