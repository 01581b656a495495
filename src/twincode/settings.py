"""Settings of exchangeable parts, and registries of such parts by name.

A part (a tokenizer, a quantiser, a twin loss, an augmentation, a metric) owns a frozen dataclass of
settings beside its class. Registered, it can be chosen by name, and each field of its settings is
an option wherever models are described. Other packages register parts of their own in a module
that they name as an entry point of the group ``twincode.parts``.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from inspect import get_annotations
from typing import Any, ClassVar, Generic, Self, TypeVar, get_args, get_origin, get_type_hints

from twincode.errors import TwincodeError, unknown_name

ENTRY_POINTS = "twincode.parts"
KINDS = (int, float, str, bool)
_BEFORE = "before"
_TYPES: dict[Any, dict[str, Any]] = {}  # by class: to work them out takes a while

Made = TypeVar("Made")
Chosen = TypeVar("Chosen", bound="Settings")


def added(default: Any, before: Any) -> Any:
    """A field that came later: what was made without it behaves like ``before``.

    At that value it is no part of the identity, so that a new option does not make finished runs
    look like other ones.
    """
    return field(default=default, metadata={_BEFORE: before})


@dataclass(frozen=True)
class Settings:
    """What can be chosen of one part. A subclass checks its values in ``__post_init__``.

    Fields are of the types ``KINDS``, or tuples of any length of one of these, and have defaults.
    """

    name: ClassVar[str] = ""

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; values may be text, as from a command line.

        Raises TwincodeError for a field that does not exist and for a value of the wrong kind.
        """
        hints = field_types(type(self))
        for name in changes:
            if name not in hints:
                raise unknown_name("setting", name, hints)
        converted = {name: convert(name, value, hints[name]) for name, value in changes.items()}
        return dataclasses.replace(self, **converted)

    def to_dict(self) -> dict[str, Any]:
        """The part's name, where it has one, and its fields, ready for JSON."""
        described: dict[str, Any] = {"name": self.name} if self.name else {}
        for name, hint in field_types(type(self)).items():
            value = convert(name, getattr(self, name), hint)
            described[name] = list(value) if isinstance(value, tuple) else value
        return described

    def identity(self) -> dict[str, Any]:
        """The same without later fields (``added``) at which nothing changes."""
        before = values_before(type(self))
        return {
            name: value
            for name, value in self.to_dict().items()
            if name not in before or getattr(self, name) != before[name]
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``; later fields that are absent get the value they stand for."""
        fields = {name: value for name, value in values.items() if name != "name"}
        return cls().replace(**{**values_before(cls), **fields})

    def check_at_least(self, least: float, *names: str) -> None:
        """Raise TwincodeError where one of these fields, or an item of one, is smaller."""
        for name in names:
            value = getattr(self, name)
            for item in value if isinstance(value, tuple) else (value,):
                if not item >= least:
                    raise TwincodeError(f"{name} must be at least {least:g}, not {item}")

    def check_at_most(self, most: float, *names: str) -> None:
        """Raise TwincodeError where one of these fields is larger."""
        for name in names:
            if not getattr(self, name) <= most:
                raise TwincodeError(f"{name} must be at most {most:g}, not {getattr(self, name)}")

    def check_below(self, bound: float, *names: str) -> None:
        """Raise TwincodeError where one of these fields is negative, or not smaller."""
        for name in names:
            if not 0 <= getattr(self, name) < bound:
                raise TwincodeError(
                    f"{name} must be at least 0 and below {bound:g}, not {getattr(self, name)}"
                )

    def check_above(self, bound: float, *names: str) -> None:
        """Raise TwincodeError where one of these fields is not larger."""
        for name in names:
            if not getattr(self, name) > bound:
                raise TwincodeError(f"{name} must be above {bound:g}, not {getattr(self, name)}")

    def check_fraction(self, *names: str) -> None:
        """Raise TwincodeError where one of these fields does not lie between 0 and 1."""
        for name in names:
            if not 0 <= getattr(self, name) <= 1:
                raise TwincodeError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")

    def check_choice(self, name: str, choices: Iterable[str]) -> None:
        """Raise TwincodeError, naming the nearest, where a field is none of its choices."""
        if getattr(self, name) not in choices:
            raise unknown_name(name, getattr(self, name), choices)


class Registry(Generic[Made, Chosen]):
    """Parts of one kind: a name stands for settings and for what builds the part from them.

    ``kind`` is the word that errors use: ``quantizer``, ``twin loss``. All settings derive from
    ``base``.
    """

    def __init__(self, kind: str, base: type[Chosen]) -> None:
        self.kind = kind
        self._base = base
        self._settings: dict[str, type[Chosen]] = {}
        self._builders: dict[str, Callable[..., Made]] = {}

    @property
    def plural(self) -> str:
        """The word for several parts."""
        return self.kind + ("es" if self.kind.endswith("s") else "s")

    def register(
        self, name: str, build: Callable[..., Made], settings: type[Chosen] | None = None
    ) -> None:
        """Add a part. ``build`` takes an instance of ``settings``, then what its kind is given.

        Without ``settings`` the part has those of every part of its kind and no more. Raises
        TwincodeError for a name that is taken and for settings that cannot be read.
        """
        if name in self._settings:
            raise TwincodeError(f"there is a {self.kind} called {name!r} already; rename one")
        if settings is None:
            settings = type(self._base.__name__, (self._base,), {"__doc__": self._base.__doc__})
        _check_declaration(settings, self._base)
        settings.name = name
        self._settings[name], self._builders[name] = settings, build

    def build(self, settings: Settings, *arguments: Any) -> Made:
        """The part that these settings describe."""
        return self._builders[settings.name](settings, *arguments)

    def choose(self, name: str) -> Chosen:
        """The default settings of a part; TwincodeError, naming the nearest, for an unknown one."""
        load_parts()
        if name not in self._settings:
            raise unknown_name(self.kind, name, self._settings)
        return self._settings[name]()

    def read(self, values: Mapping[str, Any]) -> Chosen:
        """The settings that ``Settings.to_dict`` has written."""
        return type(self.choose(str(values.get("name", "")))).from_dict(values)

    def having(self, setting: str) -> list[str]:
        """The names of the parts that have a setting of this name."""
        load_parts()
        return [name for name, kind in self._settings.items() if setting in field_types(kind)]

    def __contains__(self, name: object) -> bool:
        load_parts()
        return name in self._settings

    def __iter__(self) -> Iterator[str]:
        load_parts()
        return iter(self._settings)


@cache
def load_parts() -> None:
    """Import what other packages have announced, once; TwincodeError for one that cannot be."""
    for point in entry_points(group=ENTRY_POINTS):
        try:
            point.load()
        except Exception as error:
            raise TwincodeError(
                f"the parts of {point.value} cannot be loaded ({error}); mend or uninstall them"
            ) from error


def field_types(settings: type[Settings]) -> dict[str, Any]:
    """The type of every setting of a part, by its name."""
    if settings not in _TYPES:
        hints = get_type_hints(settings)
        _TYPES[settings] = {each.name: hints[each.name] for each in dataclasses.fields(settings)}
    return _TYPES[settings]


def digest(value: object) -> str:
    """A hash of what JSON can write: equal values, equal digest."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def parted(
    values: Mapping[str, Any], settings: type[Settings]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values by name: those of settings of this kind, and all others."""
    known = field_types(settings)
    own = {name: value for name, value in values.items() if name in known}
    return own, {name: value for name, value in values.items() if name not in known}


def values_before(settings: type[Settings]) -> dict[str, Any]:
    """What the absence of each later field (``added``) stands for."""
    return {
        each.name: each.metadata[_BEFORE]
        for each in dataclasses.fields(settings)
        if _BEFORE in each.metadata
    }


def convert(name: str, value: Any, hint: Any) -> Any:
    """A value of a setting in its type; TwincodeError where it cannot be."""
    if get_origin(hint) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            parts = (value,)
        if not isinstance(parts, Iterable):
            raise TwincodeError(f"{name} must be a list, not {value!r}")
        return tuple(convert(name, part, get_args(hint)[0]) for part in parts if part != "")
    if hint is bool:
        if str(value).lower() not in ("true", "false"):
            raise TwincodeError(f"{name} must be true or false, not {value!r}")
        return str(value).lower() == "true"
    try:
        if isinstance(value, bool) and hint is not str:
            raise TypeError
        converted = hint(value)
    except (TypeError, ValueError, OverflowError):
        raise TwincodeError(f"{name} must be of type {hint.__name__}, not {value!r}") from None
    if hint is int and not isinstance(value, str) and converted != value:
        raise TwincodeError(f"{name} must be a whole number, not {value!r}")
    if hint is float and not math.isfinite(converted):
        raise TwincodeError(f"{name} must be a finite number, not {value!r}")
    return converted


def _check_declaration(settings: type[Settings], base: type[Settings]) -> None:
    """Raise TwincodeError for a class that would not work as the settings of one part."""
    own = vars(settings)
    if not issubclass(settings, base):
        raise TwincodeError(f"{settings.__name__} must derive from {base.__name__}")
    if get_annotations(settings) and "__dataclass_fields__" not in own:
        raise TwincodeError(f"{settings.__name__} must be decorated with @dataclass(frozen=True)")
    for name, hint in field_types(settings).items():
        kind = get_args(hint)[0] if get_args(hint)[1:] == (...,) else hint
        if kind not in KINDS or name == "name":
            raise TwincodeError(
                f"{settings.__name__}.{name} cannot be a setting: settings are int, float, str, "
                "bool or tuple[one of these, ...], and none is called name"
            )
    if "name" in own:
        raise TwincodeError(
            f"{settings.__name__} belongs to {settings.name!r}; make a subclass of it"
        )
