"""Priors over codes by name. A new one is a file with its settings and a Prior, and a line here."""

from typing import Any

from twincode.errors import TwincodeError
from twincode.priors.autoregressive import AutoregressivePrior, AutoregressiveSettings
from twincode.priors.decoding import IterativeSampling
from twincode.priors.fitted import NO_LABEL, TRAIN_LABELS, FittedPrior, label_indices, load_prior
from twincode.priors.grids import Grids, Places
from twincode.priors.independent import IndependentPrior, IndependentSettings
from twincode.priors.masked import MaskedPrior, MaskedSettings
from twincode.priors.prior import (
    PRIORS,
    Bits,
    NetworkSettings,
    Prior,
    PriorSettings,
    Sampling,
)
from twincode.priors.tree import TreePrior, TreeSettings
from twincode.settings import field_types

PRIORS.register("masked", MaskedPrior, MaskedSettings)
PRIORS.register("autoregressive", AutoregressivePrior, AutoregressiveSettings)
PRIORS.register("tree", TreePrior, TreeSettings)
PRIORS.register("independent", IndependentPrior, IndependentSettings)


def prior(kind: str = "masked", **settings: Any) -> PriorSettings:
    """The settings of a prior of that kind, some of them changed: ``prior("masked", steps=500)``.

    Raises TwincodeError for an unknown kind, a setting that it has not, and a wrong value.
    """
    chosen = PRIORS.choose(kind)
    for name in settings:
        owners = PRIORS.having(name)
        if owners and name not in field_types(type(chosen)):
            raise TwincodeError(
                f"{name} is a setting of the prior {' and '.join(owners)}; this is {kind}"
            )
    return chosen.replace(**settings)


__all__ = [
    "NO_LABEL",
    "PRIORS",
    "TRAIN_LABELS",
    "AutoregressivePrior",
    "Bits",
    "FittedPrior",
    "Grids",
    "IndependentPrior",
    "IterativeSampling",
    "MaskedPrior",
    "NetworkSettings",
    "Places",
    "Prior",
    "PriorSettings",
    "Sampling",
    "TreePrior",
    "label_indices",
    "load_prior",
    "prior",
]
