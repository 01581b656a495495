"""Tables that are kept beside the results, read row by row."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from twincode.errors import TwincodeError

Item = TypeVar("Item")


def read_rows(
    path: Path, columns: Sequence[str], build: Callable[[list[str]], Item], what: str
) -> list[Item]:
    """What ``build`` makes of each row of a CSV file, nothing where there is no such file.

    Raises TwincodeError, calling the file ``what``, for other columns or a row that cannot be read.
    """
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    try:
        if rows[0] != list(columns):
            raise ValueError(f"columns {rows[0]}, not {list(columns)}")
        return [build(row) for row in rows[1:]]
    except (IndexError, TypeError, ValueError) as error:
        raise TwincodeError(f"{path} is not {what}: {error}") from None
