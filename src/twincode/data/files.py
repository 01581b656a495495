"""Reading series from one file: ``read_series``.

==========  =====================================================================================
suffix      what the file holds
==========  =====================================================================================
``.csv``    one series a row, numbers separated by commas, UTF-8. A header row is optional; it is
            known by a cell that reads ``label`` or ``class``, or by having no number in it. The
            column so headed holds labels. Empty cells (and ``nan``) are missing values. Rows may
            differ in length.
``.tsv``    the UCR archive's layout: the label, then the values, separated by tabs; no header.
``.npy``    a numeric array (n, L) or (n, C, L).
``.npz``    such an array named ``X``, and labels named ``y`` if there are any.
``.parquet``  one series a row: the numeric columns are the time steps in order; a column named
            ``label`` or ``class``, if there is one, holds labels.
``.ts``     the format of the UEA archive: any number of channels, unequal lengths.
==========  =====================================================================================

Nothing pickled is ever loaded. Labels are text; those that are numbers are written plainly, so
``1``, ``1.0`` and ``1e0`` are one class. Rows and columns in messages count from 1, and the header
is row 1.
"""

import csv
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from twincode.data.policy import SeriesArray
from twincode.data.ts import parse_ts, ts_header
from twincode.errors import TwincodeError

LabelledSeries = tuple[list[SeriesArray], list[str] | None]

LABEL_COLUMNS = ("label", "class")
_NUMERIC_KINDS = "fiub"
_LABEL_KINDS = "iufbUS"
_LONGEST_REASON = 200


def read_series(path: str | Path) -> LabelledSeries:
    """The series in a file, n arrays (C, L_i) in file order, and their labels or ``None``.

    Missing values stay NaN and lengths stay unequal: ``apply_policy`` decides about both. Raises
    TwincodeError, naming the place, for a file that does not follow its format.
    """
    path = require_file(Path(path).expanduser())
    series, labels = _READERS[path.suffix.lower()](path)
    if not series:
        raise TwincodeError(f"{path} holds no series")
    return series, labels


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


def plain_label(label: str) -> str:
    """A label as it is reported: numbers without superfluous digits, other text as it is."""
    text = label.strip()
    try:
        number = float(text)
    except ValueError:
        return text
    if not np.isfinite(number) or "_" in text:
        return text
    if not number.is_integer():
        return repr(number)
    return str(int(text)) if text.lstrip("+-").isdigit() else str(int(number))


def plain_labels(labels: Iterable[object], path: Path, first_row: int = 1) -> list[str]:
    """``plain_label`` of each; raises TwincodeError where one is empty or NaN."""
    result = [plain_label(str(label)) for label in labels]
    for row, label in enumerate(result, first_row):
        if label.lower() in ("", "nan"):
            raise TwincodeError(f"{path}, row {row} has no label; add it or remove the row")
    return result


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
    texts = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    return plain_labels(texts.tolist(), path)


def load_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file that are named; raises TwincodeError if none is there."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in names if name in archive.files}
            present = list(archive.files)
    except _ARRAY_ERRORS as error:
        _refuse_arrays(path, error)
    if not found:
        raise TwincodeError(
            f"{path} has no array {' or '.join(names)}; it holds: {', '.join(present) or 'nothing'}"
        )
    return found


def one_line(error: BaseException) -> str:
    """An error's text on one line of bounded length."""
    return " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__


_ARRAY_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def _cannot_read(path: Path, error: Exception) -> TwincodeError:
    reason = error.strerror if isinstance(error, OSError) else None
    return TwincodeError(f"cannot read {path}: {reason or one_line(error)}")


def _refuse_arrays(path: Path, error: Exception) -> NoReturn:
    if "Object arrays" in str(error):
        raise TwincodeError(
            f"{path} holds Python objects; save plain numeric arrays of equal length instead"
        ) from error
    raise TwincodeError(f"{path} is damaged or not a {path.suffix.lower()} file") from error


def _read_npy(path: Path) -> LabelledSeries:
    try:
        array = np.load(path, allow_pickle=False)
    except _ARRAY_ERRORS as error:
        _refuse_arrays(path, error)
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


