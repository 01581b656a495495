"""Losses: pure functions, one a file. A new twin loss is a file and a line here."""

from twincode.losses.barlow_twins import BarlowTwinsSettings, barlow_twins_loss
from twincode.losses.byol import BYOL, BYOLSettings, byol_loss
from twincode.losses.moco import MoCo, MoCoSettings, info_nce_loss
from twincode.losses.reconstruction import reconstruction_losses
from twincode.losses.simclr import SimCLRSettings, nt_xent_loss
from twincode.losses.twin import (
    PairwiseObjective,
    Projections,
    TeacherSettings,
    TwinObjective,
    TwinSettings,
    pairwise,
    two_layers,
)
from twincode.losses.vibcreg import VIbCRegSettings, vibcreg_loss, whitened
from twincode.losses.vicreg import VICRegSettings, vicreg_loss
from twincode.settings import Registry

# Each is built from its settings: a class of its own, or ``pairwise`` of a pure function of the two
# projections and the settings, with what makes the projections if not the usual projector.
TWIN_LOSSES: Registry[TwinObjective, TwinSettings] = Registry("twin loss", TwinSettings)
TWIN_LOSSES.register(
    "barlow_twins",
    pairwise(lambda a, b, settings: barlow_twins_loss(a, b, settings.off_diagonal_weight)),
    BarlowTwinsSettings,
)
TWIN_LOSSES.register(
    "vicreg", pairwise(lambda a, b, settings: vicreg_loss(a, b, *settings.weights)), VICRegSettings
)
TWIN_LOSSES.register(
    "vibcreg",
    pairwise(lambda a, b, settings: vibcreg_loss(a, b, *settings.weights), whitened),
    VIbCRegSettings,
)
TWIN_LOSSES.register(
    "simclr",
    pairwise(
        lambda a, b, settings: nt_xent_loss(a, b, settings.contrastive_temperature), two_layers
    ),
    SimCLRSettings,
)
TWIN_LOSSES.register("moco", MoCo, MoCoSettings)
TWIN_LOSSES.register("byol", BYOL, BYOLSettings)

__all__ = [
    "BYOL",
    "TWIN_LOSSES",
    "BYOLSettings",
    "BarlowTwinsSettings",
    "MoCo",
    "MoCoSettings",
    "PairwiseObjective",
    "Projections",
    "SimCLRSettings",
    "TeacherSettings",
    "TwinObjective",
    "TwinSettings",
    "VICRegSettings",
    "VIbCRegSettings",
    "barlow_twins_loss",
    "byol_loss",
    "info_nce_loss",
    "nt_xent_loss",
    "pairwise",
    "reconstruction_losses",
    "two_layers",
    "vibcreg_loss",
    "vicreg_loss",
]
