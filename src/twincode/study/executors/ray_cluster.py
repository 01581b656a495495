"""Ray: the cores and accelerators of this machine, or of a cluster with one file system."""

import importlib.util
import logging
import math
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from twincode.errors import TwincodeError
from twincode.memory import keep_freed_memory
from twincode.study.executors.crew import Crew
from twincode.study.executors.executor import ATTEMPTS, Report, Task, thread_variables
from twincode.study.executors.log_tail import LogTail
from twincode.study.runs import PlannedRun

LOCAL = "local"
POLL_SECONDS = 0.5
# Runs in Ray's queue for each that fits: enough that no worker waits, and that a cluster that
# grows on demand sees the demand.
QUEUED_PER_SLOT = 2
# How long the address of a cluster may take to answer.
ANSWER_SECONDS = 5.0
_ADDRESS = re.compile(r"[^:/\s]+:\d{1,5}")
_LOOPBACK = ("localhost", "127.0.0.1")

# Nobody is to be told of this use of Ray.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
# A Ray of our own listens to this machine alone and exports no metrics.
_OWN = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_enable_metrics_collection": "0"}


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
        if self.address != LOCAL and not _ADDRESS.fullmatch(self.address):
            raise TwincodeError(
                f"Ray is either {LOCAL} or at an address such as 10.0.0.1:6379, not "
                f"{self.address!r}"
            )
        if importlib.util.find_spec("ray") is None:
            raise TwincodeError("Ray is not installed; install it with pip install 'twincode[ray]'")

    def __call__(self, runs: Sequence[PlannedRun], task: Task, report: Report) -> None:
        """Carry out every run; see ``Executor``."""
        with _connected(self.address) as ray:
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
        self._remote = ray.remote(
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus,
            max_retries=ATTEMPTS - 1,
            runtime_env={"env_vars": thread_variables(max(1, int(cluster.cpus)))},
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
            reason = self._reason(reference)
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

    def _reason(self, reference: Any) -> str | None:
        """Why a run failed; None where it did not."""
        try:
            reason: str | None = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            detail = (str(error).splitlines() or [""])[0]
            return f"its worker died {ATTEMPTS} times ({type(error).__name__}: {detail})"
        return reason


def _carry_out(task: Task, run: PlannedRun) -> str | None:
    """What runs on a node."""
    keep_freed_memory()
    return task(run, None)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, begun quietly and left when done; one that was begun before is used and kept."""
    with _variables({**_QUIET, **(_OWN if address == LOCAL else {})}):
        import ray

        own = not ray.is_initialized()
        if own:
            if address != LOCAL:
                _check_answer(address, ray.util.get_node_ip_address())
            try:
                ray.init(
                    address=address,
                    include_dashboard=False if address == LOCAL else None,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                )
            except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise TwincodeError(f"cannot work with Ray at {address!r}: {reason}") from error
    try:
        yield ray
    finally:
        if own:
            ray.shutdown()


def _check_answer(address: str, own_host: str) -> None:
    """Raise TwincodeError where nothing listens: Ray itself would try for minutes.

    Ray takes the loopback address for this machine's address in its network, ``own_host``.
    """
    host, _, port = address.rpartition(":")
    for each in (host, own_host) if host in _LOOPBACK else (host,):
        with suppress(OSError), socket.create_connection((each, int(port)), ANSWER_SECONDS):
            return
    raise TwincodeError(f"nothing answers at {address}; give --ray the address of a cluster")


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for as long as it takes to start something."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
