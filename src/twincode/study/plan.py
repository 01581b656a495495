"""A study described, and the runs it consists of."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twincode.config import Config, read_where, unread
from twincode.errors import TwincodeError, unknown_name
from twincode.recipes import is_alone, is_continuous, label, recipe

# The untrained controls of every table, and the settings that make each what it is.
_CONTROLS: dict[str, frozenset[str]] = {
    "raw-series": frozenset({"epochs", "seed", "readouts", "tokenizer", "quantizer"}),
    "random-encoder": frozenset({"epochs"}),
    "random-encoder-continuous": frozenset({"epochs", "quantizer"}),
}

# Settings that a study varies itself, and what says how.
_VARIED = {"gamma": "gammas", "seed": "seeds"}


@dataclass(frozen=True)
class Study:
    """A grid of data sets, models, gammas and seeds.

    ``gammas`` apply to the recipes with a twin loss beside others; a twin loss alone keeps the
    recipe's gamma. ``settings`` are further fields of the configuration, the same for every run,
    and ``overrides`` are further fields for single recipes, by the recipe's name. The budget is
    the setting ``epochs`` or else ``steps``: on each data set the whole number of epochs, at least
    one, that comes nearest to that many optimiser steps. The controls belong to every study
    without being asked for: the raw series, an untrained encoder (also without a codebook, where a
    model has none) and, beside a twin loss, augmentation alone.
    """

    datasets: tuple[str, ...]
    recipes: tuple[str, ...] = ("vqvae", "vqvae-augmented", "bt-vqvae")
    gammas: tuple[float, ...] = (0.5, 1.0, 2.0)
    seeds: int = 3
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("datasets", "recipes"):
            if not getattr(self, name):
                raise TwincodeError(f"a study needs at least one of {name}")
        if self.seeds < 1:
            raise TwincodeError(f"a study needs at least 1 seed, not {self.seeds}")
        for gamma in self.gammas:
            if not 0 <= gamma < math.inf:
                raise TwincodeError(f"gammas must be numbers from 0 up, not {gamma:g}")
        if self.steps is not None and self.steps < 1:
            raise TwincodeError(f"steps must be at least 1, not {self.steps}")
        trained = [name for name in self.recipes if name not in _CONTROLS]
        for name in self.overrides:
            if name not in trained:
                raise unknown_name("recipe with settings of its own", name, trained)
        for settings in (self.settings, *self.overrides.values()):
            self._check_settings(settings)

    def configs(self, n_train: int) -> list[Config]:
        """The distinct configurations to run on a data set with ``n_train`` train series.

        Controls come first, seed by seed. Raises TwincodeError for settings and recipes that do
        not exist, and for different models that tables could not tell apart.
        """
        distinct: dict[str, Config] = {}
        for config in self._all_configs(n_train):
            distinct.setdefault(config.digest(), config)
        _check_labels(distinct.values())
        return list(distinct.values())

    def check_read(self, names: Iterable[str]) -> None:
        """Raise TwincodeError where no model reads a setting, or a recipe not one of its own.

        ``names`` are the settings in question. Untrained controls do not count, unless there is
        nothing else.
        """
        configs = self._all_configs(n_train=1)
        trained = [config for config in configs if config.recipe not in _CONTROLS] or configs
        if idle := _idle_in_all(trained, names):
            raise unread("this study", {name: read_where(name) for name in idle})
        for recipe_name, settings in self.overrides.items():
            own = [config for config in trained if config.recipe == recipe_name]
            if idle := _idle_in_all(own, settings):
                raise unread(f"recipe {recipe_name}", idle)

    def _all_configs(self, n_train: int) -> list[Config]:
        """Those that are equal still several times."""
        configs = [self._control("raw-series", seed=0)]
        for seed in range(self.seeds):
            models = [each for name in self.recipes for each in self._models(name, seed, n_train)]
            configs.append(self._control("random-encoder", seed=seed))
            if any(map(is_continuous, models)):
                configs.append(self._control("random-encoder-continuous", seed=seed))
            configs += models
        return configs

    def _check_settings(self, settings: Mapping[str, Any]) -> None:
        for name, instead in _VARIED.items():
            if name in settings:
                raise TwincodeError(f"a study varies {name} itself; use {instead}")
        if self.steps is not None and "epochs" in settings:
            raise TwincodeError("a study takes epochs or steps, not both")

    def _control(self, name: str, seed: int) -> Config:
        fixed = _CONTROLS[name]
        settings = {key: value for key, value in self.settings.items() if key not in fixed}
        return recipe(name, **{**settings, "seed": seed})

    def _models(self, name: str, seed: int, n_train: int) -> list[Config]:
        if name in _CONTROLS:
            return []  # there already
        shared = {**self.settings, "seed": seed}
        config = recipe(name, **{**shared, **self.overrides.get(name, {})})
        if self.steps is not None:
            size = config.training.batch_size
            config = config.replace(epochs=epochs_for(self.steps, n_train, size))
        if not config.objective.gamma:
            return [config]
        control = _augmentation_alone(config, shared)
        if is_alone(config):
            return [control, config]
        if not self.gammas:
            raise TwincodeError(f"{name} needs at least one gamma; give some with --gammas")
        return [control, *(_weighed(config, gamma, control) for gamma in self.gammas)]


def _idle_in_all(configs: Iterable[Config], names: Iterable[str]) -> dict[str, str]:
    """Those of the settings ``names`` that none of the models reads, and why the last does not."""
    idle = dict.fromkeys(names, "")
    for config in configs:
        idle = config.idle(idle)
    return idle


def epochs_for(steps: int, n_train: int, batch_size: int) -> int:
    """The whole number of epochs, at least one, nearest to ``steps`` optimiser steps."""
    if batch_size < 1:
        raise TwincodeError(f"batch_size must be at least 1, not {batch_size}")
    return max(1, round(steps / math.ceil(n_train / batch_size)))


def _weighed(config: Config, gamma: float, control: Config) -> Config:
    """A twin model at one gamma; at 0 the settings of its twin loss tell it from nothing."""
    if gamma:
        return config.replace(gamma=gamma)
    silent = dataclasses.replace(config, objective=control.objective)
    return silent.replace(upper_input=config.objective.upper_input)


def _augmentation_alone(config: Config, settings: Mapping[str, Any]) -> Config:
    """What a twin model is without its twin loss; for an encoder alone, the VQ-VAE of its size."""
    budget = "thesis-" if config.recipe.startswith("thesis-") else ""
    usual = recipe(f"{budget}vqvae-augmented", **settings)
    control = dataclasses.replace(config, recipe=usual.recipe, objective=usual.objective)
    if is_alone(config):
        control = dataclasses.replace(control, tokenizer=usual.tokenizer, quantizer=usual.quantizer)
    return control.replace(gamma=0.0, upper_input="view")


def _check_labels(configs: Iterable[Config]) -> None:
    """Raise TwincodeError where two models would stand under one name in every table."""
    first: dict[tuple[str, int], Config] = {}
    for config in configs:
        other = first.setdefault((label(config), config.training.seed), config)
        if other is not config:
            raise TwincodeError(
                f"{other.recipe} and {config.recipe} would both be called {label(config)!r} but "
                f"differ in {', '.join(_differences(other, config))}; put them in separate studies"
            )


def _differences(one: Config, other: Config) -> list[str]:
    mine, yours = one.to_dict(), other.to_dict()
    return [
        name
        for group, fields in mine.items()
        if isinstance(fields, dict)
        for name, value in fields.items()
        if yours[group][name] != value
    ]
