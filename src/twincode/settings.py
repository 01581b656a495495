"""Settings of exchangeable parts, and registries of such parts by name.

A part (a tokenizer, a quantiser, a twin loss, an augmentation, a metric) owns a frozen dataclass of
settings beside its class. Registered, it can be chosen by name, and each field of its settings is an
option wherever models are described. Other packages register parts of their own in a module that
they name as an entry point of the group ``twincode.parts``.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any, ClassVar, Generic, Self, TypeVar, get_args, get_origin, get_type_hints

from twincode.errors import TwincodeError, unknown_name

ENTRY_POINTS = "twincode.parts"
_BEFORE = "before"

Made = TypeVar("Made")


def added(default: Any, before: Any) -> Any:
    """A field that came later: what was made without it behaves like ``before``.

    At that value it is no part of the identity, so that a new option does not make finished runs
    look like other ones.
    """
    return field(default=default, metadata={_BEFORE: before})


@dataclass(frozen=True)
class Settings:
    """What can be chosen of one part. A subclass checks its values in ``__post_init__``."""

    name: ClassVar[str] = ""

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; values may be text, as from a command line.

        Raises TwincodeError for a field that does not exist and for a value of the wrong kind.
        """
        hints = field_types(type(self))
        for name in changes:
            if name not in hints:
                raise unknown_name("setting", name, hints)
        converted = {name: _convert(name, value, hints[name]) for name, value in changes.items()}
        return dataclasses.replace(self, **converted)

    def to_dict(self) -> dict[str, Any]:
        """The part's name, where it has one, and its fields, ready for JSON."""
        fields = json.loads(json.dumps(dataclasses.asdict(self)))
        return {"name": self.name, **fields} if self.name else fields

    def identity(self) -> dict[str, Any]:
        """The same without later fields (``added``) at which nothing changes."""
        idle = {
            each.name
            for each in dataclasses.fields(self)
            if _BEFORE in each.metadata and getattr(self, each.name) == each.metadata[_BEFORE]
        }
        return {name: value for name, value in self.to_dict().items() if name not in idle}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``; later fields that are absent get the value they stand for."""
        before = {
            each.name: each.metadata[_BEFORE]
            for each in dataclasses.fields(cls)
            if _BEFORE in each.metadata
        }
        fields = {name: value for name, value in values.items() if name != "name"}
        return cls().replace(**{**before, **fields})

    def check_at_least(self, least: float, *names: str) -> None:
        """Raise TwincodeError where one of these fields, or one of its items, is smaller."""
        for name in names:
            value = getattr(self, name)
            items = value if isinstance(value, tuple) else (value,)
            if not all(item >= least for item in items):
                wanted = f"at least {least:g}" if least else "not negative"
                raise TwincodeError(f"{name} must be {wanted}, not {_shown(value)}")

    def check_choice(self, name: str, choices: Iterable[str]) -> None:
        """Raise TwincodeError, naming the nearest, where a field is none of its choices."""
        if getattr(self, name) not in choices:
            raise unknown_name(name, getattr(self, name), choices)


class Registry(Generic[Made]):
    """Parts of one kind: a name stands for settings and for what builds the part from them.

    ``kind`` is the word that errors use: ``quantizer``, ``twin loss``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._settings: dict[str, type[Settings]] = {}
        self._builders: dict[str, Callable[..., Made]] = {}

    def register(
        self, name: str, build: Callable[..., Made], settings: type[Settings] = Settings
    ) -> None:
        """Add a part. ``build`` takes an instance of ``settings``, then what its kind is given.

        Raises TwincodeError for a name that is taken.
        """
        if name in self._settings:
            raise TwincodeError(f"there is a {self.kind} called {name!r} already; rename one")
        if settings is Settings:
            settings = dataclass(frozen=True)(type(f"{name}_settings", (Settings,), {}))
        elif "name" in vars(settings):
            raise TwincodeError(
                f"{settings.__name__} belongs to {settings.name!r}; make a subclass of it"
            )
        settings.name = name
        self._settings[name], self._builders[name] = settings, build

    def build(self, settings: Settings, *arguments: Any) -> Made:
        """The part that these settings describe."""
        return self._builders[settings.name](settings, *arguments)

    def choose(self, name: str) -> Settings:
        """The default settings of a part; TwincodeError, naming the nearest, for an unknown one."""
        load_parts()
        if name not in self._settings:
            raise unknown_name(self.kind, name, self._settings)
        return self._settings[name]()

    def read(self, values: Mapping[str, Any]) -> Settings:
        """The settings that ``Settings.to_dict`` has written."""
        return type(self.choose(str(values.get("name", "")))).from_dict(values)

    def builder(self, name: str) -> Callable[..., Made]:
        """What builds a part."""
        self.choose(name)
        return self._builders[name]

    def having(self, setting: str) -> list[str]:
        """The names of the parts that have a setting of this name."""
        load_parts()
        return [name for name, kind in self._settings.items() if setting in field_types(kind)]

    def __contains__(self, name: object) -> bool:
        load_parts()
        return name in self._settings

    def __iter__(self) -> Any:
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


@cache
def field_types(settings: type[Settings]) -> dict[str, Any]:
    """The type of every setting of a part, by its name."""
    hints = get_type_hints(settings)
    return {each.name: hints[each.name] for each in dataclasses.fields(settings)}


def _convert(name: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, Iterable):
            raise TwincodeError(f"{name} must be a list, not {value!r}")
        return tuple(_convert(name, part, get_args(hint)[0]) for part in parts if part != "")
    try:
        converted = hint(value)
    except (TypeError, ValueError, OverflowError):
        raise TwincodeError(f"{name} must be of type {hint.__name__}, not {value!r}") from None
    if hint is int and not isinstance(value, str) and converted != value:
        raise TwincodeError(f"{name} must be a whole number, not {value!r}")
    if hint is float and not math.isfinite(converted):
        raise TwincodeError(f"{name} must be a finite number, not {value!r}")
    return converted


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
