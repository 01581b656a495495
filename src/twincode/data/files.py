"""Reading series from one file: ``read_series``.

==========  =====================================================================================
suffix      what the file holds
==========  =====================================================================================
``.csv``    one series a row, numbers separated by commas, UTF-8. A header row is optional; it is
            known by a cell that reads ``id``, ``label`` or ``class``, by having no number in it,
            or by columns being named. Empty cells (and ``nan``) are missing values. Rows may
            differ in length.
``.tsv``    the UCR archive's layout: the label, then the values, separated by tabs; no header.
``.npy``    a numeric array (n, L) or (n, C, L).
``.npz``    such an array named ``X``, and labels named ``y`` if there are any.
``.parquet``  one series a row: the columns but those of ids and labels hold numbers and are its
            time steps in order, or each is of lists, and a channel. As in a ``.csv``, columns
            ``c0_t0``, ``c0_t1``, ..., ``c1_t0``, ... are several channels.
``.ts``     the format of the UEA archive, read by aeon: any number of channels, unequal lengths.
==========  =====================================================================================

In the first and in Parquet files, ``Columns`` says which columns hold ids and labels, and whether a
row is one time step instead. Nothing pickled is ever loaded. Labels are text; those that are
numbers are written plainly, so ``1``, ``1.0`` and ``1e0`` are one class. Rows and columns in
messages count from 1, and the header is row 1.
"""

import csv
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from twincode.data.classes import number, plain_labels
from twincode.data.policy import SeriesArray
from twincode.data.tables import (
    DEFAULT_COLUMNS,
    ID_NAMES,
    LABEL_NAMES,
    LONG,
    Columns,
    Rows,
    count_channels,
    frame_rows,
)
from twincode.errors import TwincodeError, installing, one_line
from twincode.files import expanded

if TYPE_CHECKING:
    import pyarrow as pa

LabelledSeries = tuple[list[SeriesArray], list[str] | None]
_Row = tuple[int, list[str]]  # its number, and its cells

LABEL = "label"
_NUMERIC_KINDS = "fiub"
_LABEL_KINDS = "iufbUS"


def read_series(path: str | Path, columns: Columns = DEFAULT_COLUMNS) -> LabelledSeries:
    """The series in a file, n arrays (C, L_i) in file order, and their labels or ``None``.

    Missing values stay NaN and lengths stay unequal: ``apply_policy`` decides about both. Raises
    TwincodeError, naming the place, for a file that does not follow its format, and for columns
    that are not there.
    """
    path = expanded(path)
    rows = read_rows(path, columns)
    return rows.series, rows.labels(str(path))


def read_rows(path: Path, columns: Columns = DEFAULT_COLUMNS) -> Rows:
    """The series in a file, and all else that it says of each."""
    require_file(path)
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        rows = _TABLES[suffix](path, columns)
    elif columns != DEFAULT_COLUMNS:
        raise TwincodeError(f"{path}: columns have names in {' and '.join(_TABLES)} files alone")
    else:
        rows = _labelled(*_READERS[suffix](path))
    if not rows.series:
        raise TwincodeError(f"{path} holds no series")
    return rows


def require_file(path: Path) -> Path:
    """``path``, if it is a non-empty file of a known format; raises TwincodeError otherwise."""
    kind = path_kind(path)
    if kind == "folder":
        raise TwincodeError(f"{path} is a folder; name a file in it")
    if kind == "":
        raise TwincodeError(f"there is no file {path}")
    if path.suffix.lower() not in KNOWN_SUFFIXES:
        known = ", ".join(KNOWN_SUFFIXES)
        raise TwincodeError(f"{path} has an unknown format {path.suffix!r}; known: {known}")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise TwincodeError(f"{path} is empty")
    except OSError as error:
        raise _cannot_read(path, error) from error
    return path


