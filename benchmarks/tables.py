"""Measurements as files, and as tables of pages."""

import csv
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from twincode.files import write_text
from twincode.train.result import commit

_Row = TypeVar("_Row", bound=tuple[Any, ...])
RESULTS = Path(__file__).parents[1] / "results" / "benchmarks"
TABLE = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def write_table(path: Path, rows: Iterable[Any], keys: Sequence[str] = ()) -> None:
    """Write ``rows``, each with the commit, and the machine's load when all were measured.

    With ``keys`` rows of other keys that are there stay, and new ones come last.
    """
    frame = pd.DataFrame(rows)
    stamped = frame.assign(commit=commit(), load=os.getloadavg()[0])
    if keys and path.exists():
        known = pd.read_csv(path, dtype={"commit": str})
        stamped = pd.concat([known, stamped]).drop_duplicates(list(keys), keep="last")
    write_text(path, stamped.to_csv(index=False, float_format="%.6g"))


def read_rows(path: Path, row: type[_Row]) -> list[_Row]:
    """Rows of named tuples measured so far, each with a commit of its own."""
    if not path.exists():
        return []
    frame = pd.read_csv(path, dtype={"minutes": str, "commit": str})
    frame = frame.fillna({"minutes": "", "commit": ""})
    return [row(*values) for values in frame.itertuples(index=False)]


def write_rows(path: Path, rows: Iterable[_Row]) -> None:
    """Write rows that carry their commit."""
    write_text(path, pd.DataFrame(rows).to_csv(index=False, float_format="%.6g"))


def measure_missing(
    path: Path, row: type[_Row], keys: Iterable[tuple[Any, ...]], measure: Callable[..., _Row]
) -> None:
    """Measure what is not in a file yet, each row kept as it is found.

    Rows begin with their keys, which are what ``measure`` is given.
    """
    found = read_rows(path, row)
    for key in keys:
        if key not in {each[: len(key)] for each in found}:
            found.append(measure(*key))
            write_rows(path, found)
            print(*found[-1])


def text_rows(path: Path) -> list[dict[str, str]]:
    """Rows as they stand, by column."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def anchor_rows(stored: Path) -> list[dict[str, str]]:
    """All published numbers."""
    return text_rows(stored / "anchors.csv")


def filled(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """A page with every table made anew."""
    return TABLE.sub(lambda found: found[1] + tables[found[2]]() + found[3], text)


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A table of a page; all columns but the first are of numbers."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
