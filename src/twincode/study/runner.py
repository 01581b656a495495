"""Carrying a study out. What is already there is not run again."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from twincode.data import Policy
from twincode.distributed import expected
from twincode.errors import TwincodeError
from twincode.files import cannot_write, make_folder, read_json, write_json
from twincode.model import choose_device
from twincode.recipes import label
from twincode.study.board import DONE, FAILED, RUNNING, Board, Row
from twincode.study.executors.contract import (
    Ended,
    Event,
    Executor,
    Logged,
    Lost,
    Started,
    Stopping,
)
from twincode.study.executors.inline import Inline
from twincode.study.ledger import Ledger, check_ledger
from twincode.study.plan import Study
from twincode.study.planned import DataReference, PlannedRun
from twincode.study.work import Work
from twincode.train import run_id
from twincode.train.result import RESULT
from twincode.train.run import CHECKPOINT_SECONDS

STUDY = "study.json"
RUNS = "runs"
LOCK = ".lock"
# How long to wait for a folder that somebody merely looks at, or whose driver is just dying.
LOCK_SECONDS = 2.0
# Epochs come faster than a reader of the ledger wants to see them.
SAVE_SECONDS = 1.0


@dataclass
class Outcome:
    """How a study ended: how many runs were done now and before, and what failed, with reasons."""

    trained: int = 0
    present: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def run_study(
    study: Study,
    folder: str | Path,
    data_dir: str | Path | None = None,
    policy: Policy | None = None,
    device: str = "auto",
    executor: Executor | None = None,
    watch: Callable[[Event], None] | None = None,
    announce: Callable[[Board], None] | None = None,
    command: Sequence[str] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Outcome:
    """Train and evaluate every run of ``study`` under ``folder``; one that fails stops no other.

    ``executor`` says who carries the runs out, by default this process, one after another.
    ``announce`` is given the board of all runs before the first starts; the board keeps itself up
    to date, and ``watch`` is given every event. Raises TwincodeError for a data set that cannot be
    loaded, two different ones of one name, a recipe, setting or device that does not exist, a
    folder that cannot be written or that another process is at work on, and a ledger that is
    damaged or of a newer version.
    """
    executor = executor or Inline()
    study.configs(n_train=1)  # whatever cannot be is to fail before anything is loaded
    if expected() > 1:
        raise TwincodeError("torchrun trains one model; start a study without it")
    if not executor.elsewhere:
        choose_device(device)
    runs = plan_runs(study, Path(folder).absolute(), data_dir, policy or Policy())
    words = list(command or sys.argv)
    with _alone(Path(folder)):
        _describe(Path(folder), study, runs, words)
        with _Record(Path(folder), runs, watch) as record:
            if announce is not None:
                announce(record.board)
            open_runs = [run for run in runs if record.board.rows[run.name].state != DONE]
            executor(open_runs, Work(device, words, checkpoint_seconds), record.take)
            return record.outcome()


def plan_runs(
    study: Study, place: Path, data_dir: str | Path | None, policy: Policy
) -> list[PlannedRun]:
    """Every run of ``study``, data set by data set."""
    return [
        PlannedRun(data, config, place / RUNS / run_id(config, data))
        for data in _find_data(study, data_dir, policy)
        for config in study.configs(data.n_train)
    ]


def _find_data(study: Study, data_dir: str | Path | None, policy: Policy) -> list[DataReference]:
    """The data sets, each once; results are told apart by their names."""
    found: dict[str, DataReference] = {}
    for name in study.datasets:
        data = DataReference.find(name, data_dir, policy)
        if found.setdefault(data.name, data).checksum != data.checksum:
            raise TwincodeError(f"two different data sets are called {data.name}; rename one")
    return list(found.values())


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold a study's folder, so that no two drivers work on it. A newer ledger is not touched."""
    check_ledger(place)
    lock = FileLock(make_folder(place) / LOCK)
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise TwincodeError(
            f"another twincode is at work on {place}; see twincode study status {place}"
        ) from None
    except OSError as error:
        raise cannot_write(place, error) from error
    try:
        yield
    finally:
        lock.release()


