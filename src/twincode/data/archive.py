"""Data sets by name or by path: ``load_dataset``.

A *path* is anything with a path separator or a known suffix, and any file or folder of data that
exists. Everything else is a *name*, looked up in the data folder, among bundled sets and aeon's,
among those downloaded earlier, and last by a download with aeon. The archive's own train/test split
is always kept; a file without one is split here, in the same way every time.
"""

import tempfile
import zipfile
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twincode.data.classes import class_indices, sorted_classes
from twincode.data.files import (
    KNOWN_SUFFIXES,
    LabelledSeries,
    array_labels,
    array_series,
    load_arrays,
    path_kind,
    read_series,
    require_file,
)
from twincode.data.policy import STRICT, Policy, SeriesArray, apply_policy
from twincode.data.series import Dataset
from twincode.data.sources import (
    DOWNLOADED,
    Source,
    archive_names,
    cache_folder,
    find_pairs,
    local_sources,
    partner_of,
    split_name,
)
from twincode.data.tables import DEFAULT_COLUMNS, Columns
from twincode.errors import TwincodeError, installing, one_line, unknown_name
from twincode.files import cannot_write, expanded, make_folder

MINIMUM_TRAIN = 2
MINIMUM_TEST = 1
TEST_DIVISOR = 5
SPLIT_SEED = 0
SPLIT_ARRAYS = ("X_train", "y_train", "X_test", "y_test")


class _Part(NamedTuple):
    series: Sequence[SeriesArray]
    labels: Sequence[str] | None
    names: Sequence[str]


class _Parts(NamedTuple):
    name: str
    origin: str
    train: _Part
    test: _Part


def load_dataset(
    name_or_path: str | Path,
    data_dir: str | Path | None = None,
    policy: Policy = STRICT,
    download: bool = True,
    columns: Columns = DEFAULT_COLUMNS,
    length: int | None = None,
) -> Dataset:
    """A data set with its train and test part, as float32 arrays (n, C, L) that share C and L.

    ``name_or_path`` is an archive name in any case (``"gunpoint"``), a folder with a train and a
    test file, an ``.npz`` with X_train, y_train, X_test and y_test, or any single file that
    ``read_series`` knows; of the last, a fixed random fifth becomes the test part. ``data_dir``
    (else the environment variable TWINCODE_DATA) is searched first for names. ``download=False``
    stays off the network. ``columns`` says what the columns of a table at a path hold. ``length``
    is the L that series are to have, as those of a trained model.

    Labels become indices into the sorted classes of both parts. Raises TwincodeError for an
    unknown name, data that cannot be had or read, too few series, and what ``policy`` refuses.
    """
    text = str(name_or_path)
    path = expanded(text)
    if is_path(text):
        return _assemble(_read_path(path, columns), policy, length)
    if columns != DEFAULT_COLUMNS:
        raise TwincodeError(f"{text} is a data set by name; columns have names in files at a path")
    return _assemble(_read_source(_find_source(text, data_dir, download)), policy, length)


