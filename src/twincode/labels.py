"""What models are called: a title, and the settings that tell those of one title apart.

Made when models are shown and stored nowhere, from configurations as ``Config.to_dict`` and stored
results have them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CONTINUOUS = ("gaussian", "identity")  # quantisers without codes
RAW = "raw"  # the tokenizer that leaves series as they are
_SYMBOLS = {"gamma": "γ"}

Settings = dict[str, Any]


def labels(models: Sequence[tuple[str, Mapping[str, Any]]], axes: Iterable[str] = ()) -> list[str]:
    """A label for each of some models, given as title and configuration.

    Models of one title are told apart by the fewest settings that do: the ``axes`` are tried first,
    then gamma, then all others in their order. The seed tells no model apart.
    """
    told = told_apart([(title, flat(config)) for title, config in models], axes)
    return [label(title, own) for (title, _), own in zip(models, told, strict=True)]


def told_apart(models: Sequence[tuple[str, Settings]], axes: Iterable[str] = ()) -> list[Settings]:
    """For each of some models, given as title and ``flat`` settings, those that labels name."""
    groups: dict[str, list[Settings]] = {}
    for title, settings in models:
        groups.setdefault(title, []).append(settings)
    names = {title: telling(group, axes) for title, group in groups.items()}
    return [{name: own[name] for name in names[title] if name in own} for title, own in models]


def has_codes(tokenizer: str, quantizer: str | None) -> bool:
    """Whether a model of these parts, by name, has codes and not latents alone."""
    return tokenizer != RAW if quantizer is None else quantizer not in CONTINUOUS


def label(title: str, told: Mapping[str, Any]) -> str:
    """A title and the settings that tell it from others."""
    return " ".join([title, *(f"{symbol(name)}={text_of(told[name])}" for name in told)])


def flat(config: Mapping[str, Any]) -> Settings:
    """A configuration as one level of settings, a part under the name of its slot.

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


def telling(models: Sequence[Settings], axes: Iterable[str] = ()) -> list[str]:
    """The fewest settings that tell these models apart, each tried in turn."""
    chosen: list[str] = []
    for name in dict.fromkeys([*axes, "gamma", *(name for each in models for name in each)]):
        if _groups(models, [*chosen, name]) > _groups(models, chosen):
            chosen.append(name)
    return chosen


def _groups(models: Sequence[Settings], names: Sequence[str]) -> int:
    """How many models some settings tell apart."""
    return len({json.dumps([each.get(name) for name in names]) for each in models})


def symbol(setting: str) -> str:
    """A setting's name as labels and charts write it."""
    return _SYMBOLS.get(setting, setting)


def text_of(value: Any) -> str:
    """A setting's value as it is written."""
    if isinstance(value, list | tuple):
        return "+".join(map(text_of, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
