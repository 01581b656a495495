"""Frozen configurations: everything that decides a run's numbers, and nothing else.

A configuration holds the settings of the parts it has chosen and two groups that every run has.
A setting is named alone, ``codebook_size``, and found in the chosen part that has it; one that no
chosen part has is an error. The device and the number of threads are not here: they say where a
run is computed, not what.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twincode.augment import AUGMENTATIONS, USUAL_AUGMENTATIONS
from twincode.errors import TwincodeError, unknown_name
from twincode.evaluate import METRICS, READOUTS, USUAL_METRICS
from twincode.losses import TWIN_LOSSES, TwinSettings
from twincode.precision import PRECISIONS
from twincode.quantize import QUANTIZERS
from twincode.settings import Registry, Settings, field_types
from twincode.tokenizers import TOKENIZERS, TokenizerSettings

UPPER_INPUTS = ("clean", "view")
NONE = "none"

# What can be chosen by name: one part, or a list of them.
_CHOICES: dict[str, Registry[Any]] = {
    "tokenizer": TOKENIZERS,
    "quantizer": QUANTIZERS,
    "twin_loss": TWIN_LOSSES,
    "augmentations": AUGMENTATIONS,
    "metrics": METRICS,
}
_LISTS = ("augmentations", "metrics")
_DECIDING = (
    "tokenizer",
    "quantizer",
    "twin_loss",
    "gamma",
    "upper_input",
    "augmentations",
    "metrics",
)


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """Optimiser, budget, seed, and what the reconstructing branch sees.

    The budget is ``epochs``, or ``steps`` where that is not 0. ``upper_input`` is ``clean`` for the
    series themselves or ``view`` for an augmented view.
    """

    epochs: int = 200
    steps: int = 0
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    upper_input: str = "clean"
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        self.check_at_least(0, "epochs", "steps", "weight_decay", "seed")
        self.check_at_least(1, "batch_size")
        self.check_choice("upper_input", UPPER_INPUTS)
        self.check_choice("precision", PRECISIONS)
        if not self.learning_rate > 0:
            raise TwincodeError(f"learning_rate must be above 0, not {self.learning_rate}")

    def epochs_for(self, n_train: int) -> int:
        """The number of epochs on ``n_train`` series: that nearest to ``steps``, at least one."""
        if not self.steps:
            return self.epochs
        return max(1, round(self.steps / math.ceil(n_train / self.batch_size)))


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """How often a model is evaluated, evenly spaced and always at the end, and by which readouts.

    With 0 ``evaluations`` it never is.
    """

    evaluations: int = 5
    readouts: tuple[str, ...] = ("flatten", "mean", "histogram")

    def __post_init__(self) -> None:
        self.check_at_least(0, "evaluations")
        if not self.readouts:
            raise TwincodeError(f"name at least one readout: {', '.join(READOUTS)}")
        for name in self.readouts:
            if name not in READOUTS:
                raise unknown_name("readout", name, READOUTS)


@dataclass(frozen=True)
class Config:
    """One run, resolved: the recipe's name, the settings of the chosen parts, and two groups.

    ``quantizer`` is None for a tokenizer that takes none, ``twin_loss`` where there is none or its
    gamma is 0, and ``augmentations`` are empty where no view is made.
    """

    recipe: str = ""
    tokenizer: TokenizerSettings = field(default_factory=lambda: TOKENIZERS.choose("vqvae"))
    quantizer: Settings | None = field(default_factory=lambda: QUANTIZERS.choose("vq"))
    twin_loss: TwinSettings | None = None
    augmentations: tuple[Settings, ...] = ()
    training: TrainingSettings = field(default_factory=TrainingSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    metrics: tuple[Settings, ...] = field(
        default_factory=lambda: tuple(map(METRICS.choose, USUAL_METRICS))
    )

    @property
    def gamma(self) -> float:
        """The weight of the twin loss; 0 without one."""
        return 0.0 if self.twin_loss is None else self.twin_loss.gamma

    @property
    def makes_views(self) -> bool:
        """Whether augmented views are made of the series."""
        return self.twin_loss is not None or self.training.upper_input == "view"

    @property
    def parts(self) -> tuple[Settings, ...]:
        """The settings of every chosen part, and the two groups."""
        return tuple(part for _, part in self._owned())

    def replace(self, **changes: Any) -> "Config":
        """A copy with some settings changed: ``replace(twin_loss="moco", gamma=2, epochs=50)``.

        A part that is chosen anew comes with its own defaults; in a list, those that stay keep
        their settings. Values may be text, as from a command line; ``none`` stands for no twin
        loss. Raises TwincodeError for a setting that no chosen part has and for a wrong value.
        """
        if changes.get("steps") and "epochs" in changes:
            raise TwincodeError("a run takes epochs or steps, not both")
        if "epochs" in changes:
            changes = {"steps": 0, **changes}
        config = self
        # What decides which parts there are comes before what is set in them.
        order = {name: place for place, name in enumerate(_DECIDING)}
        for name in sorted(changes, key=lambda name: order.get(name, len(order))):
            config = config._with(name, changes[name])
        return config

    def has(self, name: str) -> bool:
        """Whether a chosen part has a setting of this name, or the name chooses a part."""
        return name in _CHOICES or any(name in field_types(type(part)) for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain nested dictionaries, ready for JSON."""
        return {"recipe": self.recipe, **self._described(Settings.to_dict)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of ``to_dict``; raises TwincodeError for what this version does not know."""
        try:
            return cls(
                str(values["recipe"]),
                TOKENIZERS.read(values["tokenizer"]),
                values["quantizer"] and QUANTIZERS.read(values["quantizer"]),
                values["twin_loss"] and TWIN_LOSSES.read(values["twin_loss"]),
                tuple(map(AUGMENTATIONS.read, values["augmentations"])),
                TrainingSettings.from_dict(values["training"]),
                EvaluationSettings.from_dict(values["evaluation"]),
                tuple(map(METRICS.read, values["metrics"])),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise TwincodeError(f"the configuration is damaged: {error!r}") from error

    def identity(self) -> dict[str, Any]:
        """All that decides the numbers: the chosen parts and their settings, without the recipe."""
        return self._described(Settings.identity)

    def digest(self) -> str:
        """A hash of ``identity``: equal settings of equal parts, equal digest."""
        text = json.dumps(self.identity(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _described(self, describe: Callable[[Settings], dict[str, Any]]) -> dict[str, Any]:
        described: dict[str, Any] = {}
        for name in _FIELDS:
            value = getattr(self, name)
            if isinstance(value, tuple):
                described[name] = [describe(part) for part in value]
            else:
                described[name] = None if value is None else describe(value)
        return described

    def _owned(self) -> Iterator[tuple[str, Settings]]:
        """Every part, with the field of this configuration that holds it."""
        for name in _FIELDS:
            value = getattr(self, name)
            for part in value if isinstance(value, tuple) else (value,):
                if part is not None:
                    yield name, part

    def _with(self, name: str, value: Any) -> "Config":
        config = self._choosing(name, value) if name in _CHOICES else self._setting(name, value)
        if config.twin_loss is not None and not config.gamma:
            config = dataclasses.replace(config, twin_loss=None)
        if config.makes_views and not self.makes_views:
            usual = tuple(map(AUGMENTATIONS.choose, USUAL_AUGMENTATIONS))
            config = dataclasses.replace(config, augmentations=usual)
        elif self.makes_views and not config.makes_views:
            config = dataclasses.replace(config, augmentations=())
        return config

    def _choosing(self, choice: str, value: Any) -> "Config":
        """Another part, or other parts, by name."""
        registry, held = _CHOICES[choice], getattr(self, choice)
        if choice in _LISTS:
            here = {part.name: part for part in held}
            names = value.split(",") if isinstance(value, str) else value
            listed = tuple(here.get(each) or registry.choose(each) for each in names if each)
            if choice == "augmentations" and not self.makes_views:
                raise TwincodeError(
                    "augmentations make views, and this model sees none; choose upper_input view "
                    "or a twin_loss"
                )
            return dataclasses.replace(self, **{choice: listed})
        if choice == "twin_loss" and value in (None, NONE):
            return dataclasses.replace(self, twin_loss=None)
        if choice == "quantizer" and not self.tokenizer.takes_quantizer:
            raise TwincodeError(f"the {self.tokenizer.name} tokenizer takes no quantizer")
        if held is not None and held.name == value:
            return self
        config = dataclasses.replace(self, **{choice: registry.choose(value)})
        if config.tokenizer.takes_quantizer == (config.quantizer is not None):
            return config
        usual = QUANTIZERS.choose("vq") if config.tokenizer.takes_quantizer else None
        return dataclasses.replace(config, quantizer=usual)

    def _setting(self, name: str, value: Any) -> "Config":
        """One setting changed in the part that has it."""
        owners = [(held, part) for held, part in self._owned() if name in field_types(type(part))]
        if not owners:
            raise unread(name, [self])
        if len(owners) > 1:
            both = " and ".join(part.name for _, part in owners)
            raise TwincodeError(f"{name} is a setting of both {both}; rename it in one of them")
        held, part = owners[0]
        changed: Any = part.replace(**{name: value})
        if held in _LISTS:
            changed = tuple(changed if each is part else each for each in getattr(self, held))
        return dataclasses.replace(self, **{held: changed})


_FIELDS = tuple(each.name for each in dataclasses.fields(Config) if each.name != "recipe")


def unread(name: str, configs: Iterable[Config]) -> TwincodeError:
    """Why a setting is none of these models': which parts have it, or what was perhaps meant."""
    for choice, registry in _CHOICES.items():
        if owners := registry.having(name):
            here = {
                part.name: None
                for each in configs
                for held, part in each._owned()
                if held == choice
            }
            return TwincodeError(
                f"{name} is a setting of {registry.kind} {' or '.join(owners)}; "
                f"chosen here: {', '.join(here) or NONE}"
            )
    return unknown_name("setting", name, setting_names())


def setting_names() -> list[str]:
    """The name of every setting there is, of all parts and groups."""
    return list(dict.fromkeys([*_CHOICES, *(name for _, names in groups() for name in names)]))


def groups() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part's and group's settings with their defaults, each under what it is called."""
    for group in (TrainingSettings(), EvaluationSettings()):
        title = type(group).__name__.removesuffix("Settings").lower()
        yield title, group.to_dict()
    for registry in _CHOICES.values():
        for name in registry:
            values = registry.choose(name).to_dict()
            yield f"{registry.kind} {name}", {k: v for k, v in values.items() if k != "name"}
