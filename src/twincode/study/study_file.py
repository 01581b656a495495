"""A study described in a TOML file."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twincode.data.archive import holds_data
from twincode.errors import TwincodeError, unknown_name
from twincode.files import expanded
from twincode.study.second_stage import Priors


def read_study_file(path: Path) -> dict[str, Any]:
    """The fields of a Study as ``path`` gives them.

    The file holds any of the lists ``datasets`` and ``recipes``, the whole number ``seeds``, the
    tables ``axes`` and ``settings``, a table ``recipe.NAME`` for each recipe with settings of its
    own, ``epochs`` or ``steps``, which are short for settings, and a table ``priors`` for the
    second stage (``Priors``). Data sets given as paths are found from the file's folder. Raises
    TwincodeError, in one line, for a file that cannot be read and for what it should not hold.
    """
    entries = _load(path)
    for name in entries:
        if name not in _READERS:
            raise unknown_name(f"entry in {path}", name, _READERS)
    study = {name: _READERS[name](path, name, value) for name, value in entries.items()}
    budget = {name: study.pop(name) for name in ("epochs", "steps") if name in study}
    for name in budget:
        if name in study.get("settings", {}):
            raise TwincodeError(f"{path}: {name} is given twice, once in [settings]")
    study["settings"] = {**budget, **study.get("settings", {})}
    study["overrides"] = study.pop("recipe", {})
    return study


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise TwincodeError(f"no study file at {path}") from None
    except (OSError, RecursionError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TwincodeError(f"{path} is not a readable study file: {error}") from error


def _names(path: Path, name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(path, name, 'a list of names such as ["GunPoint"]', value)
    return tuple(value)


def _data(path: Path, name: str, value: Any) -> tuple[str, ...]:
    """A path that is there beside the file means that one; all else is left to the data room."""
    beside = [(path.parent / expanded(item), item) for item in _names(path, name, value)]
    return tuple(str(place) if "/" in item or holds_data(place) else item for place, item in beside)


def _count(path: Path, name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(path, name, "a whole number", value)
    return value


def _table(path: Path, name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, name, f"a table of settings below [{name}]", value)
    read = {key.replace("-", "_"): item for key, item in value.items()}
    if len(read) < len(value):
        raise TwincodeError(f"{path}: [{name}] gives a setting twice, with a hyphen and without")
    return read


def _tables(path: Path, name: str, value: Any) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(value, dict):
        raise _wrong(path, name, f"a table for each recipe, such as [{name}.bt-vqvae]", value)
    return {recipe: _table(path, f"{name}.{recipe}", table) for recipe, table in value.items()}


def _priors(path: Path, name: str, value: Any) -> Priors:
    """The second stage: kinds, and the tables that ``Priors`` names, ``recipe`` for ``recipes``."""
    given = dict(_table(path, name, value))
    own = {
        each: _priors_table(path, f"{name}.recipe.{each}", table)
        for each, table in _tables(path, f"{name}.recipe", given.pop("recipe", {})).items()
    }
    return Priors(**_priors_table(path, name, given, ("judging",)), recipes=own)


def _priors_table(path: Path, name: str, value: Any, more: tuple[str, ...] = ()) -> dict[str, Any]:
    readers = {"kinds": _names, "settings": _table, "samplers": _tables}
    readers |= dict.fromkeys(more, _table)
    given = _table(path, name, value)
    for entry in given:
        if entry not in readers:
            raise unknown_name(f"entry of [{name}] in {path}", entry, readers)
    return {entry: readers[entry](path, f"{name}.{entry}", each) for entry, each in given.items()}


def _wrong(path: Path, name: str, wanted: str, value: Any) -> TwincodeError:
    return TwincodeError(f"{path}: {name} must be {wanted}, not {value!r}")


_READERS: dict[str, Callable[[Path, str, Any], Any]] = {
    "datasets": _data,
    "recipes": _names,
    "seeds": _count,
    "epochs": _count,
    "steps": _count,
    "axes": _table,
    "settings": _table,
    "recipe": _tables,
    "priors": _priors,
}
