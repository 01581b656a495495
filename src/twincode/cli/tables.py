"""Results as plain text tables."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

    from twincode.evaluate import Measurement
    from twincode.evaluate.generation import Score

_GAP = 2


def show(headers: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table on the output stream; the first column is text, the others are numbers.

    Numbers never wrap: columns that do not fit the terminal follow in a table below.
    """
    console = Console()
    cells = [[str(cell) for cell in row] for row in rows]
    columns = list(zip(headers, *cells, strict=True))
    if title:
        console.print(Text(title, style="italic"))
    for numbers in _parts(columns, console.width):
        console.print(_table([columns[0], *numbers]), "")


def show_by(frame: "pd.DataFrame", column: str, title: str) -> None:
    """Print one table for each value of ``column``; ``{}`` in ``title`` stands for the value."""
    for value, part in frame.groupby(column, sort=False):
        rest = part.drop(columns=column)
        show(list(rest.columns), rest.itertuples(index=False), title.format(value))


def show_measurements(measurements: Sequence["Measurement"], title: str) -> None:
    """Print one row a metric, one column a readout."""
    values = {(each.metric, each.readout): each.value for each in measurements}
    readouts = list(dict.fromkeys(each.readout for each in measurements))
    rows = [
        [name, *[f"{values[name, r]:.4g}" if (name, r) in values else "" for r in readouts]]
        for name in dict.fromkeys(each.metric for each in measurements)
    ]
    show(["metric", *[readout or "model" for readout in readouts]], rows, title)


def show_scores(scores: Sequence["Score"], title: str) -> None:
    """Print one row for each set of series, one column a metric, as these are declared.

    With a mean over extractors stands their standard deviation.
    """
    from twincode.evaluate.generation import GENERATION_METRICS

    values = {
        (each.row, each.metric): f"{each.value:.4g}"
        + (f" ± {each.deviation:.2g}" if each.deviation else "")
        for each in scores
    }
    metrics = [m.name for m in GENERATION_METRICS if any(m.name == name for _, name in values)]
    rows = [
        [row, *[values.get((row, m), "") for m in metrics]]
        for row in dict.fromkeys(each.row for each in scores)
    ]
    show(["series", *metrics], rows, title)


def show_final(folder: Path, title: str) -> None:
    """Print what a finished run measured at its end, if anything."""
    from twincode.evaluate import Measurement
    from twincode.files import read_json
    from twincode.train.result import RESULT

    rows = read_json(folder / RESULT, "result")["evaluations"]
    if not rows:
        return  # nothing was asked for, or there is no test part
    last = max(row["epoch"] for row in rows)
    final = [Measurement(r["readout"], r["metric"], r["value"]) for r in rows if r["epoch"] == last]
    show_measurements(final, title)


def _parts(columns: Sequence[Sequence[str]], width: int) -> Iterator[list[Sequence[str]]]:
    """The number columns, in as many parts as it takes for each to fit beside the first column."""
    room = width - _width(columns[0])
    part: list[Sequence[str]] = []
    for column in columns[1:]:
        if part and sum(map(_width, part)) + _width(column) > room:
            yield part
            part = []
        part.append(column)
    yield part


def _width(column: Sequence[str]) -> int:
    return max(map(cell_len, column)) + _GAP


def _table(columns: Sequence[Sequence[str]]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP - 1, 0, 0),
    )
    table.add_column(Text(columns[0][0]), overflow="fold")
    for header, *_ in columns[1:]:
        table.add_column(Text(header), justify="right", no_wrap=True)
    for row in zip(*(column[1:] for column in columns), strict=True):
        if any(row[1:]):
            table.add_row(*map(Text, row))
    return table
