"""The ledger of a study: an SQLite file that says how each run stands and why it failed.

Only the driver writes it, readers never wait for it, and nothing depends on it: what is done is
what has a result in its folder, and a ledger that was lost is made again from the folders.
"""

import errno
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from twincode.errors import TwincodeError
from twincode.files import cannot_write
from twincode.study.board import Board, Row

LEDGER = "ledger.sqlite"
FORMAT = 1
# Tells a ledger from any other SQLite file: "twin" in ASCII.
APPLICATION = 0x7477696E

MOUNTS = Path("/proc/self/mounts")
# Write-ahead logging shares memory between processes, which no network file system does.
_NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "9p", "afs", "fuse.")
# Where the header of an SQLite file says how it is written, and that it has a write-ahead log.
_JOURNAL_BYTES = slice(18, 20)
_WAL = b"\x02\x02"

_NAMES = [column.name for column in fields(Row)]
_COLUMNS = ", ".join(f'"{name}"' for name in _NAMES)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS runs ({_COLUMNS}, PRIMARY KEY (name));
CREATE TABLE IF NOT EXISTS driver (began REAL, driver TEXT);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
"""
_INSERT = f"INSERT INTO runs VALUES ({', '.join(f':{name}' for name in _NAMES)})"
_UPDATE = f"""UPDATE runs SET {", ".join(f'"{n}" = :{n}' for n in _NAMES)} WHERE name = :name"""
_REFUSALS = {
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EACCES,
    "unable to open database file": errno.EACCES,
}


class Ledger:
    """The ledger in ``folder``, open for writing. Its methods raise TwincodeError in one line."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LEDGER
        check_ledger(folder)
        with _plainly(self._path):
            self._file = sqlite3.connect(self._path, isolation_level=None)
            mode = "DELETE" if on_network(folder) else "WAL"
            self._file.execute(f"PRAGMA journal_mode = {mode}")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.executescript(f"BEGIN; {_SCHEMA} COMMIT;")

    def rows(self) -> dict[str, Row]:
        """What was known of the runs when the ledger was last written."""
        with _plainly(self._path):
            return _rows(self._file)

    def begin(self, board: Board) -> None:
        """Hold the runs on ``board`` and no others."""
        with self._whole():
            self._file.execute("DELETE FROM runs")
            self._file.execute("DELETE FROM driver")
            self._file.executemany(_INSERT, map(vars, board.rows.values()))
            self._file.execute("INSERT INTO driver VALUES (?, ?)", (board.began, board.driver))

    def save(self, rows: Iterable[Row]) -> None:
        """Bring runs up to date."""
        with self._whole():
            self._file.executemany(_UPDATE, map(vars, rows))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """All of what is written inside, or nothing."""
        with _plainly(self._path):
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._file.execute("COMMIT")
            except BaseException:
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise


def read_ledger(folder: Path) -> Board:
    """The board as the ledger in ``folder`` has it, with nothing written.

    Raises TwincodeError where there is no ledger, and for one damaged or of a newer version.
    """
    path = folder / LEDGER
    if not path.exists():
        raise TwincodeError(f"no study in {folder}: it has no {LEDGER}")
    check_ledger(folder)
    with _plainly(path), _reading(path) as file:
        began, driver = file.execute("SELECT began, driver FROM driver").fetchone() or (0.0, "")
        return Board(_rows(file), began, driver)


def check_ledger(folder: Path) -> None:
    """Raise TwincodeError for a ledger that this version cannot go on with; nothing is touched."""
    path = folder / LEDGER
    if not path.exists() or not path.stat().st_size:
        return
    with _plainly(path), _reading(path) as file:
        (version,) = file.execute("PRAGMA user_version").fetchone()
        (application,) = file.execute("PRAGMA application_id").fetchone()
        (tables,) = file.execute("SELECT count(*) FROM sqlite_master").fetchone()
        sound = file.execute("PRAGMA quick_check").fetchone() == ("ok",)
    if application == APPLICATION and version > FORMAT:
        raise TwincodeError(
            f"{path} was written by a newer twincode (format {version}, this one reads {FORMAT}); "
            "go on with that one"
        )
    # A driver that was killed at its very start leaves a file with nothing in it.
    known = (application, version) == (APPLICATION, FORMAT) or not tables
    if not (sound and known):
        raise _damaged(path)


def on_network(folder: Path) -> bool:
    """Whether ``folder`` lies on a network file system, where the system tells."""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return False
    mounts = {Path(line.split()[1]): line.split()[2] for line in lines}
    place = folder.resolve()
    nearest = next((mounts[p] for p in (place, *place.parents) if p in mounts), "")
    return nearest.startswith(_NETWORK)


def _rows(file: sqlite3.Connection) -> dict[str, Row]:
    found = file.execute(f"SELECT {_COLUMNS} FROM runs ORDER BY rowid")
    return {values[0]: Row(*values) for values in found}


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    how = "immutable=1" if _at_rest(path) else "mode=ro"
    file = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)
    try:
        yield file
    finally:
        file.close()


def _at_rest(path: Path) -> bool:
    """Whether a ledger with a write-ahead log has none, so that nobody has it open.

    SQLite would leave files beside it even so, unless it is told that nothing will change.
    """
    with path.open("rb") as file:
        header = file.read(_JOURNAL_BYTES.stop)
    return header[_JOURNAL_BYTES] == _WAL and not path.with_name(f"{path.name}-wal").exists()


@contextmanager
def _plainly(path: Path) -> Iterator[None]:
    """SQLite's errors as a person should read them."""
    try:
        yield
    except sqlite3.OperationalError as error:
        number = _REFUSALS.get(str(error), 0)
        raise cannot_write(path, OSError(number, str(error))) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> TwincodeError:
    return TwincodeError(
        f"{path} is damaged; delete it and run the same command again: it is made anew from the "
        "runs, and no run is lost"
    )
