"""Measurements as files."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from twincode.files import write_text
from twincode.train.result import commit

RESULTS = Path(__file__).parents[1] / "results" / "benchmarks"


def write_table(path: Path, rows: Iterable[Any]) -> None:
    """Write ``rows``, each with the commit, and the machine's load when all were measured."""
    frame = pd.DataFrame(rows)
    stamped = frame.assign(commit=commit(), load=os.getloadavg()[0])
    write_text(path, stamped.to_csv(index=False, float_format="%.6g"))
