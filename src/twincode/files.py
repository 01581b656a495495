"""Files written whole or not at all, in folders that one program holds at a time."""

import errno
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from twincode.errors import TwincodeError

LOCK = ".lock"
MOST_BYTES = 100  # of a name that a temporary one, which is longer, begins with
_UNFINISHED = re.compile(r"\..*\.[0-9a-f]{32}(\.\w+)?")
_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "your disk quota is used up; free some space and run the same command again",
    errno.EACCES: "you may not write there; choose another folder",
    errno.EPERM: "you may not write there; choose another folder",
    errno.EROFS: "that file system is read-only; choose another folder",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; choose another folder",
    errno.EISDIR: "that is a folder; name a file",
}


def cannot_write(path: Path, error: OSError) -> TwincodeError:
    """The readable form of an operating-system error met while writing ``path``."""
    remedy = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
    return TwincodeError(f"cannot write {path}: {remedy}")


def expanded(path: str | Path) -> Path:
    """``path`` with a leading ``~`` as the folder that it stands for; TwincodeError for none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise TwincodeError(f"no home folder is known for {str(path)!r}; write it out") from None


def make_folder(path: Path) -> Path:
    """Create ``path`` and its parents; raises TwincodeError where that is impossible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


@contextmanager
def held(folder: Path, busy: str, seconds: float = 0.0) -> Iterator[None]:
    """Hold a folder, so that no two programs work on it.

    Raises TwincodeError, ``busy``, where another one holds it for so many more ``seconds``.
    """
    lock = FileLock(make_folder(folder) / LOCK)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise TwincodeError(busy) from None
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary neighbour of ``path``, then move it there in one step.

    A reader sees the old file or the new one, never a part; a failed or interrupted write leaves
    the old file untouched and no litter. Raises TwincodeError when the disk refuses.
    """
    write_together({path: write})


def write_together(writes: Mapping[Path, Callable[[Path], object]]) -> None:
    """The same for files that belong together: none is moved before all are written, in order."""
    written: dict[Path, Path] = {}
    try:
        for path, write in writes.items():
            make_folder(path.parent)
            # Not tempfile's, whose files are for their owner alone whatever the user's umask says.
            stem = path.stem.encode()[:MOST_BYTES].decode(errors="ignore")
            temporary = path.with_name(f".{stem}.{uuid.uuid4().hex}{path.suffix}")
            with _telling(path):
                temporary.touch(exist_ok=False)
                written[path] = temporary
                write(temporary)
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
        for path, temporary in written.items():
            with _telling(path):
                temporary.replace(path)
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Delete what writes left in ``folder`` that were killed; for who holds it alone."""
    for path in folder.glob(".*"):
        if _UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as JSON, whole or not at all."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """``value`` as the JSON of our files."""
    return json.dumps(value, indent=1) + "\n"


def read_json(path: Path, what: str) -> Any:
    """Read JSON from ``path``; ``what`` names the file's role in the error message."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TwincodeError(f"no {what} at {path}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TwincodeError(f"{path} is not a readable {what}: {error}") from error
