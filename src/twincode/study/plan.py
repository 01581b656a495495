"""A study described, and the configurations it consists of."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from twincode.config import NONE, Config, TrainingSettings, unread
from twincode.errors import TwincodeError, check_count, unknown_name
from twincode.recipes import is_alone, is_closed_form, is_continuous, recipe
from twincode.settings import field_types
from twincode.study.second_stage import Priors, SecondStage

# The controls of every table, and the settings that make each what it is. Of those of training an
# untrained encoder knows only the batch that its codes are placed in.
_FITTED = {"readouts", "tokenizer"}
_UNTRAINED = {*field_types(TrainingSettings), "continuous_share"} - {"batch_size"}
_CONTROLS = {
    "raw-series": _FITTED,
    "pca-pq": _FITTED,
    "patch-rvq": _FITTED,
    "random-encoder": _UNTRAINED,
    "random-encoder-continuous": _UNTRAINED | {"quantizer"},
}

# What stands beside a twin loss without being asked for.
_BESIDE = ("vqvae", "vqvae-augmented")

# What decides which parts there are, in this order, comes before what is set in them.
_DECIDING = (
    "tokenizer", "quantizer", "twin_loss", "gamma", "upper_input", "augmentations", "metrics",
)  # fmt: skip
BUDGET = {"epochs", "steps"}  # of these a run takes one


@dataclass(frozen=True)
class Study:
    """A grid of data sets, models, seeds and whatever else varies.

    ``settings`` hold for every recipe that has them, ``overrides`` for single recipes, by the
    recipe's name. ``axes`` map a setting to values: each multiplies every model that has the
    setting, unless the recipe's own settings fix it. Parts are chosen first, so with
    ``quantizer`` over vq and fsq, ``codebook_size`` varies only where there is a codebook; gamma 0
    is the model without its twin loss. The controls belong to every study without being asked for,
    along the axes that they have: the raw series, the closed forms ``pca-pq`` and ``patch-rvq``, an
    untrained encoder (also without a codebook, where a model has none) and, beside a twin loss,
    augmentation alone. ``priors`` give every other model with codes a second stage.
    """

    datasets: tuple[str, ...]
    recipes: tuple[str, ...] = ("mixture", "vqvae", "vqvae-augmented", "bt-vqvae")
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: int = 3
    settings: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    priors: Priors | None = None

    def __post_init__(self) -> None:
        for name in ("datasets", "recipes"):
            if isinstance(getattr(self, name), str):
                raise TwincodeError(f"{name} must be a list of names, not {getattr(self, name)!r}")
            if not getattr(self, name):
                raise TwincodeError(f"a study needs at least one of {name}")
        check_count("seeds", self.seeds)
        if any("seed" in each for each in (self.settings, self.axes, *self.overrides.values())):
            raise TwincodeError("a study varies seed itself; use seeds")
        if {*self.settings, *self.axes} >= BUDGET:
            raise TwincodeError("a study takes epochs or steps, not both")
        for name, values in self.axes.items():
            if not isinstance(values, list | tuple) or not values:
                raise TwincodeError(f"axis {name} needs a list of values, not {values!r}")
            if name in self.settings:
                raise TwincodeError(f"{name} is an axis; leave it out of the settings")
        trained = [name for name in self.recipes if name not in _CONTROLS]
        for name in self.overrides:
            if name in _CONTROLS:
                raise TwincodeError(f"{name} is a control, which takes no settings of its own")
            if name not in trained:
                raise unknown_name("recipe with settings of its own", name, trained)
        known = {*self.recipes, *_BESIDE}
        for name in self.priors.recipes if self.priors else ():
            if name not in known:
                raise unknown_name("recipe with priors of its own", name, known)

    def configs(self) -> list[Config]:
        """The distinct configurations to run on every data set, controls first, seed by seed.

        Raises TwincodeError for settings and recipes that do not exist, and for settings and axes
        that no recipe asked for has, or not the one they were given for.
        """
        configs, read = self._plan(self.seeds)
        for name in self.unread():
            raise _unread(name, [config for config in configs if config.recipe in self.recipes])
        for recipe_name, settings in self.overrides.items():
            for name in settings:
                if name not in read[recipe_name]:
                    own = [config for config in configs if config.recipe == recipe_name]
                    raise TwincodeError(f"recipe {recipe_name}: {_unread(name, own)}")
        distinct: dict[str, Config] = {}
        for config in configs:
            distinct.setdefault(config.digest(), config)
        return list(distinct.values())

    def second_stage(self, config: Config) -> SecondStage | None:
        """That of a model; none without ``priors``, without codes, and for controls that nobody
        asked for."""
        continuous = is_continuous(config) or is_alone(config)
        unasked = config.recipe in _CONTROLS and config.recipe not in self.recipes
        if self.priors is None or continuous or unasked:
            return None
        return self.priors.of(config.recipe, config.training.seed)

    def unread(self) -> list[str]:
        """Settings and axes that no recipe asked for has; controls do not count unless they are."""
        _, read = self._plan(seeds=1)
        known = set().union(*(read[name] for name in self.recipes))
        return [name for name in (*self.settings, *self.axes) if name not in known]

    def _plan(self, seeds: int) -> tuple[list[Config], dict[str, set[str]]]:
        """All configurations, equal ones still several times, and what each recipe has read."""
        read: dict[str, set[str]] = {name: set() for name in (*_CONTROLS, *self.recipes)}
        trained = [name for name in self.recipes if name not in _CONTROLS]
        configs = self._control("raw-series", 0, read)
        for seed in range(seeds):
            models = [each for name in trained for each in self._models(name, seed, read[name])]
            for name in ("pca-pq", "patch-rvq", "random-encoder"):
                configs += self._control(name, seed, read)
            continuous = "random-encoder-continuous"
            if continuous in self.recipes or any(map(is_continuous, models)):
                configs += self._control(continuous, seed, read)
            configs += models
        return configs, read

    @property
    def _values(self) -> dict[str, Sequence[Any]]:
        """The values that every setting of the study takes; of most it is one."""
        return {**{name: (value,) for name, value in self.settings.items()}, **self.axes}

    def _control(self, name: str, seed: int, read: dict[str, set[str]]) -> list[Config]:
        values = {each: v for each, v in self._values.items() if each not in _CONTROLS[name]}
        base = recipe(name, seed=seed)
        takes_steps = base.tokenizer.takes_steps
        # A tokenizer that is fitted at once is no untrained encoder.
        found = _along(base, values, read[name])
        return [each for each in found if each.tokenizer.takes_steps == takes_steps]

    def _models(self, name: str, seed: int, read: set[str]) -> Iterator[Config]:
        """A recipe along the axes; with a twin loss, augmentation alone goes before each."""
        own = {each: (value,) for each, value in self.overrides.get(name, {}).items()}
        base, shared = recipe(name, seed=seed), self._values
        if is_closed_form(base):
            shared = {each: v for each, v in shared.items() if each not in _FITTED}
        if BUDGET & own.keys():
            shared = {each: v for each, v in shared.items() if each not in BUDGET}
        values = {**shared, **own}
        models = _along(base, values, read)
        if base.twin_loss is None:
            yield from models
        elif is_alone(base):
            # Without its twin loss nothing is left of it: the VQ-VAE of its size takes the place.
            yield from _along(recipe("vqvae-augmented", seed=seed), values, read)
            yield from (config for config in models if config.twin_loss is not None)
        else:
            for config in models:
                # Clean inputs without a twin loss have no augmentations to stand beside.
                if config.twin_loss is not None or config.makes_views:
                    silent = config.replace(upper_input="view").replace(twin_loss=NONE)
                    yield dataclasses.replace(silent, recipe="vqvae-augmented")
                if config.twin_loss is not None:
                    yield config
                elif not config.makes_views:
                    yield dataclasses.replace(config, recipe="vqvae")


def _along(base: Config, values: Mapping[str, Sequence[Any]], read: set[str]) -> list[Config]:
    """A configuration at all values of the settings that it has; ``read`` is told which."""
    configs = [base]
    rest = {name: found for name, found in values.items() if name not in _DECIDING}
    steps = [{name: values[name]} for name in _DECIDING if name in values]
    for step in [*steps, rest]:
        configs = [each for config in configs for each in _at(config, step, read)]
    return configs


def _at(config: Config, values: Mapping[str, Sequence[Any]], read: set[str]) -> Iterator[Config]:
    names = [name for name in values if _has(config, name)]
    read.update(names)
    for combination in product(*(values[name] for name in names)):
        yield config.replace(**dict(zip(names, combination, strict=True)))


def _has(config: Config, name: str) -> bool:
    """A twin loss alone keeps its encoder, and a model without a twin loss is not given one."""
    if name in ("tokenizer", "quantizer") and is_alone(config):
        return False
    return config.has(name) and (name != "twin_loss" or config.twin_loss is not None)


def _unread(name: str, configs: Sequence[Config]) -> TwincodeError:
    if name in _DECIDING and name != "gamma":
        return TwincodeError(f"none of these models has a choice of {name}; leave it out")
    return unread(name, configs)
