"""Several worker processes on this machine, each with its share of the cores."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from twincode.devices import cores
from twincode.errors import TwincodeError, check_count
from twincode.study.executors.crew import Crew
from twincode.study.executors.executor import ATTEMPTS, Report, Task, thread_variables
from twincode.study.executors.log_tail import LogTail
from twincode.study.runs import PlannedRun

WORKER = "twincode.study.executors.worker"
# A signal does not wake the driver; it looks for one this often.
POLL_SECONDS = 0.2

_SOURCE = Path(__file__).parents[3]


@dataclass(frozen=True)
class Processes:
    """``workers`` processes of this machine."""

    workers: int
    elsewhere = False

    def __post_init__(self) -> None:
        check_count("workers", self.workers)
        if os.name != "posix":
            raise TwincodeError("several workers need Linux or macOS; use one")

    def __call__(self, runs: Sequence[PlannedRun], task: Task, report: Report) -> None:
        """Carry out every run; see ``Executor``."""
        with closing(_Crew(self.workers, runs, task, report)) as crew:
            crew.carry_out()


class _Worker:
    """One process and the line to it. It dies when the line breaks."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        mine, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", WORKER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.errors,
                start_new_session=True,  # Ctrl-C is for the driver to pass on
            )
        self.line = Connection(mine.detach())

    def send(self, message: object) -> None:
        """Send anything; a worker that has died is noticed when its line is read."""
        try:
            self.line.send_bytes(pickle.dumps(message))
        except OSError:
            return

    def close(self) -> None:
        """End it, if it has not ended, and forget it."""
        self.process.kill()
        self.process.wait()
        self.line.close()
        self.errors.close()

    def obituary(self) -> str:
        """What is known of its death, in one line."""
        status = self.process.wait()
        self.errors.seek(0)
        words = self.errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(words) if line.strip()), "")
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return f"its worker process ended {how}" + (f": {last}" if last else "")


class _Crew(Crew["_Worker"]):
    """All workers."""

    def __init__(self, size: int, runs: Sequence[PlannedRun], task: Task, report: Report) -> None:
        super().__init__(runs, report)
        self._size = size
        self._task = task
        self._environment = _environment(max(1, cores() // size))
        self._workers: list[_Worker] = []
        self._attempts: Counter[str] = Counter()

    def close(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.close()

    def ask_to_stop(self) -> None:
        """Tell every worker."""
        for worker in self._workers:
            worker.send(None)

    def step(self) -> None:
        """Give waiting runs to free workers, then take in what logs and workers say."""
        while self.waiting and (worker := self._free()):
            run = self.waiting.popleft()
            self.tails[worker] = LogTail(run)
            self._attempts[run.name] += 1
            worker.send((self._task, run))
            self.started(run, f"process {worker.process.pid}")
        lines = {worker.line: worker for worker in self._workers}
        ready = wait(list(lines), POLL_SECONDS)
        self.follow()
        for line in ready:
            self._listen(lines[line])  # type: ignore[index]

    def _free(self) -> _Worker | None:
        """A worker with nothing to do, a new one if need be; None where all are at work."""
        for worker in self._workers:
            if worker not in self.tails:
                return worker
        if len(self._workers) == self._size:
            return None
        self._workers.append(_Worker(self._environment))
        return self._workers[-1]

    def _listen(self, worker: _Worker) -> None:
        try:
            self.ended(worker, pickle.loads(worker.line.recv_bytes()))
        except (EOFError, OSError):
            self._bury(worker)

    def _bury(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        reason = worker.obituary()
        worker.close()
        if worker not in self.tails:
            return
        run = self.tails[worker].run
        if self.stopping:
            del self.tails[worker]
        elif self._attempts[run.name] < ATTEMPTS:
            del self.tails[worker]
            self.waiting.appendleft(run)
            self.report({"event": "lost", "run": run.name})
        else:
            self.ended(worker, f"{reason} ({ATTEMPTS} times)")


def _environment(threads: int) -> dict[str, str]:
    """That of this process, with a number of threads and this very package to import."""
    path = os.pathsep.join(filter(None, [str(_SOURCE), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, **thread_variables(threads), "PYTHONPATH": path}
