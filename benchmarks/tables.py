"""Measurements as files."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from twincode.files import write_text
from twincode.train.result import commit

_Row = TypeVar("_Row", bound=tuple[Any, ...])
RESULTS = Path(__file__).parents[1] / "results" / "benchmarks"


def write_table(path: Path, rows: Iterable[Any]) -> None:
    """Write ``rows``, each with the commit, and the machine's load when all were measured."""
    frame = pd.DataFrame(rows)
    stamped = frame.assign(commit=commit(), load=os.getloadavg()[0])
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
