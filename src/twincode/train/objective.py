"""What is minimised: named losses, each with its weight."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from twincode.config import ObjectiveConfig
from twincode.distributed import processes
from twincode.errors import TwincodeError, unknown_name
from twincode.losses import TWIN_LOSSES, Projections, TwinObjective, reconstruction_losses
from twincode.tokenizers import Output
from twincode.train.teacher import SCHEDULES

UPPER_INPUTS = ("clean", "view")


class Objective(nn.Module):
    """Eq. 4.9, L_recon + L_codebook, plus gamma times a twin loss on the two latents (eq. 4.18).

    It sees only Outputs and a teacher's projections, so any twin loss works on any tokenizer. It
    owns the projector and the twin objective, which are there only where gamma is not 0.
    ``quantizer_loss`` is the name of the quantiser's loss, empty where it has none.
    """

    def __init__(
        self, config: ObjectiveConfig, latent_channels: int, quantizer_loss: str = "codebook"
    ) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.quantizer_loss = quantizer_loss
        self.projector: nn.Module | None = None
        self.twin: TwinObjective | None = None
        if config.gamma:
            self.twin = TWIN_LOSSES[config.twin_loss](config)
            self.projector = self.twin.build_projector(latent_channels)

    @property
    def needs_twin(self) -> bool:
        """Whether there has to be a second view at all."""
        return self.twin is not None

    @property
    def encodes_twin(self) -> bool:
        """Whether the tokenizer that is trained has to encode the second view."""
        return self.twin is not None and self.twin.symmetric

    @property
    def needs_teacher(self) -> bool:
        """Whether a teacher has to see the views."""
        return self.twin is not None and self.twin.needs_teacher

    def forward(self, output: Output, targets: Projections = ()) -> dict[str, Tensor]:
        """The losses by name, unweighted; ``targets`` are the teacher's projections."""
        losses = reconstruction_losses(output.pairs)
        if self.quantizer_loss:
            losses[self.quantizer_loss] = output.vq_loss
        if self.twin is not None and self.projector is not None:
            views = [z for z in (output.latents, output.twin_latents) if z is not None]
            projections = self.projector(torch.cat(views), views=len(views)).chunk(len(views))
            losses[self.config.twin_loss] = self.twin(projections, targets)
        return losses

    def update(self, targets: Projections) -> None:
        """Move what the twin objective remembers, after an optimiser step."""
        if self.twin is not None:
            self.twin.update(targets)

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum that is minimised."""
        weights = {self.config.twin_loss: self.config.gamma}
        weighted = [weights.get(name, 1.0) * value for name, value in losses.items()]
        return torch.stack(weighted).sum()

    def portion(self, losses: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
        """What this process adds to each loss of a batch of which it holds ``share``.

        The portions of all processes sum to the losses of the batch. A twin loss is that of the
        whole batch already and counts once in all.
        """
        return {
            name: value * (1 / processes() if name == self.config.twin_loss else share)
            for name, value in losses.items()
        }


_AT_LEAST_ONE = (
    *("projector_width", "predictor_width", "queue_size"),
    *("whitening_iterations", "whitening_width"),
)
_NOT_NEGATIVE = (
    *("gamma", "off_diagonal_weight"),
    *("invariance_weight", "variance_weight", "covariance_weight"),
)


def _check(config: ObjectiveConfig) -> None:
    if config.twin_loss not in TWIN_LOSSES:
        raise unknown_name("twin_loss", config.twin_loss, TWIN_LOSSES)
    if config.upper_input not in UPPER_INPUTS:
        raise unknown_name("upper_input", config.upper_input, UPPER_INPUTS)
    if config.teacher_schedule not in SCHEDULES:
        raise unknown_name("teacher_schedule", config.teacher_schedule, SCHEDULES)
    for name in _NOT_NEGATIVE:
        if not getattr(config, name) >= 0:
            raise TwincodeError(f"{name} must not be negative, not {getattr(config, name)}")
    for name in _AT_LEAST_ONE:
        if getattr(config, name) < 1:
            raise TwincodeError(f"{name} must be at least 1, not {getattr(config, name)}")
    if not config.contrastive_temperature > 0:
        raise TwincodeError(
            f"contrastive_temperature must be above 0, not {config.contrastive_temperature}"
        )
    if not 0 <= config.teacher_momentum <= 1:
        raise TwincodeError(
            f"teacher_momentum must lie between 0 and 1, not {config.teacher_momentum}"
        )
