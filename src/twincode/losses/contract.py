"""What every twin objective offers."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from twincode.config import ObjectiveConfig
from twincode.nets import Projector, ShallowProjector

# Projections (B, P), one for each view that was seen, the upper one first.
Projections = Sequence[Tensor]
PlainLoss = Callable[[Tensor, Tensor, ObjectiveConfig], Tensor]
ProjectorBuilder = Callable[[int, ObjectiveConfig], nn.Module]


class TwinObjective(nn.Module):
    """Projections of two views -> one scalar, with what it trains and remembers for that.

    What is trained besides the projector (a predictor, say) is a submodule; what is remembered (a
    queue) is a buffer and moves only in ``update``. ``needs_teacher`` asks for a teacher: a moving
    average of encoder and projector, whose projections carry no gradient. Where an objective is
    not ``symmetric``, the student sees the upper view alone and the teacher the lower one.
    """

    needs_teacher: bool = False
    symmetric: bool = True

    def __init__(self, config: ObjectiveConfig) -> None:
        super().__init__()
        self.config = config

    def build_projector(self, latent_channels: int) -> nn.Module:
        """What makes projections (views * B, P) of latents (views * B, D, H, W) and ``views``."""
        return three_layers(latent_channels, self.config)

    def forward(self, student: Projections, teacher: Projections = ()) -> Tensor:
        """The loss of the whole batch, the same in each of several processes."""
        raise NotImplementedError

    def update(self, teacher: Projections) -> None:
        """Move what is remembered, after an optimiser step; ``teacher`` is as in ``forward``."""


TwinBuilder = Callable[[ObjectiveConfig], TwinObjective]


class Plain(TwinObjective):
    """A pure function of the student's two projections: nothing to train, nothing to remember."""

    def __init__(
        self, loss: PlainLoss, projector: ProjectorBuilder, config: ObjectiveConfig
    ) -> None:
        super().__init__(config)
        self._loss = loss
        self._projector = projector

    def build_projector(self, latent_channels: int) -> nn.Module:
        """The projector it was given."""
        return self._projector(latent_channels, self.config)

    def forward(self, student: Projections, teacher: Projections = ()) -> Tensor:
        """The loss of the upper and the lower projection."""
        del teacher
        upper, lower = student
        return self._loss(upper, lower, self.config)


def three_layers(latent_channels: int, config: ObjectiveConfig) -> Projector:
    """The projector of Barlow Twins and VICReg."""
    return Projector(latent_channels, config.projector_width)


def two_layers(latent_channels: int, config: ObjectiveConfig) -> ShallowProjector:
    """The projector of SimCLR and of MoCo's second version."""
    return ShallowProjector(latent_channels, config.projector_width)


def plain(loss: PlainLoss, projector: ProjectorBuilder = three_layers) -> TwinBuilder:
    """A twin objective made of a pure function (a, b, settings) on projections a, b (B, P)."""
    return partial(Plain, loss, projector)
