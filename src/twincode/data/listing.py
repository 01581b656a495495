"""What named data sets are at hand: ``list_datasets``, quick because it parses no values."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from twincode.data.archive import SPLIT_ARRAYS, split_sizes
from twincode.data.classes import plain_label
from twincode.data.files import array_labels, load_arrays, ts_header
from twincode.data.sources import Source, local_sources
from twincode.errors import TwincodeError, one_line

_TSV_PADDING = b"\tNan "
_TS_PADDING = b",Nan? "
_NPY: Any = np.lib.format  # a public module that NumPy leaves untyped


@dataclass(frozen=True)
class DatasetInfo:
    """One named set in numbers; ``length`` 0 means unequal lengths, ``classes`` 0 no labels."""

    name: str
    source: str
    n_train: int
    n_test: int
    channels: int
    length: int
    classes: int


@dataclass(frozen=True)
class _Scan:
    n: int
    channels: int
    lengths: frozenset[int]
    labels: frozenset[str]


def list_datasets(data_dir: str | Path | None = None) -> list[DatasetInfo]:
    """Every named set on this machine that ``load_dataset`` would find, by name.

    ``data_dir`` (else the environment variable TWINCODE_DATA) is the user's data folder. Only
    headers and labels are read: an ``.npz`` padded with NaN is listed with its padded length.
    Raises TwincodeError when the folder or a file in it cannot be read.
    """
    sources = sorted(local_sources(data_dir).items())
    described = [_describe(source) for _, source in sources]
    return [info for info in described if info is not None]


def _describe(source: Source) -> DatasetInfo | None:
    try:
        scans = _scan_pair(source.train, source.test) if source.test else _scan_npz(source.train)
    except TwincodeError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise TwincodeError(f"cannot read {source.train}: {one_line(error)}") from error
    if scans is None:
        return None
    train, test = scans
    lengths = train.lengths | test.lengths
    return DatasetInfo(
        name=source.name,
        source=source.place,
        n_train=train.n,
        n_test=test.n,
        channels=train.channels,
        length=next(iter(lengths)) if len(lengths) == 1 else 0,
        classes=len(train.labels | test.labels),
    )


def _scan_pair(train: Path, test: Path) -> tuple[_Scan, _Scan]:
    scan = _scan_tsv if train.suffix.lower() == ".tsv" else _scan_ts
    return scan(train), scan(test)


def _scan_tsv(path: Path) -> _Scan:
    lengths: list[int] = []
    labels: set[str] = set()
    with path.open("rb") as file:
        for line in file:
            label, _, values = line.strip(b"\r\n").partition(b"\t")
            if label.strip():
                labels.add(plain_label(label.decode(errors="replace")))
                lengths.append(values.rstrip(_TSV_PADDING).count(b"\t") + 1)
    return _Scan(len(lengths), 1, frozenset(lengths), frozenset(labels))


def _scan_ts(path: Path) -> _Scan:
    has_labels = ts_header(path).get("classlabel", ["true"])[0] == "true"
    lengths: list[int] = []
    labels: set[str] = set()
    channels = 0
    for line in _data_lines(path):
        values, _, label = line.rpartition(b":") if has_labels else (line, b"", b"")
        parts = values.split(b":")
        channels = len(parts)
        lengths.append(max(part.rstrip(_TS_PADDING).count(b",") + 1 for part in parts))
        labels.add(plain_label(label.decode(errors="replace").lower()))
    return _Scan(len(lengths), channels, frozenset(lengths), frozenset(labels - {""}))


def _data_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.strip().lower() == b"@data":
                break
        for line in file:
            if line.strip():
                yield line.strip()


def _scan_npz(path: Path) -> tuple[_Scan, _Scan] | None:
    shapes = _array_shapes(path)
    if "X_train" in shapes and "X_test" in shapes:
        return (
            _scan_arrays(path, shapes, "X_train", "y_train"),
            _scan_arrays(path, shapes, "X_test", "y_test"),
        )
    if "X" not in shapes:
        return None
    whole = _scan_arrays(path, shapes, "X", "y")
    n_train, n_test = split_sizes(whole.n)
    return replace(whole, n=n_train), replace(whole, n=n_test)


def _scan_arrays(path: Path, shapes: dict[str, tuple[int, ...]], X: str, y: str) -> _Scan:
    shape = shapes[X]
    if len(shape) not in (2, 3):
        raise ValueError(f"{X} has shape {shape}; it must be (n, L) or (n, C, L)")
    labels: list[str] = []
    if y in shapes:
        labels = array_labels(load_arrays(path, [y])[y], shape[0], f"{y} in {path}", path)
    channels = shape[1] if len(shape) == 3 else 1
    return _Scan(shape[0], channels, frozenset(shape[-1:]), frozenset(labels))


def _array_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every series or label array in an ``.npz``, from the array headers alone."""
    with zipfile.ZipFile(path) as archive:
        present = set(archive.namelist())
        wanted = [name for name in (*SPLIT_ARRAYS, "X", "y") if f"{name}.npy" in present]
        return {name: _array_shape(archive, name) for name in wanted}


def _array_shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(f"{name}.npy") as member:
        old = _NPY.read_magic(member) == (1, 0)
        read_header = _NPY.read_array_header_1_0 if old else _NPY.read_array_header_2_0
        shape: tuple[int, ...] = read_header(member)[0]
        return shape
