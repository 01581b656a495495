"""Where data sets lie: the user's data folder, bundled sets, aeon's, and the download cache."""

import importlib.util
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twincode.data.files import KNOWN_SUFFIXES, ts_header
from twincode.errors import TwincodeError
from twincode.files import expanded

DATA_VARIABLE = "TWINCODE_DATA"
_ARCHIVE_SUFFIXES = (".tsv", ".ts")
_NAME_LISTS = ("univariate", "multivariate", "tsc_zenodo")
_SPLIT_WORDS = (("TRAIN", "TEST"), ("train", "test"), ("Train", "Test"))

BUNDLED_FOLDER = Path(__file__).parent / "bundled"
DATA_FOLDER = "data folder"
BUNDLED = "bundled"
BUNDLED_WITH_AEON = "bundled with aeon"
DOWNLOADED = "download cache"


@dataclass(frozen=True)
class Source:
    """The files of one named set: a train and a test file, or one ``.npz`` (``test`` is None)."""

    name: str
    place: str
    train: Path
    test: Path | None


def local_sources(data_dir: str | Path | None = None) -> dict[str, Source]:
    """Every named set on this machine, keyed by its case-folded name.

    A set in the data folder (``data_dir``, else the environment variable TWINCODE_DATA) hides one
    of the same name that comes with twincode, then with aeon, and that hides one downloaded
    earlier. Raises TwincodeError when the data folder is not a folder.
    """
    folder, aeon = _data_folder(data_dir), _aeon_folder()
    found = [
        *(_folder_sources(folder, DATA_FOLDER) if folder else ()),
        *(_npz_sources(folder, DATA_FOLDER) if folder else ()),
        *_npz_sources(BUNDLED_FOLDER, BUNDLED),
        *(filter(_has_classes, _folder_sources(aeon / "data", BUNDLED_WITH_AEON)) if aeon else ()),
        *_folder_sources(cache_folder(), DOWNLOADED),
    ]
    return {source.name.casefold(): source for source in reversed(found)}


@cache
def archive_names() -> dict[str, str]:
    """The names in the UCR and UEA archives as aeon lists them, keyed by their case-folded form.

    The list is read from aeon's own file without importing aeon, which takes seconds. Without aeon
    there is none.
    """
    folder = _aeon_folder()
    if folder is None:
        return {}
    path = folder / "tsc_datasets.py"
    spec = importlib.util.spec_from_file_location("aeon_archive_names", path)
    if spec is None or spec.loader is None or not path.is_file():
        return {}
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = (name for names in _NAME_LISTS for name in getattr(module, names, ()))
    return {name.casefold(): name for name in names}


def cache_folder() -> Path:
    """Where downloads are kept: ``twincode`` in $XDG_CACHE_HOME or in ~/.cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else expanded("~/.cache")) / "twincode"


def find_pairs(
    folder: Path, suffixes: Iterable[str] = KNOWN_SUFFIXES
) -> dict[str, tuple[Path, Path]]:
    """The train and test files in ``folder``, keyed by what stands before TRAIN and TEST.

    ``Gun_TRAIN.tsv`` and ``Gun_TEST.tsv`` have the key ``Gun``, ``train.csv`` and ``test.csv`` the
    empty key. Where a key has several formats, the first of ``suffixes`` counts.
    """
    paths = _entries(folder)
    pairs: dict[str, tuple[Path, Path]] = {}
    for suffix in suffixes:
        for path in paths:
            test = partner_of(path) if path.suffix.lower() == suffix else None
            if test:
                pairs.setdefault(split_name(path), (path, test))
    return pairs


def partner_of(path: Path) -> Path | None:
    """The test file that lies beside a train file; None if there is none or ``path`` is not one."""
    for train_word, test_word in _SPLIT_WORDS:
        stem = path.stem
        if stem == train_word or stem.endswith(f"_{train_word}"):
            test = path.with_name(stem.removesuffix(train_word) + test_word + path.suffix)
            return test if test.is_file() else None
    return None


def split_name(train: Path) -> str:
    """What stands before TRAIN in the name of a train file."""
    return train.stem[: -len("TRAIN")].removesuffix("_")


def _data_folder(data_dir: str | Path | None) -> Path | None:
    chosen = str(data_dir) if data_dir is not None else os.environ.get(DATA_VARIABLE, "")
    if not chosen and data_dir is None:
        return None
    folder = expanded(chosen)
    if not chosen or not folder.is_dir():
        asked = "the data folder" if data_dir is not None else DATA_VARIABLE
        raise TwincodeError(
            f"{asked} {chosen!r} is not a folder; name the folder of your data sets"
        )
    return folder


def _aeon_folder() -> Path | None:
    spec = importlib.util.find_spec("aeon")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "datasets"


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TwincodeError(f"cannot read the folder {folder}: {error.strerror}") from error


def _named(name: str, place: str, train: Path, test: Path | None) -> Source:
    return Source(archive_names().get(name.casefold(), name), place, train, test)


def _folder_sources(folder: Path, place: str) -> Iterator[Source]:
    for entry in _entries(folder):
        if entry.is_dir():
            pairs = find_pairs(entry, _ARCHIVE_SUFFIXES)
            own = [pair for name, pair in pairs.items() if name.casefold() == entry.name.casefold()]
            if own:
                yield _named(entry.name, place, *own[0])


def _npz_sources(folder: Path, place: str) -> Iterator[Source]:
    for entry in _entries(folder):
        if entry.suffix.lower() == ".npz" and entry.is_file():
            yield _named(entry.stem, place, entry, None)


def _has_classes(source: Source) -> bool:
    return ts_header(source.train).get("classlabel", ["false"])[0] == "true"
