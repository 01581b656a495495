"""Parquet files read in parts and written whole, with a note of how they were made."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from twincode.errors import TwincodeError
from twincode.files import write_whole

CODES = "codes"
LENGTH = "length"
# Enough that a batch costs little; of long series fewer rows are as many values.
ROWS_AT_ONCE = 2048
VALUES_AT_ONCE = 1 << 22
_NOTE = b"twincode"

Note = dict[str, Any]
# Told after each part how many rows of the source it took.
Tell = Callable[[int], None]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise TwincodeError(f"{path} is damaged or not a .parquet file: {error}") from error


def batches(path: Path, rows: int | None = ROWS_AT_ONCE) -> Iterator[pa.Table]:
    """A file in parts of at most so many rows, of long ones fewer, or as a whole.

    A file without rows is one empty part.
    Raises TwincodeError for a file that is damaged or cannot be read.
    """
    with _reading(path):
        if rows is None:
            yield pq.read_table(path, partitioning=None)
            return
        # Neither whole row groups nor whole columns are ever in memory.
        with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            if not file.metadata.num_rows:
                yield file.schema_arrow.empty_table()
            for batch in file.iter_batches(min(rows, _few_rows(file.metadata))):
                yield pa.Table.from_batches([batch])


def _few_rows(metadata: pq.FileMetaData) -> int:
    """So many rows that their values need little memory."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    most = max(
        (
            sum(group.column(i).num_values for i in range(group.num_columns)) / group.num_rows
            for group in groups
            if group.num_rows
        ),
        default=1,
    )
    return max(1, int(VALUES_AT_ONCE / most))


def count_rows(path: Path) -> int:
    """How many rows a file has; TwincodeError for one that is damaged."""
    with _reading(path):
        return int(pq.read_metadata(path).num_rows)


def noted(table: pa.Table, note: Note) -> pa.Table:
    """The table with a note for ``read_note``."""
    return table.replace_schema_metadata({_NOTE: json.dumps(note).encode()})


def read_note(path: Path) -> Note | None:
    """The note in a file, None in one that twincode has not written.

    Raises TwincodeError for a file that is damaged.
    """
    with _reading(path):
        metadata = pq.read_schema(path).metadata or {}
    note: Note | None = json.loads(metadata[_NOTE]) if _NOTE in metadata else None
    return note


def check_codes_of(model: str, note: Note, path: Path) -> None:
    """Raise TwincodeError for a file whose note names another model than one of this checksum."""
    if note["model"] != model:
        raise TwincodeError(f"{path} holds codes of another model; give the folder of that")


def write_parquet(path: Path, tables: Iterator[pa.Table]) -> None:
    """Write tables of one schema, one after another, into a file: whole or not at all."""
    first = next(tables)

    def write(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, first.schema) as writer:
            for table in chain([first], tables):
                writer.write_table(table)

    write_whole(path, write)
