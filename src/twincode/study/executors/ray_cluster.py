"""Ray: the cores and accelerators of this machine, or of a cluster with one file system."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twincode.cluster import LOCAL, check_address, connected, outcome
from twincode.errors import TwincodeError
from twincode.memory import keep_freed_memory
from twincode.study.executors.crew import Crew
from twincode.study.executors.executor import ATTEMPTS, Report, Task, thread_variables
from twincode.study.executors.log_tail import LogTail
from twincode.study.runs import PlannedRun

POLL_SECONDS = 0.5
# Runs in Ray's queue for each that fits: enough that no worker waits, and that a cluster that
# grows on demand sees the demand.
QUEUED_PER_SLOT = 2


@dataclass(frozen=True)
class RayCluster:
    """Ray at ``address``, or ``local`` for one of its own on this machine alone.

    Every run takes ``cpus`` cores, as many threads, and ``gpus`` accelerators, which may be a
    fraction. The study's folder and the data must have the same path on every node. A run whose
    node dies is taken up by another, from its last checkpoint.
    """

    address: str = LOCAL
    cpus: float = 1.0
    gpus: float = 0.0
    elsewhere = True

    def __post_init__(self) -> None:
        if not (0 < self.cpus < math.inf and 0 <= self.gpus < math.inf):
            raise TwincodeError(
                "a run on Ray takes more than 0 cpus and at least 0 gpus, not "
                f"{self.cpus:g} and {self.gpus:g}"
            )
        check_address(self.address)

    def __call__(self, runs: Sequence[PlannedRun], task: Task, report: Report) -> None:
        """Carry out every run; see ``Executor``."""
        with connected(self.address) as ray:
            if self.address == LOCAL:
                self._check_room(ray)
            queue = _Queue(ray, self, runs, task, report)
            try:
                queue.carry_out()
            except BaseException:
                queue.ask_to_stop(force=True)
                raise

    def _check_room(self, ray: Any) -> None:
        """Ray would wait for ever for cores that do not come."""
        there = ray.cluster_resources()
        if self.cpus > there.get("CPU", 0) or self.gpus > there.get("GPU", 0):
            raise TwincodeError(
                f"no run fits here: this machine has {there.get('CPU', 0):g} cpus and "
                f"{there.get('GPU', 0):g} gpus; ask for fewer per run"
            )


class _Queue(Crew[Any]):
    """The runs that Ray has, by Ray's references to them, and the runs that wait for it."""

    def __init__(
        self, ray: Any, cluster: RayCluster, runs: Sequence[PlannedRun], task: Task, report: Report
    ) -> None:
        super().__init__(runs, report)
        self._ray = ray
        self._cluster = cluster
        self._task = ray.put(task)
        variables = thread_variables(max(1, int(cluster.cpus)))
        if not cluster.gpus:  # else a run would take whichever it sees
            variables |= {"CUDA_VISIBLE_DEVICES": ""}
        self._remote = ray.remote(
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus,
            max_retries=ATTEMPTS - 1,
            runtime_env={"env_vars": variables},
        )(_carry_out)

    def ask_to_stop(self, force: bool = False) -> None:
        """Pass Ctrl-C on to every run, or end its process."""
        for reference in self.tails:
            self._ray.cancel(reference, force=force)

    def step(self) -> None:
        """Give runs to Ray, then take in what became of others."""
        while self.waiting and len(self.tails) < self._room():
            run = self.waiting.popleft()
            self.tails[self._remote.remote(self._task, run)] = LogTail(run, worker="ray")
        handed_in = list(self.tails)
        over, _ = self._ray.wait(handed_in, num_returns=len(handed_in), timeout=POLL_SECONDS)
        self.follow()
        for reference in over:
            reason = outcome(self._ray, reference, ATTEMPTS)
            if self.stopping and reason is not None:
                del self.tails[reference]  # it was told to stop
            else:
                self.ended(reference, reason)

    def _room(self) -> int:
        there = self._ray.cluster_resources()
        slots = there.get("CPU", 0) / self._cluster.cpus
        if self._cluster.gpus:
            slots = min(slots, there.get("GPU", 0) / self._cluster.gpus)
        return max(1, int(slots)) * QUEUED_PER_SLOT


def _carry_out(task: Task, run: PlannedRun) -> str | None:
    """What runs on a node."""
    keep_freed_memory()
    return task(run, None)
