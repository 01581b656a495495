"""Losses: pure functions, one a file. A new twin loss is a file and a line here."""

from collections.abc import Callable

from torch import Tensor

from twincode.config import ObjectiveConfig
from twincode.losses.barlow_twins import barlow_twins_loss
from twincode.losses.reconstruction import reconstruction_losses

TwinLoss = Callable[[Tensor, Tensor, ObjectiveConfig], Tensor]

TWIN_LOSSES: dict[str, TwinLoss] = {
    "barlow_twins": lambda a, b, config: barlow_twins_loss(a, b, config.off_diagonal_weight),
}

__all__ = ["TWIN_LOSSES", "TwinLoss", "barlow_twins_loss", "reconstruction_losses"]
