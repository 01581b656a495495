"""The ``.ts`` format of the UEA archive, read without the seconds that importing aeon takes.

A header of ``@key value`` lines ends with ``@data``; then each line is a series: channels separated
by colons, values by commas, ``?`` for a missing one, and last its label. Everything is read in
lower case, as aeon does.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Header = dict[str, list[str]]
TsSeries = list[NDArray[np.float64]]


def ts_header(path: Path) -> Header:
    """The ``@`` lines before ``@data`` of a ``.ts`` file: lower-case key to the words after it."""
    header: Header = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.lower().split()
            if words and words[0] == "@data":
                break
            if words and words[0].startswith("@"):
                header[words[0][1:]] = words[1:]
    return header


def parse_ts(path: Path) -> tuple[TsSeries, list[str] | None]:
    """The series of a ``.ts`` file, n arrays (C, L_i), and their labels where they are classes.

    Raises ValueError, saying where, for a file that does not keep to its own header.
    """
    header = ts_header(path)
    classes = _classes(header)
    has_target = classes or _says(header, "targetlabel", False)
    series: TsSeries = []
    labels: list[str] = []
    for row, line in _rows(path):
        *channels, label = line.split(":") if has_target else [*line.split(":"), ""]
        series.append(_values(row, channels))
        labels.append(label)
        _check_like_first(header, row, series[0], series[-1])
    return series, labels if classes else None


def _says(header: Header, key: str, default: bool) -> bool:
    return {"true": True, "false": False}.get(" ".join(header.get(key, [])[:1]), default)


def _classes(header: Header) -> bool:
    """Whether the last field of a row is a class; a regression target is none."""
    if _says(header, "targetlabel", False):
        return False
    if header.get("classlabel") == ["true"]:
        raise ValueError("@classLabel true must be followed by the class labels")
    return _says(header, "classlabel", True)


def _rows(path: Path) -> Iterator[tuple[int, str]]:
    """Lines after ``@data`` that hold anything, with their numbers among the data."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.lower().split()[:1] == ["@data"]:
                break
        stripped = (line.strip().lower() for line in file)
        yield from enumerate((line for line in stripped if line), start=1)


def _values(row: int, channels: list[str]) -> NDArray[np.float64]:
    """Channels as text to an array (C, L)."""
    if not channels:
        raise ValueError(f"series {row} has no channel before its label")
    parsed = [np.array(text.replace("?", "nan").split(","), dtype=np.float64) for text in channels]
    if len({len(channel) for channel in parsed}) > 1:
        raise ValueError(f"the channels of series {row} differ in length")
    return np.stack(parsed)


def _check_like_first(header: Header, row: int, first: NDArray, found: NDArray) -> None:
    if len(found) != len(first):
        raise ValueError(f"series {row} has {len(found)} channels, the first has {len(first)}")
    if len(found) > 1 and _says(header, "univariate", True):
        raise ValueError(f"series {row} has {len(found)} channels in a univariate file")
    if found.shape != first.shape and _says(header, "equallength", True):
        raise ValueError(f"series {row} differs in length, and the header says all are equal")
