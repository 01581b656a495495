"""Arrays written as files a user asked for."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from twincode.errors import TwincodeError
from twincode.files import write_whole

Writer = Callable[[Path], object]

SUFFIXES = (".csv", ".parquet", ".npy", ".npz")


def code_columns(H: int, W: int) -> list[str]:
    """Names of the places in a token grid: frequency row, time column."""
    return [f"h{h}_w{w}" for h in range(H) for w in range(W)]


def check_target(path: Path, source: Path | None = None) -> None:
    """Raise TwincodeError for a format that cannot be written, and for the file that is read."""
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise TwincodeError(f"{path} is what is read; write to another file")
    if path.suffix.lower() not in SUFFIXES:
        *most, last = SUFFIXES
        raise TwincodeError(
            f"cannot write {path}: its name must end in {', '.join(most)} or {last}"
        )
    check_place(path)


def check_place(path: Path) -> None:
    """Raise TwincodeError where no file can be written, before there is anything to write."""
    if path.is_dir():
        raise TwincodeError(f"cannot write {path}: it is a folder; name a file in it")
    there = next(each for each in path.absolute().parents if each.exists())
    if not there.is_dir():
        raise TwincodeError(
            f"cannot write {path}: a file stands where a folder is needed; choose another folder"
        )
    if not os.access(there, os.W_OK):
        raise TwincodeError(f"cannot write {path}: {there} cannot be written in")


def check_free(beside: pa.Table, columns: Iterable[str]) -> None:
    """Raise TwincodeError where series have columns of names that are about to be added."""
    if taken := {*columns} & {*beside.column_names}:
        raise TwincodeError(f"the series have a column {min(taken)!r} of their own; rename it")


def _saving(save: Callable[..., object], *arrays: NDArray, **named: NDArray) -> Writer:
    """Into a file as it is called: given a path, NumPy adds an ending to some."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            save(file, *arrays, **named)

    return write


def _plain(column: pa.ChunkedArray) -> NDArray:
    """A column as NumPy can keep it; as text, where something is missing or is no number."""
    values = column.to_pylist()
    found = np.asarray(values)
    if found.dtype.kind != "O":
        return found
    return np.array(["" if value is None else str(value) for value in values])


def write_rows(path: Path, array: NDArray, columns: list[str], beside: pa.Table) -> None:
    """Write an array (n, ...) as one row a series after what stands ``beside`` each.

    An .npy file has room for the array alone; in an .npz file it is X, and a ``label`` is y. Raises
    TwincodeError for a format that cannot be written, and where two columns have one name.
    """
    check_target(path)
    values = pd.DataFrame(array.reshape(len(array), -1), columns=columns)
    check_free(beside, columns)
    frame = pd.concat([beside.to_pandas(types_mapper=pd.ArrowDtype), values], axis=1)
    suffix = path.suffix.lower()
    arrays = {"X": array}
    for name in beside.column_names if suffix == ".npz" else ():
        called = "y" if name == "label" else name
        if called in (*arrays, "file"):  # of which NumPy's own argument is one
            raise TwincodeError(f"an .npz file has no room for a column {name!r}; rename it")
        arrays[called] = _plain(beside[name])
    writers: dict[str, Writer] = {
        ".csv": lambda temporary: frame.to_csv(temporary, index=False),
        ".parquet": frame.to_parquet,
        ".npy": _saving(np.save, array),
        ".npz": _saving(np.savez_compressed, **arrays),
    }
    write_whole(path, writers[suffix])
