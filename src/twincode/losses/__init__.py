"""Losses: pure functions, one a file. A new twin loss is a file and a line here."""

from twincode.config import ObjectiveConfig
from twincode.losses.barlow_twins import barlow_twins_loss
from twincode.losses.byol import BYOL, byol_loss
from twincode.losses.contract import Projections, TwinBuilder, TwinObjective, plain, two_layers
from twincode.losses.moco import MoCo, info_nce_loss
from twincode.losses.reconstruction import reconstruction_losses
from twincode.losses.simclr import nt_xent_loss
from twincode.losses.vibcreg import vibcreg_loss, whitened
from twincode.losses.vicreg import vicreg_loss


def _weights(config: ObjectiveConfig) -> tuple[float, float, float]:
    return config.invariance_weight, config.variance_weight, config.covariance_weight


# Each builds its objective from the settings: a class of its own, or a pure function (a, b,
# settings) on the two projections with what makes the projections, if not the usual projector.
TWIN_LOSSES: dict[str, TwinBuilder] = {
    "barlow_twins": plain(lambda a, b, config: barlow_twins_loss(a, b, config.off_diagonal_weight)),
    "vicreg": plain(lambda a, b, config: vicreg_loss(a, b, *_weights(config))),
    "vibcreg": plain(lambda a, b, config: vibcreg_loss(a, b, *_weights(config)), whitened),
    "simclr": plain(
        lambda a, b, config: nt_xent_loss(a, b, config.contrastive_temperature), two_layers
    ),
    "moco": MoCo,
    "byol": BYOL,
}

__all__ = [
    "BYOL",
    "TWIN_LOSSES",
    "MoCo",
    "Projections",
    "TwinBuilder",
    "TwinObjective",
    "barlow_twins_loss",
    "byol_loss",
    "info_nce_loss",
    "nt_xent_loss",
    "plain",
    "reconstruction_losses",
    "vibcreg_loss",
    "vicreg_loss",
]
