"""How a study stands, for whoever asks from outside. Nothing is written."""

from pathlib import Path

from filelock import FileLock, Timeout

from twincode.study.board import RUNNING, Board
from twincode.study.ledger import read_ledger
from twincode.study.runner import LOCK


def read_status(folder: str | Path) -> Board:
    """The board of the study in ``folder``, as its driver last wrote it.

    Where no driver is at work any more, nothing counts as running. Raises TwincodeError where there
    is no study, and for a ledger that is damaged or of a newer version.
    """
    place = Path(folder)
    board = read_ledger(place)
    board.alive = _held(place / LOCK)
    if not board.alive:
        for row in board.of(RUNNING):
            row.put_back()
    return board


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
        return False  # nobody who may not write here can tell
