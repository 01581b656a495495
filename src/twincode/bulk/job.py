"""What is done with one file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from twincode.bulk.parquet import Note, Tell
from twincode.model import Model


class Job(Protocol):
    """How a file is converted; another process may be sent it."""

    def settings(self) -> Note:
        """What decides the outcome, beside the model and the file."""
        ...

    def convert(self, model: Model, source: Path, target: Path, note: Note, tell: Tell) -> None:
        """Write what becomes of ``source`` to ``target``, whole or not at all, with a note."""


@dataclass(frozen=True)
class Piece:
    """A file, what is written of it, and the note on it."""

    source: Path
    target: Path
    note: Note
