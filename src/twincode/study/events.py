"""What happened to a study, one JSON line an event, and how it stands for whoever asks.

Only the driver writes, and only at the end of the file. The folders are the truth: what is done
has a result, and the log of a run says how far it came. The events add what folders cannot say:
what was planned, who is at work, and why runs failed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from twincode.errors import TwincodeError
from twincode.files import LOCK, cannot_write, read_json
from twincode.study.board import DONE, PLANNED, RUNNING, Board, Event, Row
from twincode.study.runs import RUNS
from twincode.train.result import RESULT
from twincode.train.run import LOG

STUDY = "study.json"
EVENTS = "events.jsonl"
FORMAT = 2
_LEDGER = "ledger.sqlite"  # that of format 1
_KEPT = "runs.jsonl"  # what a report leaves of runs


def append_event(folder: Path, event: Event) -> None:
    """Write one event; raises TwincodeError in one line where the disk refuses."""
    line = json.dumps(event).encode() + b"\n"
    # A driver that was killed may have left half a line.
    start = b"\n" if event["event"] == "began" else b""
    path = folder / EVENTS
    try:
        with path.open("ab") as file:
            file.write(start + line)
    except OSError as error:
        raise cannot_write(path, error) from error


def read_events(folder: Path) -> Iterator[Event]:
    """The events so far; lines that were not written whole are passed over."""
    with suppress(FileNotFoundError):
        yield from json_lines((folder / EVENTS).read_bytes())


def json_lines(content: bytes) -> Iterator[Event]:
    """The objects of JSON lines, without those that are none."""
    for line in content.splitlines():
        with suppress(ValueError):
            if isinstance(found := json.loads(line), dict):
                yield found


def read_status(folder: str | Path) -> Board:
    """The board of the study in ``folder``. Nothing is written.

    Where no driver is at work any more, nothing counts as running. Raises TwincodeError where there
    is no study, and for one of another version.
    """
    place = Path(folder)
    check_format(place)
    board = Board()
    try:
        for event in read_events(place):
            board.take(event)
    except TypeError as error:
        raise TwincodeError(
            f"{place / EVENTS} was written by another version of twincode; use that one"
        ) from error
    if not board.rows:
        if (place / STUDY).exists():
            raise TwincodeError(
                f"nobody has worked on the study in {folder} here; twincode study report "
                f"{folder} shows what is kept of it"
            )
        raise TwincodeError(f"no study in {folder}: {EVENTS} names no runs")
    board.alive = _held(place / LOCK)
    for row in board.rows.values():
        look(place / RUNS / row.name, row)
        if row.state == RUNNING and not board.alive:
            row.put_back()
    return board


def look(folder: Path, row: Row) -> None:
    """Bring a row up to date with the folder of its run."""
    if (folder / RESULT).exists() and (folder / row.result).exists():
        row.state, row.epoch = DONE, row.epochs
        return
    if row.state == DONE:  # its folder has been taken away since
        row.state, row.epoch = PLANNED, 0
    with suppress(FileNotFoundError):
        epochs = (each.get("epoch") for each in json_lines((folder / LOG).read_bytes()))
        row.epoch = min(row.epochs, max((each for each in epochs if each), default=0))
        # A log is cut back to the checkpoint that its run goes on from.
        row.from_epoch = min(row.from_epoch, row.epoch)


def check_format(folder: Path) -> None:
    """Raise TwincodeError for a study of another version, which this one cannot go on with."""
    path = folder / STUDY
    found = read_json(path, "description of a study") if path.exists() else {"format": FORMAT}
    version = found.get("format", 1) if isinstance(found, dict) else 1
    if version == 1 or (folder / _LEDGER).exists():
        raise TwincodeError(
            f"{folder} holds a study of an earlier twincode: finish it with the version that began "
            f"it, or choose another folder (twincode study report {folder} makes its page all "
            "the same)"
        )
    if (folder / _KEPT).exists() and not (folder / RUNS).exists():
        raise TwincodeError(
            f"{folder} keeps what a study has found without its runs, which cannot go on; choose "
            "another folder"
        )
    if version != FORMAT:
        raise TwincodeError(f"{path} was written by a newer twincode; go on with that one")


def _held(lock: Path) -> bool:
    """Whether a process holds ``lock``; asking takes it for a moment only."""
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return _held_by_another(lock)


def _held_by_another(lock: Path) -> bool:
    """The same where nothing may be written, as far as can be told."""
    if os.name != "posix":
        return False
    import fcntl

    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