class _Record:
    """The board and the ledger of a study under way. Entered, it holds what the folders say."""

    def __init__(
        self, place: Path, runs: list[PlannedRun], watch: Callable[[Event], None] | None
    ) -> None:
        self._ledger = Ledger(place)
        self._watch = watch
        self._unsaved: dict[str, Row] = {}
        self._saved = time.monotonic()
        known = self._ledger.rows()
        rows = {run.name: _row(run, known.get(run.name)) for run in runs}
        driver = f"process {os.getpid()} on {socket.gethostname()}"
        self.board = Board(rows, time.time(), driver)
        self._present = len(self.board.of(DONE))

    def __enter__(self) -> "_Record":
        self._ledger.begin(self.board)
        return self

    def __exit__(self, *_: object) -> None:
        # Whatever is still running now has been stopped, and its folder knows how far it came.
        for row in self.board.of(RUNNING):
            row.put_back()
            self._unsaved[row.name] = row
        with suppress(TwincodeError):
            self._save()
        self._ledger.close()

    def take(self, event: Event) -> None:
        """Bring the board up to date, then the ledger, then tell whoever watches."""
        if not isinstance(event, Stopping):
            row = self.board.rows[event.run.name]
            _apply(event, row, time.time())
            self._unsaved[row.name] = row
            if not isinstance(event, Logged) or time.monotonic() - self._saved >= SAVE_SECONDS:
                self._save()
        if self._watch is not None:
            self._watch(event)

    def outcome(self) -> Outcome:
        """How it went."""
        failed = {row.title: row.reason or "" for row in self.board.of(FAILED)}
        return Outcome(len(self.board.of(DONE)) - self._present, self._present, failed)

    def _save(self) -> None:
        self._ledger.save(self._unsaved.values())
        self._unsaved.clear()
        self._saved = time.monotonic()


def _row(run: PlannedRun, known: Row | None) -> Row:
    """How a run stands when a driver begins: done only if its folder says so."""
    training = run.config.training
    row = Row(
        name=run.name,
        dataset=run.data.name,
        label=label(run.config),
        seed=training.seed,
        epochs=training.epochs,
        values=run.data.values,
    )
    if not run.done:
        row.epoch = min(known.epoch, row.epochs) if known is not None else 0
    elif known is not None and known.state == DONE:
        row = known
    else:
        _check_result(run)
        row.state, row.epoch = DONE, row.epochs
    row.from_epoch = row.epoch
    return row


def _check_result(run: PlannedRun) -> None:
    """Look at a result that this ledger knows nothing of before it counts as done."""
    path = run.folder / RESULT
    found = read_json(path, "result of a run; delete it to run that run again")
    if not isinstance(found, dict) or found.get("run") != run.name:
        raise TwincodeError(f"{path} is the result of another run; delete it to go on")


def _apply(event: Started | Logged | Lost | Ended, row: Row, now: float) -> None:
    match event:
        case Started(worker=worker):
            row.start(worker, now)
        case Logged(record={"event": "epoch", "epoch": int(epoch)}):
            row.reach(epoch)
        case Lost():
            row.put_back()
        case Ended(reason=reason):
            row.end(reason, now)


def _describe(place: Path, study: Study, runs: list[PlannedRun], command: list[str]) -> None:
    """Keep what the study is, so that a page can tell what is still missing."""
    write_json(
        place / STUDY,
        {
            "name": place.resolve().name,
            "command": command,
            "datasets": list(dict.fromkeys(run.data.name for run in runs)),
            "seeds": list(range(study.seeds)),
            "epochs": max(run.config.training.epochs for run in runs),
            "steps": study.steps,
            "runs": [run.name for run in runs],
        },
    )
