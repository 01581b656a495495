"""When a setting is read: conditions on other settings, tested and put into words.

A condition is met where one of its alternatives is, and an alternative where all its demands are.
A demand on a setting that is itself not read is never met.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Demand:
    """What one setting has to be, in words that follow its name, and as a test of its value."""

    setting: str
    words: str
    met: Callable[[Any], bool]

    def __str__(self) -> str:
        return f"{self.setting} {self.words}"


@dataclass(frozen=True)
class Condition:
    """Alternatives, each a list of demands; ``|`` and ``&`` join conditions."""

    alternatives: tuple[tuple[Demand, ...], ...]

    def __or__(self, other: "Condition") -> "Condition":
        return Condition(self.alternatives + other.alternatives)

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(
            tuple(mine + yours for mine in self.alternatives for yours in other.alternatives)
        )

    def __str__(self) -> str:
        return _any(" and ".join(map(str, demands)) for demands in self.alternatives)


def one_of(setting: str, *choices: str, among: Collection[str] | None = None) -> Condition:
    """The setting is one of ``choices``, or a choice from elsewhere: none of those ``among``."""
    others = None if among is None else set(among) - set(choices)
    return _demand(
        setting,
        f"is {_listed(choices)}",
        lambda value: value in choices or (others is not None and value not in others),
    )


def holding(setting: str, item: str) -> Condition:
    """The list that the setting is has this item."""
    return _demand(setting, f"has {item}", lambda value: item in value)


def nonzero(setting: str) -> Condition:
    """The number is not 0."""
    return _demand(setting, "is not 0", bool)


def empty(setting: str) -> Condition:
    """The list has no items."""
    return _demand(setting, "is empty", lambda value: not value)


def why_unread(setting: str, values: Mapping[str, Any], conditions: Mapping[str, Condition]) -> str:
    """Why nothing reads a setting, given the values and the conditions of all; empty if it is read.

    A setting without a condition is always read.
    """
    lacking = _lacking(setting, values, conditions)
    if not lacking:
        return ""
    here = (f"{demand.setting} is {_shown(values[demand.setting])}" for demand in lacking)
    return f"read where {_any(map(str, lacking))}; here {' and '.join(dict.fromkeys(here))}"


def _lacking(
    setting: str, values: Mapping[str, Any], conditions: Mapping[str, Condition]
) -> list[Demand]:
    """The first demand that is not met of every alternative; none where one alternative is met."""
    found: list[Demand] = []
    for demands in conditions[setting].alternatives if setting in conditions else ():
        lacking = next(filter(None, (_unmet(each, values, conditions) for each in demands)), [])
        if not lacking:
            return []
        found += lacking
    return found


def _unmet(
    demand: Demand, values: Mapping[str, Any], conditions: Mapping[str, Condition]
) -> list[Demand]:
    """What its setting lacks to be read itself, or else the demand, or nothing where it is met."""
    upstream = _lacking(demand.setting, values, conditions)
    return upstream or ([] if demand.met(values[demand.setting]) else [demand])


def _demand(setting: str, words: str, met: Callable[[Any], bool]) -> Condition:
    return Condition(((Demand(setting, words, met),),))


def _any(texts: Iterable[str]) -> str:
    return ", or ".join(dict.fromkeys(texts))


def _listed(choices: Iterable[str]) -> str:
    *first, last = choices
    return f"{', '.join(first)} or {last}" if first else last


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_shown, value)) or "empty"
    return f"{value:g}" if isinstance(value, float) else str(value)
