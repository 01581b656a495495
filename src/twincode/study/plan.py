"""A study described, and the runs it consists of."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twincode.config import Config
from twincode.errors import TwincodeError
from twincode.recipes import is_alone, recipe

DEFAULT_RECIPES = ("vqvae", "vqvae-augmented", "bt-vqvae")
DEFAULT_GAMMAS = (0.5, 1.0, 2.0)

# The untrained controls of every table, and the settings that make each what it is.
_CONTROLS: dict[str, frozenset[str]] = {
    "raw-series": frozenset({"epochs", "seed", "readouts", "tokenizer", "quantizer"}),
    "random-encoder": frozenset({"epochs"}),
}

# Settings that a study varies itself, and what says how.
_VARIED = {"gamma": "gammas", "seed": "seeds"}


@dataclass(frozen=True)
class Study:
    """A grid of data sets, models, gammas and seeds.

    ``gammas`` apply to the recipes with a twin loss beside others; a twin loss alone keeps the
    recipe's gamma. ``settings`` are further fields of the configuration, the same for every run.
    The controls belong to every study without being asked for: the raw series, an untrained
    encoder and, beside a twin loss, augmentation alone.
    """

    datasets: tuple[str, ...]
    recipes: tuple[str, ...] = DEFAULT_RECIPES
    gammas: tuple[float, ...] = DEFAULT_GAMMAS
    seeds: int = 3
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("datasets", "recipes"):
            if not getattr(self, name):
                raise TwincodeError(f"a study needs at least one of {name}")
        if self.seeds < 1:
            raise TwincodeError(f"a study needs at least 1 seed, not {self.seeds}")
        for gamma in self.gammas:
            if not 0 <= gamma < math.inf:
                raise TwincodeError(f"gammas must be numbers from 0 up, not {gamma:g}")
        for name, instead in _VARIED.items():
            if name in self.settings:
                raise TwincodeError(f"a study varies {name} itself; use {instead}")

    def configs(self) -> list[Config]:
        """The distinct configurations to run on each data set, controls first, seed by seed."""
        configs = [self._control("raw-series", seed=0)]
        for seed in range(self.seeds):
            configs.append(self._control("random-encoder", seed=seed))
            for name in self.recipes:
                configs += self._models(name, seed)
        distinct: dict[str, Config] = {}
        for config in configs:
            distinct.setdefault(config.digest(), config)
        return list(distinct.values())

    def _control(self, name: str, seed: int) -> Config:
        fixed = _CONTROLS[name]
        settings = {key: value for key, value in self.settings.items() if key not in fixed}
        return recipe(name, **{**settings, "seed": seed})

    def _models(self, name: str, seed: int) -> list[Config]:
        if name in _CONTROLS:
            return []  # there already
        settings = {**self.settings, "seed": seed}
        config = recipe(name, **settings)
        if not config.objective.gamma:
            return [config]
        control = _augmentation_alone(config, settings)
        if is_alone(config):
            return [control, config]
        if not self.gammas:
            raise TwincodeError(f"{name} needs at least one gamma; give some with --gammas")
        return [control, *(_weighed(config, gamma, control) for gamma in self.gammas)]


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
