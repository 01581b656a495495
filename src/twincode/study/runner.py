"""Carrying a study out. What is already there is not run again."""

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from twincode.data import Columns, Policy
from twincode.devices import choose_device
from twincode.distributed import expected
from twincode.errors import TwincodeError
from twincode.files import held, read_json, write_json
from twincode.study.board import DONE, FAILED, Board, Event, Row
from twincode.study.events import (
    FORMAT,
    STUDY,
    append_event,
    check_format,
    look,
    read_events,
)
from twincode.study.executors.executor import Executor
from twincode.study.executors.inline import Inline
from twincode.study.plan import Study
from twincode.study.runs import PlannedRun, plan_runs
from twincode.study.work import Work
from twincode.train.result import A_RESULT, RESULT
from twincode.train.run import CHECKPOINT_SECONDS

# How long to wait for a folder that somebody merely looks at, or whose driver is just dying.
LOCK_SECONDS = 2.0
# What is kept of all that happens; the rest stands in the logs of the runs.
_KEPT = ("began", "started", "lost", "ended")


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
    watch: Callable[[Event, Board], None] | None = None,
    command: Sequence[str] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    columns: Columns | None = None,
) -> Outcome:
    """Train and evaluate every run of ``study`` under ``folder``; one that fails stops no other.

    Data sets are found by name in ``data_dir``, and where ``load_dataset`` looks without it;
    ``policy`` says what is done about missing values and unequal lengths, ``columns`` what the
    columns of tables hold. ``device``, ``command`` and ``checkpoint_seconds`` are those of ``fit``.
    ``executor`` says who carries the runs out, by default this process, one after another.
    ``watch`` is given every event, the first before any run starts, and the board, which keeps
    itself up to date. Raises TwincodeError for a data set that cannot be loaded, two different ones
    of one name, a recipe, setting or device that does not exist, a folder that cannot be written or
    that another process is at work on, and a study there of another version.
    """
    executor = executor or Inline()
    study.configs()  # whatever cannot be is to fail before anything is loaded
    if expected() > 1:
        raise TwincodeError("torchrun trains one model; start a study without it")
    if not executor.elsewhere:
        choose_device(device)
    place, words = Path(folder).absolute(), list(command or sys.argv)
    runs = plan_runs(study, place, data_dir, policy or Policy(), columns or Columns())
    board = Board()

    def take(event: Event) -> None:
        if event["event"] in _KEPT:
            event = {**event, "time": time.time()}
            append_event(place, event)
        board.take(event)
        if watch is not None:
            watch(event, board)

    with _alone(place):
        rows = _rows(place, runs)
        _describe(place, study, runs, words)
        driver = f"process {os.getpid()} on {socket.gethostname()}"
        take({"event": "began", "driver": driver, "runs": list(map(_told, rows))})
        present = len(board.of(DONE))
        open_runs = [run for run in runs if board.rows[run.name].state != DONE]
        executor(open_runs, Work(device, words, checkpoint_seconds), take)
    failed = {row.title: row.reason or "" for row in board.of(FAILED)}
    return Outcome(len(board.of(DONE)) - present, present, failed)


def _alone(place: Path) -> AbstractContextManager[None]:
    """Hold a study's folder, so that no two drivers work on it."""
    check_format(place)
    if (place / RESULT).exists() and not (place / STUDY).exists():
        raise TwincodeError(f"{place} holds a single run; choose another folder for the study")
    busy = f"another twincode is at work on {place}; see twincode study status {place}"
    return held(place, busy, LOCK_SECONDS)


def _rows(place: Path, runs: Sequence[PlannedRun]) -> list[Row]:
    """How the runs stand when a driver begins, by their folders."""
    seen = {event.get("run") for event in read_events(place) if event["event"] == "ended"}
    rows = []
    for run in runs:
        epochs = run.config.training.epochs_for(run.data.n_train)
        row = Row(run.name, run.title, epochs, run.data.values, result=run.result)
        look(run.folder, row)
        if row.state == DONE and run.name not in seen:
            _check_result(run)
        row.from_epoch = row.epoch
        rows.append(row)
    return rows


def _plain(value: Any) -> Any:
    """A number of NumPy's as JSON can write it."""
    return value.item() if isinstance(value, np.generic) else value


def _told(row: Row) -> Event:
    """A row as an event tells it: what marks a run as done only where it is something else."""
    return {name: v for name, v in vars(row).items() if (name, v) != ("result", RESULT)}


def _check_result(run: PlannedRun) -> None:
    """Look at a result that came from elsewhere before it counts as done."""
    path = run.folder / RESULT
    found = read_json(path, A_RESULT)
    if not isinstance(found, dict) or found.get("run") != run.name:
        raise TwincodeError(f"{path} is the result of another run; delete it to go on")


def _describe(place: Path, study: Study, runs: Sequence[PlannedRun], command: list[str]) -> None:
    """Keep what the study is, so that a page can tell what is still missing."""
    description = {
        "format": FORMAT,
        "name": place.resolve().name,
        "command": command,
        "datasets": list(dict.fromkeys(run.data.name for run in runs)),
        "seeds": list(range(study.seeds)),
        "axes": {name: list(map(_plain, values)) for name, values in study.axes.items()},
        "runs": [run.name for run in runs],
    }
    judged = {run.name: run.second_stage.name for run in runs if run.second_stage is not None}
    if judged:
        description["second_stages"] = judged
    write_json(place / STUDY, description)
