"""Results as plain text tables."""

from collections.abc import Iterable, Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from twincode.evaluate import Measurement


def show(headers: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table on the output stream; the first column is text, the others are numbers."""
    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for index, header in enumerate(headers):
        table.add_column(header, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    Console().print(table)


def show_frame(frame: pd.DataFrame, title: str = "") -> None:
    """Print a data frame."""
    show([str(column) for column in frame.columns], frame.itertuples(index=False), title)


def show_measurements(measurements: Sequence[Measurement], title: str) -> None:
    """Print one row a metric, one column a readout."""
    frame = pd.DataFrame(measurements)
    wide = frame.pivot_table("value", "metric", "readout", sort=False)
    columns = ["metric", *[str(name) or "model" for name in wide.columns]]
    rows = [
        [metric, *["" if pd.isna(value) else f"{value:.4g}" for value in values]]
        for metric, values in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    show(columns, rows, title)
