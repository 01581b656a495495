"""What every twin objective offers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from twincode.nets import Projector, ShallowProjector
from twincode.settings import Settings, added

SCHEDULES = ("constant", "cosine")
GAMMA_SCALES = ("loss", "gradient")

# Projections (B, P), one for each view that was seen, the upper one first.
Projections = Sequence[Tensor]


@dataclass(frozen=True)
class TwinSettings(Settings):
    """What every twin loss has: its weight (eq. 4.18) and the width P of its projector.

    With ``gamma_scale`` "gradient" the loss is weighed so that its gradient in the encoder is gamma
    times as long as that of all other losses; with "loss", gamma is the weight.
    """

    gamma: float = 1.0
    projector_width: int = 4096
    gamma_scale: str = added("loss", before="loss")

    def __post_init__(self) -> None:
        self.check_at_least(0, "gamma")
        self.check_at_least(1, "projector_width")
        self.check_choice("gamma_scale", GAMMA_SCALES)


@dataclass(frozen=True)
class TeacherSettings(TwinSettings):
    """Those of a twin loss with a teacher: its momentum, ``constant`` or rising by a ``cosine``.

    The teacher forgets at least so fast that its memory, 1 / (1 - momentum) steps, is no more than
    ``teacher_span`` of the run; 0 sets no limit.
    """

    teacher_momentum: float = 0.996
    teacher_schedule: str = "constant"
    teacher_span: float = added(0.1, before=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choice("teacher_schedule", SCHEDULES)
        self.check_fraction("teacher_momentum", "teacher_span")


class TwinObjective(nn.Module):
    """Projections of two views -> one scalar, with what it trains and remembers for that.

    What is trained besides the projector (a predictor, say) is a submodule; what is remembered (a
    queue) is a buffer and moves only in ``update``. ``needs_teacher`` asks for a teacher: a moving
    average of encoder and projector, whose projections carry no gradient; its settings are then
    ``TeacherSettings``. Where an objective is not ``symmetric``, the student sees the upper view
    alone and the teacher the lower one.
    """

    needs_teacher: bool = False
    symmetric: bool = True

    def build_projector(self, latent_channels: int) -> nn.Module:
        """What makes projections (views * B, P) of latents (views * B, D, H, W) and ``views``."""
        raise NotImplementedError

    def predict(self, student: Projections) -> Projections:
        """What the loss compares, of the student's projections: these as they are, usually."""
        return student

    def forward(self, student: Projections, teacher: Projections = ()) -> Tensor:
        """The loss of a whole batch of predictions, in full precision."""
        raise NotImplementedError

    def update(self, teacher: Projections) -> None:
        """Move what is remembered, after an optimiser step; ``teacher`` is as in ``forward``."""


class PairwiseObjective(TwinObjective):
    """A pure function of the student's two projections: nothing to train, nothing to remember.

    ``loss`` is that function (a, b, settings) for a, b (B, P); ``projector`` makes the projector
    from the number of latent channels and the settings, by default that of Barlow Twins.
    """

    def __init__(
        self,
        settings: Any,
        loss: Callable[[Tensor, Tensor, Any], Tensor],
        projector: Callable[[int, Any], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self._loss = loss
        self._projector = projector or three_layers

    def build_projector(self, latent_channels: int) -> nn.Module:
        """The projector it was given."""
        return self._projector(latent_channels, self.settings)

    def forward(self, student: Projections, teacher: Projections = ()) -> Tensor:
        """The loss of the upper and the lower projection."""
        del teacher
        upper, lower = student
        return self._loss(upper, lower, self.settings)


def pairwise(
    loss: Callable[[Tensor, Tensor, Any], Tensor],
    projector: Callable[[int, Any], nn.Module] | None = None,
) -> Callable[[TwinSettings], TwinObjective]:
    """What builds a twin objective of a pure function: see ``PairwiseObjective``."""
    return lambda settings: PairwiseObjective(settings, loss, projector)


def three_layers(latent_channels: int, settings: TwinSettings) -> Projector:
    """The projector of Barlow Twins and VICReg."""
    return Projector(latent_channels, settings.projector_width)


def two_layers(latent_channels: int, settings: TwinSettings) -> ShallowProjector:
    """The projector of SimCLR and of MoCo's second version."""
    return ShallowProjector(latent_channels, settings.projector_width)