def _read_csv(path: Path) -> LabelledSeries:
    rows = _rows(path, ",")
    if not rows or not _is_header(rows[0][1]):
        return [_values(path, row, cells, None) for row, cells in rows], None
    label_column = _label_column(path, rows[0][1])
    series = [_values(path, row, cells, label_column) for row, cells in rows[1:]]
    if label_column is None:
        return series, None
    return series, [_label(path, row, cells, label_column) for row, cells in rows[1:]]


def _read_tsv(path: Path) -> LabelledSeries:
    rows = _rows(path, "\t")
    series = [_values(path, row, cells, 0) for row, cells in rows]
    return series, [_label(path, row, cells, 0) for row, cells in rows]


def _rows(path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter)
            return [
                (reader.line_num, cells) for cells in reader if "".join(cells).strip() or cells[1:]
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise TwincodeError(f"{path} is not plain UTF-8 text: {one_line(error)}") from error
    except OSError as error:
        raise _cannot_read(path, error) from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_header(cells: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in cells if cell.strip()]
    has_label_column = any(cell.lower() in LABEL_COLUMNS for cell in filled)
    return has_label_column or (bool(filled) and not any(map(_is_number, filled)))


def _label_column(path: Path, header: Sequence[str]) -> int | None:
    names = [cell.strip().lower() for cell in header]
    if names[0] == "":
        raise TwincodeError(f"{path}: column 1 has no name; if it is a row index, leave it out")
    columns = [column for column, name in enumerate(names) if name in LABEL_COLUMNS]
    if len(columns) > 1:
        raise TwincodeError(f"{path} has {len(columns)} label columns; keep one")
    return columns[0] if columns else None


def _label(path: Path, row: int, cells: Sequence[str], column: int) -> str:
    if column >= len(cells):
        raise TwincodeError(f"{path}, row {row} ends before its label in column {column + 1}")
    return plain_labels([cells[column]], path, row)[0]


def _values(path: Path, row: int, cells: Sequence[str], label_column: int | None) -> SeriesArray:
    numbers = [cell for column, cell in enumerate(cells) if column != label_column]
    if not numbers:
        raise TwincodeError(f"{path}, row {row} has no values")
    try:
        return np.array([[float(cell.strip() or "nan") for cell in numbers]])
    except ValueError:
        column = next(
            column
            for column, cell in enumerate(cells)
            if column != label_column and cell.strip() and not _is_number(cell)
        )
        raise TwincodeError(
            f"{path}, row {row}, column {column + 1}: {cells[column][:40]!r} is not a number"
        ) from None


def _read_parquet(path: Path) -> LabelledSeries:
    import pandas as pd
    import pyarrow

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise TwincodeError(f"{path} is damaged or not a .parquet file") from error
    names = [name for name in frame.columns if str(name).strip().lower() in LABEL_COLUMNS]
    if len(names) > 1:
        raise TwincodeError(f"{path} has {len(names)} label columns; keep one")
    steps = frame.drop(columns=names)
    for name, dtype in steps.dtypes.items():
        if not pd.api.types.is_numeric_dtype(dtype):
            raise TwincodeError(f"{path}: column {name!r} holds no numbers; remove it")
    if steps.empty:
        return [], None
    series = array_series(steps.to_numpy(dtype=np.float64, na_value=np.nan), str(path))
    if not names:
        return series, None
    labels = frame[names[0]]
    return series, plain_labels(labels.astype(object).where(labels.notna(), "").tolist(), path)


def _read_ts(path: Path) -> LabelledSeries:
    if ts_header(path).get("timestamps") == ["true"]:
        raise TwincodeError(f"{path} has time stamps, which are not supported; save it without")
    try:
        series, labels = parse_ts(path)
    except (OSError, ValueError) as error:
        raise TwincodeError(f"{path} is not a valid .ts file: {one_line(error)}") from error
    return list(series), None if labels is None else plain_labels(labels, path)


_READERS: dict[str, Callable[[Path], LabelledSeries]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".parquet": _read_parquet,
    ".ts": _read_ts,
}
KNOWN_SUFFIXES = tuple(_READERS)