def path_kind(path: Path) -> str:
    """``"file"``, ``"folder"``, or ``""`` where there is nothing."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        raise _cannot_read(path, error) from error
    return "folder" if stat.S_ISDIR(mode) else "file"


def array_series(array: NDArray[Any], what: str) -> list[SeriesArray]:
    """A numeric array (n, L) or (n, C, L) as n arrays (C, L); ``what`` names it in errors."""
    if array.dtype.kind not in _NUMERIC_KINDS:
        raise TwincodeError(f"{what} holds values of type {array.dtype}, not real numbers")
    if array.ndim not in (2, 3):
        raise TwincodeError(f"{what} has shape {array.shape}; it must be (n, L) or (n, C, L)")
    if array.size == 0:
        raise TwincodeError(f"{what} is empty: its shape is {array.shape}")
    cube = array[:, None, :] if array.ndim == 2 else array
    return list(cube if cube.dtype.kind == "f" else cube.astype(np.float64))


def array_labels(array: NDArray[Any], n: int, what: str, path: Path) -> list[str]:
    """An array of n numbers or texts as labels; ``what`` names it in errors."""
    if array.dtype.kind not in _LABEL_KINDS:
        raise TwincodeError(f"{what} holds values of type {array.dtype}, not labels")
    if array.shape != (n,):
        raise TwincodeError(f"{what} has shape {array.shape} for {n} series; it must be ({n},)")
    return plain_labels(array.tolist(), str(path))


def load_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file that are named; raises TwincodeError if none is there."""
    archive = _loaded(path)
    if isinstance(archive, np.ndarray):
        raise TwincodeError(f"{path} is a .npy file by another name; rename it")
    try:
        with archive:
            present = list(archive.files)
            found = {name: archive[name] for name in names if name in present}
    except _ARRAY_ERRORS as error:
        _refuse_arrays(path, error)
    if not found:
        raise TwincodeError(
            f"{path} has no array {' or '.join(names)}; it holds: {', '.join(present) or 'nothing'}"
        )
    return found


def ts_header(path: Path) -> dict[str, list[str]]:
    """The ``@`` lines before ``@data`` of a ``.ts`` file: lower-case key to the words after it."""
    header: dict[str, list[str]] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.lower().split()
            if words and words[0] == "@data":
                break
            if words and words[0].startswith("@"):
                header[words[0][1:]] = words[1:]
    return header


_ARRAY_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    MemoryError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def _cannot_read(path: Path, error: Exception) -> TwincodeError:
    reason = error.strerror if isinstance(error, OSError) else None
    return TwincodeError(f"cannot read {path}: {reason or one_line(error)}")


