"""Frozen configurations: everything that decides a run's numbers, and nothing else.

A configuration holds the settings of the parts it has chosen and two groups that every run has.
A setting is named alone, ``codebook_size``, and found in the chosen part that has it; one that no
chosen part has is an error. The device and the number of threads are not here: they say where a
run is computed, not what.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twincode.augment import AUGMENTATIONS, USUAL_AUGMENTATIONS
from twincode.errors import TwincodeError, unknown_name
from twincode.evaluate import METRICS, READOUTS, USUAL_METRICS
from twincode.losses import TWIN_LOSSES, TwinSettings
from twincode.precision import PRECISIONS
from twincode.quantize import QUANTIZERS
from twincode.settings import Registry, Settings, added, convert, digest, field_types
from twincode.tokenizers import TOKENIZERS, TokenizerSettings

# Raised when the same settings come to give other numbers, so that runs made before and after are
# told apart. 1, which is not written: a short last batch, statistics settled once.
VERSION = 2
FEWEST_HELD_OUT = 16
UPPER_INPUTS = ("clean", "view")
NONE = "none"

# What can be chosen by name: one part, or a list of them.
_CHOICES: dict[str, Registry[Any, Any]] = {
    "tokenizer": TOKENIZERS,
    "quantizer": QUANTIZERS,
    "twin_loss": TWIN_LOSSES,
    "augmentations": AUGMENTATIONS,
    "metrics": METRICS,
}
_LISTS = ("augmentations", "metrics")


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """Optimiser, budget, seed, and what the reconstructing branch sees.

    The budget is ``epochs``, or ``steps`` where that is not 0. The learning rate falls to 0 over
    the last ``decay_share`` of the steps. ``upper_input`` is ``clean`` for the series themselves or
    ``view`` for an augmented view. The state that is kept is the one with the smallest error on the
    ``held_out`` share of the train series, which nothing is learnt from, or the last one where that
    is 0.
    """

    epochs: int = 200
    steps: int = 0
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    upper_input: str = "clean"
    precision: str = "float32"
    seed: int = 0
    decay_share: float = added(0.2, before=1.0)
    held_out: float = added(0.0, before=0.0)

    def __post_init__(self) -> None:
        self.check_at_least(0, "epochs", "steps", "weight_decay", "seed")
        self.check_fraction("decay_share")
        self.check_below(1, "held_out")
        self.check_at_least(1, "batch_size")
        self.check_choice("upper_input", UPPER_INPUTS)
        self.check_choice("precision", PRECISIONS)
        self.check_above(0, "learning_rate")

    def epochs_for(self, n_train: int) -> int:
        """The number of epochs on ``n_train`` series: that nearest to ``steps``, at least one."""
        if not self.steps:
            return self.epochs
        learnt = n_train - self.held_out_of(n_train)
        return max(1, round(self.steps / math.ceil(learnt / self.batch_size)))

    def held_out_of(self, n_train: int) -> int:
        """How many of ``n_train`` series are held out: none where chance would decide by them."""
        held = round(self.held_out * n_train)
        if held >= n_train > 0:
            raise TwincodeError(
                f"held_out {self.held_out} leaves none of {n_train} train series to learn from"
            )
        return held if held >= FEWEST_HELD_OUT else 0


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """How often a model is evaluated, evenly spaced and always at the end, and by which readouts.

    With 0 ``evaluations`` it never is.
    """

    evaluations: int = 5
    readouts: tuple[str, ...] = ("flatten", "mean", "histogram", "pyramid")

    def __post_init__(self) -> None:
        self.check_at_least(0, "evaluations")
        if not self.readouts:
            raise TwincodeError(f"name at least one readout: {', '.join(READOUTS)}")
        for name in self.readouts:
            if name not in READOUTS:
                raise unknown_name("readout", name, READOUTS)
        _check_once("readouts", self.readouts)


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
        return tuple(part for name in _FIELDS for part in self._held(name))

    def replace(self, **changes: Any) -> "Config":
        """A copy with some settings changed: ``replace(twin_loss="moco", gamma=2, epochs=50)``.

        A part that is chosen anew comes with its own defaults; in a list, those that stay keep
        their settings. Between tokenizers that take steps and those that do not the training's
        settings, but for the seed, are their defaults again. Values may be text, as from a command
        line; ``none`` stands for no twin loss, and so does a gamma of 0, whatever else is said of
        the loss. Raises TwincodeError for a setting that no chosen part has and for a wrong value.
        """
        if "epochs" in changes:
            if changes.get("steps", 0) not in (0, "0"):
                raise TwincodeError("a run takes epochs or steps, not both")
            changes["steps"] = 0
        config = self
        # What decides which parts there are comes before what is set in them.
        for name in ("tokenizer", "quantizer", "twin_loss"):
            if name in changes:
                config = config._choosing(name, changes.pop(name))
        if "upper_input" in changes:
            config = config._setting({"upper_input": changes.pop("upper_input")})
        if config.makes_views != self.makes_views:
            usual = USUAL_AUGMENTATIONS if config.makes_views else ()
            config = config._listing("augmentations", usual)
        for name in _LISTS:
            if name in changes:
                config = config._listing(name, changes.pop(name))
        config = config._setting(changes)
        if config.twin_loss is not None and not config.gamma:
            config = dataclasses.replace(config, twin_loss=None)
        return config if config.makes_views else dataclasses.replace(config, augmentations=())

    def has(self, name: str) -> bool:
        """Whether this can be set: a setting of a chosen part, or what part is chosen."""
        if name == "quantizer":
            return self.tokenizer.takes_quantizer
        if name == "augmentations":
            return self.makes_views
        return name in _CHOICES or any(self._takes(part, name) for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain nested dictionaries, ready for JSON."""
        return {"recipe": self.recipe, **self._described(Settings.to_dict)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of ``to_dict``; raises TwincodeError for what this version does not know."""
        try:
            for name in values:
                if name not in ("recipe", *_FIELDS):
                    raise unknown_name("group of settings", name, _FIELDS)
            quantizer, twin_loss = values["quantizer"], values["twin_loss"]
            training = {k: v for k, v in values["training"].items() if k != "version"}
            return cls(
                str(values["recipe"]),
                TOKENIZERS.read(values["tokenizer"]),
                None if quantizer is None else QUANTIZERS.read(quantizer),
                None if twin_loss is None else TWIN_LOSSES.read(twin_loss),
                tuple(map(AUGMENTATIONS.read, values["augmentations"])),
                TrainingSettings.from_dict(training),
                EvaluationSettings.from_dict(values["evaluation"]),
                tuple(map(METRICS.read, values["metrics"])),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise TwincodeError(f"the configuration is damaged: {error!r}") from error

    def __reduce__(self) -> tuple[Callable[..., "Config"], tuple[dict[str, Any]]]:
        """Another process finds the parts by their names, in its own registries."""
        return Config.from_dict, (self.to_dict(),)

    def identity(self) -> dict[str, Any]:
        """All that decides the numbers: the parts and their settings, and the version."""
        return self._described(Settings.identity)

    def digest(self) -> str:
        """A hash of ``identity``: equal settings of equal parts, equal digest."""
        return digest(self.identity())

    def _held(self, name: str) -> tuple[Settings, ...]:
        """The parts in one field."""
        value = getattr(self, name)
        if isinstance(value, tuple):
            return value
        return () if value is None else (value,)

    def _described(self, describe: Callable[[Settings], dict[str, Any]]) -> dict[str, Any]:
        described: dict[str, Any] = {}
        for name in _FIELDS:
            found = [describe(part) for part in self._held(name)]
            described[name] = found if name in _LISTS else found[0] if found else None
        described["training"]["version"] = VERSION
        return described

    def _choosing(self, choice: str, name: Any) -> "Config":
        """Another tokenizer, quantiser or twin loss, by name."""
        held = getattr(self, choice)
        new: dict[str, Any] = {choice: held}
        if name in (None, NONE) and choice != "tokenizer":
            new[choice] = None
        elif held is None or held.name != name:
            new[choice] = _CHOICES[choice].choose(str(name))
        if choice == "tokenizer" and new[choice].takes_steps != self.tokenizer.takes_steps:
            usual = TrainingSettings(seed=self.training.seed)
            new["training"] = usual if new[choice].takes_steps else usual.replace(epochs=0)
        config = dataclasses.replace(self, **new)
        takes = config.tokenizer.takes_quantizer
        if takes == (config.quantizer is not None):
            return config
        if choice == "quantizer":
            raise TwincodeError(
                f"the {config.tokenizer.name} tokenizer "
                + ("needs a quantizer; identity changes nothing" if takes else "takes no quantizer")
            )
        return dataclasses.replace(config, quantizer=QUANTIZERS.choose("vq") if takes else None)

    def _listing(self, choice: str, names: Any) -> "Config":
        """Other augmentations or metrics, by name."""
        here = {part.name: part for part in self._held(choice)}
        names = convert(choice, names, tuple[str, ...])
        _check_once(choice, names)
        if choice == "augmentations" and names and not self.makes_views:
            raise TwincodeError(
                "augmentations make views, and this model sees none; "
                "choose upper_input=view or a twin_loss"
            )
        chosen = tuple(here.get(name) or _CHOICES[choice].choose(name) for name in names)
        changes: dict[str, Any] = {choice: chosen}
        return dataclasses.replace(self, **changes)

    def _setting(self, values: Mapping[str, Any]) -> "Config":
        """Settings changed in the parts that have them, all those of a part at once."""
        changes: dict[Settings, dict[str, Any]] = {}
        for name, value in values.items():
            changes.setdefault(self._owner(name), {})[name] = value
        changed = {part: part.replace(**own) for part, own in changes.items()}
        fields: dict[str, Any] = {}
        for name in _FIELDS:
            new = tuple(changed.get(part, part) for part in self._held(name))
            fields[name] = new if name in _LISTS else new[0] if new else None
        return dataclasses.replace(self, **fields)

    def _owner(self, name: str) -> Settings:
        """The one part that has a setting of this name."""
        owners = [part for part in dict.fromkeys(self.parts) if self._takes(part, name)]
        if not owners:
            raise unread(name, [self])
        if len(owners) > 1:
            both = " and ".join(map(_title, owners))
            raise TwincodeError(f"{name} is a setting of both {both}; rename it in one of them")
        return owners[0]

    def _takes(self, part: Settings, name: str) -> bool:
        """Whether a part has a setting of this name, and something reads it."""
        unread = part is self.training and not self.tokenizer.takes_steps and name != "seed"
        return name in field_types(type(part)) and not unread


_FIELDS = tuple(each.name for each in dataclasses.fields(Config) if each.name != "recipe")


def unread(name: str, configs: Sequence[Config]) -> TwincodeError:
    """Why a setting is none of these models': which parts have it, or what was perhaps meant."""
    for choice, registry in _CHOICES.items():
        if owners := registry.having(name):
            kind = registry.kind if len(owners) == 1 else registry.plural
            here = dict.fromkeys(part.name for config in configs for part in config._held(choice))
            who = "this model has" if len(configs) == 1 else "these models have"
            return TwincodeError(
                f"{name} is a setting of the {kind} {', '.join(owners)}; "
                f"{who} {', '.join(here) or NONE}"
            )
    if name in setting_names():
        nobody = "this model has no" if len(configs) == 1 else "none of these models has"
        trained = any(config.tokenizer.takes_steps for config in configs)
        instead = "" if trained else ", or choose a network that is trained, recipe vqvae say"
        return TwincodeError(f"{nobody} {name}; leave it out{instead}")
    return unknown_name("setting", name, setting_names())


def setting_names() -> list[str]:
    """The name of every setting there is, of all parts and groups."""
    return list(dict.fromkeys([*_CHOICES, *(name for _, names in groups() for name in names)]))


def groups() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part's and group's settings with their defaults, each under what it is called."""
    for group in (TrainingSettings(), EvaluationSettings()):
        yield _title(group), group.to_dict()
    for registry in _CHOICES.values():
        for name in registry:
            values = registry.choose(name).to_dict()
            yield f"{registry.kind} {name}", {k: v for k, v in values.items() if k != "name"}


def _check_once(what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise TwincodeError(f"{what} name {name} twice; once is enough")


def _title(part: Settings) -> str:
    """What a part or a group of settings is called."""
    return part.name or type(part).__name__.removesuffix("Settings").lower()
