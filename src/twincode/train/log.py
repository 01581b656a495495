"""The log of a run: JSON lines, the first of them the command and the configuration."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twincode.errors import TwincodeError
from twincode.files import cannot_write, make_folder

Record = dict[str, Any]
Watch = Callable[[Record], None]


class RunLog:
    """Records kept in memory, on disk where there is a path, and shown to a watcher.

    ``position`` is the number of bytes written: a checkpoint remembers it, and ``open_at`` goes on
    from there, dropping what a killed run wrote after its last checkpoint.
    """

    def __init__(self, path: Path | None, watch: Watch | None) -> None:
        self.records: list[Record] = []
        self.position = 0
        self._path = path
        self._watch = watch

    def open_at(self, position: int) -> None:
        """Read the records before ``position`` and cut the file there; 0 begins a new log."""
        if self._path is None:
            return
        make_folder(self._path.parent)
        try:
            with self._path.open("r+b" if position else "wb") as file:
                kept = file.read(position) if position else b""
                if len(kept) < position:
                    raise ValueError("it lost records that its checkpoint counted on")
                file.truncate(position)
            self.records = [json.loads(line) for line in kept.splitlines()]
        except (OSError, ValueError) as error:
            raise TwincodeError(
                f"cannot go on from the log {self._path}: {error}; delete its folder to begin anew"
            ) from error
        self.position = position

    def write(self, event: str, **values: Any) -> None:
        """Append one record."""
        record = {"event": event, **values}
        self.records.append(record)
        if self._path is not None:
            line = json.dumps(record).encode() + b"\n"
            try:
                with self._path.open("ab") as file:
                    file.write(line)
            except OSError as error:
                raise cannot_write(self._path, error) from error
            self.position += len(line)
        if self._watch is not None:
            self._watch(record)

    def sync(self) -> None:
        """Have the records survive a power cut, before a checkpoint counts on them."""
        if self._path is None or not self.position:
            return
        try:
            with self._path.open("r+b") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def of(self, event: str) -> list[Record]:
        """All records of one kind, in order."""
        return [record for record in self.records if record["event"] == event]
