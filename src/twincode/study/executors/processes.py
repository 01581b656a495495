"""Several worker processes on this machine, each with its share of the cores."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from twincode.errors import TwincodeError
from twincode.study.executors.executor import ATTEMPTS, Report, Task, thread_variables
from twincode.study.executors.log_tail import LogTail
from twincode.study.runs import PlannedRun
from twincode.train.interrupt import PatientInterrupt

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
        if self.workers < 1:
            raise TwincodeError(f"a study needs at least 1 worker, not {self.workers}")
        if os.name != "posix":
            raise TwincodeError("several workers need Linux or macOS; leave --workers out")

    def __call__(self, runs: Sequence[PlannedRun], task: Task, report: Report) -> None:
        """Carry out every run; see ``Executor``."""
        with _Crew(self.workers, runs, task, report) as crew, PatientInterrupt() as interrupt:
            while crew.busy:
                if interrupt.pending:
                    crew.ask_to_stop()
                crew.step()
        if interrupt.pending:
            raise KeyboardInterrupt


class _Worker:
    """One process and the line to it. It dies when the line breaks."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        mine, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", WORKER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.errors,
                start_new_session=True,  # Ctrl-C is for the driver to pass on
            )
        self.line = Connection(mine.detach())
        self.tail: LogTail | None = None  # of the run it is at work on

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


class _Crew:
    """All workers, and the runs that wait for one."""

    def __init__(self, size: int, runs: Sequence[PlannedRun], task: Task, report: Report) -> None:
        self._size = size
        self._waiting = deque(runs)
        self._task = task
        self._report = report
        self._environment = _environment(max(1, cores() // size))
        self._workers: list[_Worker] = []
        self._attempts: Counter[str] = Counter()
        self._stopping = False

    def __enter__(self) -> "_Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.close()

    @property
    def busy(self) -> bool:
        """Whether any run waits or is at work."""
        return bool(self._waiting) or any(worker.tail for worker in self._workers)

    def ask_to_stop(self) -> None:
        """Let nobody take up a run any more, and those at work finish their epoch."""
        if self._stopping:
            return
        self._stopping = True
        self._waiting.clear()
        self._report({"event": "stopping"})
        for worker in self._workers:
            worker.send(None)

    def step(self) -> None:
        """Give waiting runs to free workers, then take in what the logs and the workers say."""
        for worker in self._free():
            run = self._waiting.popleft()
            worker.tail = LogTail(run)
            self._attempts[run.name] += 1
            worker.send((self._task, run))
            name = f"process {worker.process.pid}"
            self._report({"event": "started", "run": run.name, "worker": name})
        lines = {worker.line: worker for worker in self._workers}
        ready = wait(list(lines), POLL_SECONDS)
        for worker in self._workers:
            for record in worker.tail.news() if worker.tail else ():
                self._report(record)
        for line in ready:
            self._listen(lines[line])  # type: ignore[index]

    def _free(self) -> Iterator[_Worker]:
        idle = [worker for worker in self._workers if worker.tail is None]
        while self._waiting:
            if not idle:
                if len(self._workers) == self._size:
                    return
                idle.append(_Worker(self._environment))
                self._workers.append(idle[-1])
            yield idle.pop()

    def _listen(self, worker: _Worker) -> None:
        try:
            reason = pickle.loads(worker.line.recv_bytes())
        except (EOFError, OSError):
            self._bury(worker)
            return
        if worker.tail is not None:
            run, worker.tail = worker.tail.run, None
            self._report({"event": "ended", "run": run.name, "reason": reason})

    def _bury(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        reason = worker.obituary()
        worker.close()
        if worker.tail is None or self._stopping:
            return
        run = worker.tail.run
        if self._attempts[run.name] < ATTEMPTS:
            self._waiting.appendleft(run)
            self._report({"event": "lost", "run": run.name})
        else:
            reason = f"{reason} ({ATTEMPTS} times)"
            self._report({"event": "ended", "run": run.name, "reason": reason})


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _environment(threads: int) -> dict[str, str]:
    """That of this process, with a number of threads and this very package to import."""
    path = os.pathsep.join(filter(None, [str(_SOURCE), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, **thread_variables(threads), "PYTHONPATH": path}