def _loaded(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except _ARRAY_ERRORS as error:
        _refuse_arrays(path, error)


def _refuse_arrays(path: Path, error: Exception) -> NoReturn:
    if "Object arrays" in str(error):
        raise TwincodeError(
            f"{path} holds Python objects; save plain numeric arrays of equal length instead"
        ) from error
    raise TwincodeError(f"{path} is damaged or not a {path.suffix.lower()} file") from error


def _read_npy(path: Path) -> LabelledSeries:
    array = _loaded(path)
    if not isinstance(array, np.ndarray):
        raise TwincodeError(f"{path} is damaged or not a .npy file")
    return array_series(array, str(path)), None


def _read_npz(path: Path) -> LabelledSeries:
    arrays = load_arrays(path, ("X", "y"))
    if "X" not in arrays:
        raise TwincodeError(f"{path} has labels y but no array X of series")
    series = array_series(arrays["X"], f"X in {path}")
    if "y" not in arrays:
        return series, None
    return series, array_labels(arrays["y"], len(series), f"y in {path}", path)


def _labelled(series: list[SeriesArray], labels: list[str] | None) -> Rows:
    import pyarrow as pa

    known = {} if labels is None else {LABEL: pa.array(labels, pa.string())}
    return Rows(series, pa.table(known), None if labels is None else LABEL)


def _read_csv(path: Path, columns: Columns) -> Rows:
    with closing(_rows(path, ",")) as rows:
        first, second = next(rows, None), next(rows, None)
        if first is None:
            return _labelled([], None)
        _, cells = first
        if other := _other_separator(cells):
            raise TwincodeError(f"{path}: separate values by commas, not by {other}")
        if columns.layout == LONG:
            # The header is row 1.
            return frame_rows(_csv_table(path, cells, columns), columns, str(path), first_row=2)
        rest = chain([] if second is None else [second], rows)
        if columns != DEFAULT_COLUMNS or _is_header(cells):
            return _named_rows(path, cells, rest, columns)
        if second is not None and _counts(cells):
            raise TwincodeError(
                f"{path}, row 1 counts its columns; leave that header out, and row numbers, or "
                "name the columns"
            )
        return _labelled([_values(path, *row, ()) for row in chain([first], rest)], None)


def _named_rows(path: Path, names: Sequence[str], rows: Iterator[_Row], columns: Columns) -> Rows:
    """The rows below a header."""
    import pyarrow as pa

    header = [cell.strip() for cell in names]
    if header[0] == "":
        raise TwincodeError(f"{path}: column 1 has no name; if it is a row index, leave it out")
    found = columns.find(header, str(path))
    places = {header.index(name): name for name in (found.id, found.label) if name is not None}
    steps = [name for place, name in enumerate(header) if place not in places]
    channels = count_channels(steps, str(path))
    series, beside = [], []
    for row, cells in rows:
        known = {name: _known(path, row, cells, place, name) for place, name in places.items()}
        if found.label is not None:
            known[found.label] = _plain_label(path, row, known[found.label])
        beside.append(known)
        values = _values(path, row, cells, places, columns, header)
        if channels > 1 and values.size != len(steps):
            raise TwincodeError(
                f"{path}, row {row} has {values.size} values; its header names {len(steps)}"
            )
        series.append(values.reshape(channels, -1))
    schema = pa.schema([(name, pa.string()) for name in places.values()])
    return Rows(series, pa.Table.from_pylist(beside, schema), found.label)


def _csv_table(path: Path, names: Sequence[str], columns: Columns) -> "pa.Table":
    """A file with a header as a table; ids and labels are text, whatever they look like."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    found = columns.find(names, str(path))
    texts = {name: pa.string() for name in (found.id, found.label) if name is not None}
    options = arrow_csv.ConvertOptions(
        column_types=texts, null_values=["", "nan", "NaN"], strings_can_be_null=True
    )
    try:
        return arrow_csv.read_csv(path, convert_options=options)
    except (OSError, pa.ArrowException) as error:
        raise TwincodeError(f"{path} is not a table: {one_line(error)}") from error


def _read_tsv(path: Path) -> LabelledSeries:
    series, labels = [], []
    for row, cells in _rows(path, "\t"):
        labels.append(_plain_label(path, row, cells[0]))
        series.append(_values(path, row, cells, (0,)))
    return series, labels


def _plain_label(path: Path, row: int, label: str) -> str:
    return plain_labels([label], str(path), lambda _: f"row {row}")[0]


def _rows(path: Path, delimiter: str) -> Generator[_Row]:
    """The rows that are not blank, one after another, as a file may be large."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter)
            for cells in reader:
                if "".join(cells).strip() or cells[1:]:
                    yield reader.line_num, cells
    except (UnicodeDecodeError, csv.Error) as error:
        raise TwincodeError(f"{path} is not plain UTF-8 text: {one_line(error)}") from error
    except OSError as error:
        raise _cannot_read(path, error) from error


def _is_header(cells: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in cells if cell.strip()]
    has_name = any(cell.lower() in (*ID_NAMES, *LABEL_NAMES) for cell in filled)
    return has_name or (bool(filled) and all(number(cell) is None for cell in filled))


def _other_separator(cells: Sequence[str]) -> str:
    """What parts the words of a row that has no comma."""
    whole = cells[0].strip() if len(cells) == 1 else ""
    named = {";": "semicolons", "\t": "tabs", " ": "spaces"}
    return next((name for mark, name in named.items() if mark in whole), "")


def _counts(cells: Sequence[str]) -> bool:
    """Whether a row is 0, 1, 2, ... or 1, 2, 3, ..., as tables without names of columns have it.

    One without a name may stand before: that of a row index.
    """
    words = [cell.strip() for cell in cells]
    indexed = words[:1] == [""]
    words = words[indexed:]
    if indexed and words and words == [str(i) for i in range(len(words))]:
        return True
    # A short one may be a toy, and a ramp.
    return len(words) >= 8 and any(
        words == [str(first + i) for i in range(len(words))] for first in (0, 1)
    )


def _known(path: Path, row: int, cells: Sequence[str], column: int, name: str) -> str:
    if column >= len(cells):
        raise TwincodeError(f"{path}, row {row} ends before its {name} in column {column + 1}")
    return cells[column].strip()


def _values(
    path: Path,
    row: int,
    cells: Sequence[str],
    skipped: Container[int],
    columns: Columns = DEFAULT_COLUMNS,
    header: Sequence[str] = (),
) -> SeriesArray:
    numbers = [cell for column, cell in enumerate(cells) if column not in skipped]
    if not numbers:
        raise TwincodeError(f"{path}, row {row} has no values")
    if "_" not in "".join(numbers):  # which float would read past
        try:
            return np.array([[float(cell.strip() or "nan") for cell in numbers]])
        except ValueError:
            pass
    column = next(
        column
        for column, cell in enumerate(cells)
        if column not in skipped and cell.strip() and number(cell) is None
    )
    text = cells[column].strip()[:40]
    message = f"{path}, row {row}, column {column + 1}: {text!r} is not a number"
    if row == 1 and not header:  # which may be a header with numbers in it
        remedy = f"if row 1 holds values, put a header above it; {columns.remedy(text)}"
        raise TwincodeError(f"{message}; {remedy}")
    name = header[column] if column < len(header) else ""
    raise TwincodeError(f"{message}; {columns.remedy(name)}" if name else message)


def _read_parquet(path: Path, columns: Columns) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise TwincodeError(f"{path} is damaged or not a .parquet file") from error
    return frame_rows(table, columns, str(path))


def _read_ts(path: Path) -> LabelledSeries:
    # aeon loses the sign of values that carry time stamps, so such files are refused.
    head = ts_header(path)
    if head.get("timestamps") == ["true"]:
        raise TwincodeError(f"{path} has time stamps, which are not supported; save it without")
    # Without either line what follows the last colon is taken for a label, a channel too.
    if not {"classlabel", "targetlabel"} & head.keys():
        raise TwincodeError(
            f"{path} does not say whether its series have labels; add a line @classLabel false, or "
            "@classLabel true and the classes"
        )
    try:
        from aeon.datasets import load_from_ts_file
    except ImportError:
        raise TwincodeError(f"{path} is a .ts file; to read these {installing('aeon')}") from None
    try:
        series, labels, header = load_from_ts_file(str(path), return_meta_data=True)
    except (OSError, ValueError, IndexError) as error:
        raise TwincodeError(f"{path} is not a valid .ts file: {one_line(error)}") from error
    arrays: list[SeriesArray] = [np.asarray(array, dtype=np.float64) for array in series]
    return arrays, plain_labels(labels.tolist(), str(path)) if header["classlabel"] else None


_TABLES: dict[str, Callable[[Path, Columns], Rows]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
_READERS: dict[str, Callable[[Path], LabelledSeries]] = {
    ".tsv": _read_tsv,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".ts": _read_ts,
}
KNOWN_SUFFIXES = (".csv", ".tsv", ".npy", ".npz", ".parquet", ".ts")
