"""Priors over codes by name. A new one is a file with its settings and a Prior, and a line here."""

from collections.abc import Callable
from typing import Any

from twincode.errors import TwincodeError, unknown_name
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


# A prior as it was published: a kind, and the settings in which it differs.
PUBLISHED: dict[str, Callable[[], PriorSettings]] = {
    # Lee, Malacarne and Aune, 2023, but for the network's size and the optimiser.
    "timevqvae": lambda: MaskedSettings(
        mask_schedule="kept_cosine",
        share_per="batch",
        loss_on="all",
        prior_per_grid=True,
        code_noise=1,
        embedding_init="codebook",
    ),
}


def prior(kind: str = "masked", **settings: Any) -> PriorSettings:
    """The settings of a prior, some of them changed: ``prior("masked", steps=500)``.

    ``kind`` may also be ``timevqvae``: the masked prior as it was published.

    Raises TwincodeError for an unknown kind, a setting that it does not have, and a wrong value.
    """
    if kind not in (*PRIORS, *PUBLISHED):
        raise unknown_name(PRIORS.kind, kind, (*PRIORS, *PUBLISHED))
    chosen = PUBLISHED[kind]() if kind in PUBLISHED else PRIORS.choose(kind)
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
    "PUBLISHED",
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
