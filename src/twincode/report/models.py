"""The models among some runs: which runs are one model, and its label, place and colour.

Two runs are the same model where their configurations are equal but for the recipe's name and the
seed. A label is made for the models that are shown together: the title, and the fewest settings
that tell those of one title apart.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NAIVE, AUGMENTED = "vqvae", "vqvae-augmented"
_BUDGET = "thesis-"  # the same method with the authors' budget
_SYMBOLS = {"gamma": "γ"}
_INK, _GREY, _PALE = "#222222", "#80868f", "#b0a99f"
# Hues that colour-blind readers can part (Okabe and Ito; Tol), some between them further on.
_HUES = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255"),
    *("#999933", "#332288", "#a6761d", "#44aa99", "#aa4499"),
)
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")

Settings = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """One row of the tables.

    ``settings`` are flat, ``codebook_size`` and the like; ``axes`` those that its label tells.
    A control is a model that was not trained.
    """

    key: str
    label: str
    title: str
    method: str
    trained: bool
    twin: bool
    settings: Mapping[str, Any] = field(compare=False)
    axes: Mapping[str, Any] = field(compare=False)
    colour: str
    shape: str

    def without(self, axis: str) -> str:
        """The label without one axis: what models along that axis have in common."""
        return _label(
            self.title, {name: value for name, value in self.axes.items() if name != axis}
        )


def key_of(record: Mapping[str, Any]) -> str:
    """What a run's model is told from others by: its configuration as canonical JSON."""
    config = {name: part for name, part in record["config"].items() if name != "recipe"}
    training = {name: value for name, value in config["training"].items() if name != "seed"}
    return json.dumps({**config, "training": training}, sort_keys=True)


def models_of(records: Iterable[Mapping[str, Any]], axes: Sequence[str] = ()) -> dict[str, Model]:
    """Every model by its key: the naive one, augmentation alone, others, twin models, controls.

    ``axes`` are settings that labels name first.
    """
    first: dict[str, Mapping[str, Any]] = {}
    for record in records:
        first.setdefault(key_of(record), record)
    settings = {key: flat(record["config"]) for key, record in first.items()}
    told: dict[str, Settings] = {}
    for title in dict.fromkeys(record["title"] for record in first.values()):
        named = {key: settings[key] for key, each in first.items() if each["title"] == title}
        told |= telling(named, axes)
    ordered = sorted(first, key=lambda key: (*_place(first[key]), _sortable(told[key])))
    colours = _colours({key: first[key] for key in ordered})
    return {
        key: Model(
            key=key,
            label=_label(first[key]["title"], told[key]),
            title=first[key]["title"],
            method=_method(first[key]),
            trained=first[key]["epochs"] > 0,
            twin=first[key]["config"]["twin_loss"] is not None,
            settings=settings[key],
            axes=told[key],
            colour=colours[key],
            shape=SHAPES[place % len(SHAPES)] if first[key]["epochs"] else "stroke",
        )
        for place, key in enumerate(ordered)
    }


def flat(config: Mapping[str, Any]) -> Settings:
    """A configuration as one level of settings, a part under its slot's name.

    No twin loss is a twin loss of weight 0. Seed and recipe are left out.
    """
    found: Settings = {}
    for slot, part in config.items():
        if slot == "twin_loss" and part is None:
            found["gamma"] = 0.0
        elif part is None:
            found[slot] = "none"
        elif isinstance(part, list):
            found[slot] = [each["name"] for each in part]
            for each in part:
                found |= {name: value for name, value in each.items() if name != "name"}
        elif isinstance(part, Mapping):
            found |= {slot if name == "name" else name: part[name] for name in part}
    return {name: value for name, value in found.items() if name != "seed"}


def telling(settings: Mapping[str, Settings], axes: Sequence[str] = ()) -> dict[str, Settings]:
    """The fewest settings that tell models apart, tried in order, ``axes`` and gamma first."""
    order = dict.fromkeys([*axes, "gamma", *(name for each in settings.values() for name in each)])
    groups, chosen = [list(settings)], []
    for name in order:
        parted = [part for group in groups for part in _parted(group, settings, name)]
        if len(parted) > len(groups):
            groups, chosen = parted, [*chosen, name]
    return {
        key: {name: each[name] for name in chosen if name in each} for key, each in settings.items()
    }


def text_of(value: Any) -> str:
    """A setting's value as it is written."""
    if isinstance(value, (list, tuple)):
        return "+".join(map(text_of, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def nearest(model: Model, candidates: Iterable[Model]) -> Model | None:
    """The candidate that differs from ``model`` in the fewest settings, the first of equals."""

    def distance(other: Model) -> int:
        names = {*model.settings, *other.settings}
        return sum(model.settings.get(name) != other.settings.get(name) for name in names)

    return min(candidates, key=distance, default=None)


def _parted(group: Sequence[str], settings: Mapping[str, Settings], name: str) -> list[list[str]]:
    """A group of models by their value of one setting; those without it stay together."""
    parts: dict[str, list[str]] = {}
    for key in group:
        parts.setdefault(json.dumps(settings[key].get(name)), []).append(key)
    return list(parts.values())


def _label(title: str, axes: Mapping[str, Any]) -> str:
    told = (f"{_SYMBOLS.get(name, name)}={text_of(value)}" for name, value in axes.items())
    return " ".join([title, *told])


def symbol(axis: str) -> str:
    """A setting's name as labels and charts write it."""
    return _SYMBOLS.get(axis, axis)


def _method(record: Mapping[str, Any]) -> str:
    """What the model is, however long it was trained."""
    return str(record["recipe"]).removeprefix(_BUDGET)


def _place(record: Mapping[str, Any]) -> tuple[int, str]:
    method = _method(record)
    if not record["epochs"]:
        place = 5 if record["config"]["quantizer"] is None else 4
    else:
        twin = record["config"]["twin_loss"] is not None
        place = {NAIVE: 0, AUGMENTED: 1}.get(method, 3 if twin else 2)
    return place, record["title"]


def _sortable(axes: Mapping[str, Any]) -> list[tuple[bool, float, str]]:
    numeric = {name: is_number(value) for name, value in axes.items()}
    return [(numeric[n], value if numeric[n] else 0, text_of(value)) for n, value in axes.items()]


def is_number(value: Any) -> bool:
    """Whether a setting can be laid along an axis."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _colours(records: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Ink for the naive model, greys for controls, a hue for each other title, light to dark."""
    titles: dict[str, list[str]] = {}
    colours: dict[str, str] = {}
    for key, record in records.items():
        if record["epochs"]:
            titles.setdefault(record["title"], []).append(key)
        else:
            colours[key] = _PALE if record["config"]["quantizer"] is None else _GREY
    hues = 0
    for keys in titles.values():
        naive = _method(records[keys[0]]) == NAIVE
        hue = _INK if naive else _HUES[hues % len(_HUES)]
        hues += not naive
        for place, key in enumerate(keys):
            colours[key] = _shade(hue, (place + 1) / (len(keys) + 1) - 0.5)
    return colours


def _shade(colour: str, amount: float) -> str:
    """A colour blended with white (below 0) or black (above), by that share."""
    target = 255 if amount < 0 else 0
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(each + (target - each) * abs(amount)):02x}" for each in parts)
