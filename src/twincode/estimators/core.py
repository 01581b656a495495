"""What both transformers share: parameters, training, codes, and the state that is pickled."""

from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from twincode.augment import AUGMENTATIONS
from twincode.config import Config, TrainingSettings
from twincode.data import Dataset, Policy
from twincode.data.policy import STRICT
from twincode.errors import unknown_name
from twincode.evaluate import READOUTS
from twincode.losses import TWIN_LOSSES
from twincode.model import Model
from twincode.quantize import QUANTIZERS
from twincode.recipes import DEFAULT, recipe
from twincode.settings import Registry, field_types
from twincode.tokenizers import TOKENIZERS
from twincode.tokenizers.contrastive import ContrastiveSettings
from twincode.train import fit

_OWN = {"recipe": DEFAULT, "readout": "flatten", "random_state": None, "device": "cpu"}
_PARTS: tuple[Registry[Any, Any], ...] = (TOKENIZERS, QUANTIZERS, TWIN_LOSSES, AUGMENTATIONS)
_CHOICES = ("tokenizer", "quantizer", "twin_loss", "augmentations")
_MODEL = "model_"
LARGEST_SEED = 2**31 - 1

Series = ArrayLike | Sequence[ArrayLike]


def model_settings() -> tuple[str, ...]:
    """Every setting that makes a model, but the seed: ``bits`` first, then parts, then training."""
    parts = (type(registry.choose(name)) for registry in _PARTS for name in registry)
    names = [name for part in parts for name in field_types(part)]
    training = [name for name in field_types(TrainingSettings) if name != "seed"]
    return tuple(dict.fromkeys([*names, *_CHOICES, *training]))


SETTINGS = model_settings()


class Estimator:
    """A recipe with its settings, and once fitted a ``model_``.

    Every setting is a parameter of its own; None, its default, leaves it as the recipe has it. A
    part that is registered after this module was imported has no parameters here.
    """

    model_: Model
    readout_: str
    recipe: str
    readout: str
    random_state: Any
    device: str

    def __init__(self, *values: Any, **named: Any) -> None:
        bound = SIGNATURE.bind(self, *values, **named)
        bound.apply_defaults()
        for name, value in list(bound.arguments.items())[1:]:
            setattr(self, name, value)
        super().__init__()

    def decode(self, codes: ArrayLike) -> NDArray[np.float32]:
        """Series (n, C, L), in the units of train, that codes (n, H, W) stand for."""
        return self._fitted().decode(codes)

    def _config(self) -> Config:
        if not isinstance(self.readout, str) or self.readout not in READOUTS:
            raise unknown_name("readout", self.readout, READOUTS)
        given = {name: getattr(self, name) for name in SETTINGS}
        changes = {name: value for name, value in given.items() if value is not None}
        return recipe(self.recipe, evaluations=0, **changes)

    def _train(self, data: Series, y: ArrayLike | None, policy: Policy = STRICT) -> None:
        """Fit the model to series (n, L) or (n, C, L), all of them; nothing is evaluated.

        Labels are looked at by a recipe that has to know which series are background, no other.
        """
        seed = int(check_random_state(self.random_state).randint(LARGEST_SEED))
        config = self._config().replace(seed=seed)
        labels = y if isinstance(config.tokenizer, ContrastiveSettings) else None
        dataset = Dataset.from_arrays(data, labels, policy=policy)
        self.model_ = fit(config, dataset, device=self.device)
        self.readout_ = self.readout

    def _fitted(self) -> Model:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        """All but the model as it is, the model as JSON and safetensors: no object of torch."""
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        if _MODEL in state:
            state[_MODEL] = state[_MODEL].pack()
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Build the model again, on the CPU."""
        held = dict(state)
        if _MODEL in held:
            held[_MODEL] = Model.unpack(*held[_MODEL])
        super().__setstate__(held)  # type: ignore[misc]


def _signature() -> Signature:
    own = [Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)]
    defaults = {**_OWN, **dict.fromkeys(SETTINGS)}
    for name, default in defaults.items():
        own.append(Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default))
    return Signature(own)


SIGNATURE = _signature()
Estimator.__init__.__signature__ = SIGNATURE  # type: ignore[attr-defined]
