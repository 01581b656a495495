"""The models among some runs: which runs are one model, and its label, place and colour.

Two runs are the same model where their configurations are equal but for the recipe's name and the
seed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from twincode.labels import RAW, Settings, flat, has_codes, label, text_of, told_apart

NAIVE, AUGMENTED = "vqvae", "vqvae-augmented"
BITS = "bits"  # the setting that asks for a rate
_BUDGET = "thesis-"  # the same method with the authors' budget
_INK, _GREY, _PALE = "#222222", "#80868f", "#b0a99f"
# Hues that colour-blind readers can part (Okabe and Ito; Tol).
HUES = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255"),
    *("#999933", "#332288", "#a6761d", "#44aa99", "#aa4499"),
)
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


@dataclass(frozen=True)
class Model:
    """One row of the tables; one that was not ``fitted`` is a control.

    ``settings`` are flat, ``codebook_size`` and the like; ``axes`` are those its label tells.
    ``coded`` tells a model with codes from one whose latents are numbers.
    """

    label: str
    title: str
    method: str
    fitted: bool
    coded: bool
    twin: bool
    colour: str
    shape: str
    settings: Settings = field(compare=False)
    axes: Settings = field(compare=False)

    def distance(self, other: "Model") -> int:
        """In how many settings two models differ."""
        names = {*self.settings, *other.settings}
        return sum(self.settings.get(name) != other.settings.get(name) for name in names)

    @property
    def is_raw(self) -> bool:
        """Whether it is the series themselves."""
        return not self.fitted and self.settings["quantizer"] == "none"

    def kind(self, axis: str) -> str:
        """Its label without one setting: what models that differ in that alone have in common."""
        return label(self.title, {name: v for name, v in self.axes.items() if name != axis})


def identity(record: Mapping[str, Any]) -> str:
    """What tells a run's model from others: its configuration as canonical JSON."""
    config = {name: part for name, part in record["config"].items() if name != "recipe"}
    training = {name: value for name, value in config["training"].items() if name != "seed"}
    return json.dumps({**config, "training": training}, sort_keys=True)


def models_of(runs: Iterable[Mapping[str, Any]], axes: Sequence[str] = ()) -> dict[str, Model]:
    """Every model by its identity: networks (the naive one, augmentation alone, others, twins),
    closed forms, controls.

    ``axes`` are settings that labels name first.
    """
    first: dict[str, Mapping[str, Any]] = {}
    for record in runs:
        first.setdefault(identity(record), record)
    settings = {key: flat(record["config"]) for key, record in first.items()}
    titled = [(record["title"], settings[key]) for key, record in first.items()]
    told = dict(zip(first, told_apart(titled, axes), strict=True))
    ordered = sorted(first, key=lambda key: (_place(first[key]), _order(told[key])))
    colours = _colours({key: first[key] for key in ordered})
    found = {
        key: Model(
            label=label(first[key]["title"], told[key]),
            title=first[key]["title"],
            method=first[key]["recipe"].removeprefix(_BUDGET),
            fitted=_is_fitted(first[key]),
            coded=_is_coded(first[key]["config"]),
            twin=first[key]["config"]["twin_loss"] is not None,
            colour=colours[key],
            shape="stroke",
            settings=settings[key],
            axes=told[key],
        )
        for key in ordered
    }
    # A shape for each kind: the rates of one are told apart by where they stand.
    kinds = list(dict.fromkeys(model.kind(BITS) for model in found.values()))
    shapes = {kind: _SHAPES[place % len(_SHAPES)] for place, kind in enumerate(kinds)}
    return {
        key: replace(model, shape=shapes[model.kind(BITS)]) if model.fitted else model
        for key, model in found.items()
    }


def is_number(value: Any) -> bool:
    """Whether a setting can be laid along an axis."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_closed_form(record: Mapping[str, Any]) -> bool:
    """Whether it makes codes and was not trained: only networks take a quantiser."""
    config = record["config"]
    untrained = not record["epochs"] and config["quantizer"] is None
    return untrained and config["tokenizer"]["name"] != RAW


def _is_fitted(record: Mapping[str, Any]) -> bool:
    """Whether it has learnt from series, over epochs or in closed form."""
    return record["epochs"] > 0 or _is_closed_form(record)


def _is_coded(config: Mapping[str, Any]) -> bool:
    quantizer = config["quantizer"]
    return has_codes(config["tokenizer"]["name"], quantizer["name"] if quantizer else None)


def _place(record: Mapping[str, Any]) -> tuple[int, str]:
    if _is_closed_form(record):
        return 4, record["title"]
    if not record["epochs"]:
        return 6 if record["config"]["quantizer"] is None else 5, record["title"]
    method = record["recipe"].removeprefix(_BUDGET)
    twin = record["config"]["twin_loss"] is not None
    return {NAIVE: 0, AUGMENTED: 1}.get(method, 3 if twin else 2), record["title"]


def _order(axes: Settings) -> list[tuple[float, str]]:
    return [(value if is_number(value) else 0.0, text_of(value)) for value in axes.values()]


def _colours(records: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Ink for the naive model, greys for controls, a hue for each other title, light to dark."""
    colours: dict[str, str] = {}
    titles: dict[str, list[str]] = {}
    for key, record in records.items():
        colours[key] = _PALE if record["config"]["quantizer"] is None else _GREY
        if _is_fitted(record):
            titles.setdefault(record["title"], []).append(key)
    hues = iter(HUES * len(titles))
    for keys in titles.values():
        naive = records[keys[0]]["recipe"].removeprefix(_BUDGET) == NAIVE
        hue = _INK if naive else next(hues)
        for place, key in enumerate(keys):
            colours[key] = _shade(hue, (place + 1) / (len(keys) + 1) - 0.5)
    return colours


def _shade(colour: str, amount: float) -> str:
    """A colour blended with white (below 0) or black (above), by that share."""
    target = 255 if amount < 0 else 0
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(each + (target - each) * abs(amount)):02x}" for each in parts)