def split_sizes(n: int) -> tuple[int, int]:
    """How many of n series without a split go to the train and to the test part."""
    n_test = max(MINIMUM_TEST, n // TEST_DIVISOR)
    return n - n_test, n_test


def is_path(text: str) -> bool:
    """Whether ``load_dataset`` takes ``text`` for a path; anything else is a name."""
    path = expanded(text)
    return (
        "/" in text
        or "\\" in text
        or path.suffix.lower() in KNOWN_SUFFIXES
        or (text != "" and holds_data(path))
    )


def holds_data(path: Path) -> bool:
    """Whether there is a file, or a folder in which both parts of a data set are."""
    kind = path_kind(path)
    return kind == "file" or (kind == "folder" and bool(find_pairs(path)))


def _is_folder(text: str) -> bool:
    return text != "" and path_kind(expanded(text)) == "folder"


def _find_source(name: str, data_dir: str | Path | None, download: bool) -> Source:
    local, archive = local_sources(data_dir), archive_names()
    key = name.casefold()
    if key in local:
        return local[key]
    if key in archive:
        return _download(archive[key], download)
    if _is_folder(name):
        raise _no_pair(Path(name))
    names = {*archive.values(), *(source.name for source in local.values())}
    hint = "(give a name from the UCR or UEA archive, or the path of a file or folder)"
    if not archive:
        hint = f"(give the path of a file or folder; for archive sets {installing('aeon')})"
    raise unknown_name("data set", name, names, hint)


def _download(name: str, allowed: bool) -> Source:
    """Fetch a set into the cache, whole or not at all."""
    remedy = f'put its files into DIR/{name} and use data_dir="DIR"'
    if not allowed:
        raise TwincodeError(f"{name} is not on this machine and downloading is off; {remedy}")
    cache = make_folder(cache_folder())
    try:
        with tempfile.TemporaryDirectory(dir=cache) as staging:
            try:
                _fetch(name, Path(staging))
            except (OSError, ValueError, HTTPException, zipfile.BadZipFile) as error:
                reason = one_line(error)
                raise TwincodeError(
                    f"{name} is not on this machine and its download failed ({reason}); {remedy}"
                ) from error
            if not (cache / name).exists():
                (Path(staging) / name).replace(cache / name)
    except OSError as error:
        raise cannot_write(cache / name, error) from error
    return Source(name, DOWNLOADED, *_choose_pair(cache / name))


def _fetch(name: str, folder: Path) -> None:
    from aeon.datasets import load_classification

    load_classification(
        name, extract_path=str(folder), load_equal_length=False, load_no_missing=False
    )


def _read_source(source: Source) -> _Parts:
    if source.test is None:
        parts = _read_npz(source.train)
    else:
        parts = _read_pair(source.name, source.train, source.test)
    return parts._replace(name=source.name, origin=f"{source.place}, {parts.origin}")


def _read_path(path: Path, columns: Columns) -> _Parts:
    if path_kind(path) == "folder":
        train, test = _choose_pair(path)
        return _read_pair(split_name(train) or path.resolve().name, train, test, columns)
    require_file(path)
    partner = partner_of(path)
    if partner:
        name = split_name(path) or path.resolve().parent.name
        return _read_pair(name, path, partner, columns)
    if path.suffix.lower() == ".npz" and columns == DEFAULT_COLUMNS:
        return _read_npz(path)
    return _split(path, read_series(path, columns))


def _choose_pair(folder: Path) -> tuple[Path, Path]:
    pairs = find_pairs(folder)
    if not pairs:
        raise _no_pair(folder)
    if len(pairs) == 1:
        return next(iter(pairs.values()))
    for name in (folder.resolve().name, ""):
        if name in pairs:
            return pairs[name]
    raise TwincodeError(f"{folder} holds several data sets ({', '.join(pairs)}); name one file")


def _no_pair(folder: Path) -> TwincodeError:
    return TwincodeError(
        f"{folder} holds no pair of files such as {folder.resolve().name}_TRAIN.tsv and _TEST.tsv, "
        f"or train.csv and test.csv; known formats: {', '.join(KNOWN_SUFFIXES)}"
    )


def _read_pair(name: str, train: Path, test: Path, columns: Columns = DEFAULT_COLUMNS) -> _Parts:
    origin = f"{train.name} and {test.name}"
    parts = _part("train", read_series(train, columns)), _part("test", read_series(test, columns))
    return _Parts(name, origin, *parts)


def _read_npz(path: Path) -> _Parts:
    arrays = load_arrays(require_file(path), (*SPLIT_ARRAYS, "X"))
    if "X_train" not in arrays and "X_test" not in arrays:
        return _split(path, read_series(path))
    halves: list[LabelledSeries] = []
    for half in ("train", "test"):
        if f"X_{half}" not in arrays:
            raise TwincodeError(f"{path} lacks the array X_{half}; a split needs both parts")
        series = array_series(arrays[f"X_{half}"], f"X_{half} in {path}")
        y = arrays.get(f"y_{half}")
        what = f"y_{half} in {path}"
        halves.append((series, None if y is None else array_labels(y, len(series), what, path)))
    train, test = halves
    return _Parts(path.stem, path.name, _part("train", train), _part("test", test))


def _part(half: str, data: LabelledSeries) -> _Part:
    series, labels = data
    return _Part(series, labels, [f"{half} series {row}" for row in range(1, len(series) + 1)])


def _split(path: Path, data: LabelledSeries) -> _Parts:
    """The last fifth of a fixed permutation as the test part; both keep the file's order."""
    series, labels = data
    n_train, _ = split_sizes(len(series))
    order = np.random.default_rng(SPLIT_SEED).permutation(len(series))

    def take(rows: Sequence[int]) -> _Part:
        return _Part(
            [series[row] for row in rows],
            None if labels is None else [labels[row] for row in rows],
            [f"series {row + 1}" for row in rows],
        )

    origin = f"{path.name}, without a split of its own: a random fifth (seed {SPLIT_SEED}) is test"
    return _Parts(
        path.stem,
        origin,
        take(sorted(order[:n_train].tolist())),
        take(sorted(order[n_train:].tolist())),
    )


def _assemble(parts: _Parts, policy: Policy, length: int | None) -> Dataset:
    train, test = parts.train, parts.test
    n_train = len(train.series)
    if n_train < MINIMUM_TRAIN or len(test.series) < MINIMUM_TEST:
        raise TwincodeError(
            f"{parts.name} has {n_train} train and {len(test.series)} test series; at least "
            f"{MINIMUM_TRAIN} and {MINIMUM_TEST} are needed"
        )
    X = apply_policy(
        [*train.series, *test.series],
        policy,
        target_length=length,
        train_size=n_train,
        names=[*train.names, *test.names],
    )
    classes = sorted_classes({*(train.labels or ()), *(test.labels or ())})
    return Dataset(
        name=parts.name,
        X_train=X[:n_train],
        X_test=X[n_train:],
        y_train=class_indices(train.labels, classes),
        y_test=class_indices(test.labels, classes),
        classes=classes,
        origin=parts.origin,
    )
