"""Losses: pure functions, one a file. A new twin loss is a file and a line here."""

from twincode.losses.barlow_twins import barlow_twins_loss
from twincode.losses.contract import Projections, TwinBuilder, TwinObjective, plain
from twincode.losses.reconstruction import reconstruction_losses

TWIN_LOSSES: dict[str, TwinBuilder] = {
    "barlow_twins": plain(lambda a, b, config: barlow_twins_loss(a, b, config.off_diagonal_weight)),
}

__all__ = [
    "TWIN_LOSSES",
    "Projections",
    "TwinBuilder",
    "TwinObjective",
    "barlow_twins_loss",
    "plain",
    "reconstruction_losses",
]
