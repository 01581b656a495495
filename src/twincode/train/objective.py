"""What is minimised: named losses, each with its weight."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from twincode.distributed import processes, whole_batch
from twincode.losses import (
    TWIN_LOSSES,
    Projections,
    TwinObjective,
    TwinSettings,
    reconstruction_losses,
)
from twincode.precision import full_precision, widen
from twincode.tokenizers import Output
from twincode.train.gradient_scale import GradientScale


class Objective(nn.Module):
    """Eq. 4.9, L_recon + L_codebook, plus gamma times a twin loss on the two latents (eq. 4.18).

    It sees only Outputs and a teacher's projections, so any twin loss works on any tokenizer. It
    owns the projector and the twin objective, which are there only with a twin loss, and gives the
    loss what it compares in full precision and of the whole batch, whatever the processes.
    ``quantizer_loss`` is the name of the quantiser's loss, empty where it has none. ``scale`` is
    there where gamma is one of gradients.
    """

    def __init__(
        self, settings: TwinSettings | None, latent_channels: int, quantizer_loss: str = "codebook"
    ) -> None:
        super().__init__()
        self.settings = settings
        self.quantizer_loss = quantizer_loss
        self.projector: nn.Module | None = None
        self.twin: TwinObjective | None = None
        if settings is not None:
            self.twin = TWIN_LOSSES.build(settings)
            self.projector = self.twin.build_projector(latent_channels)
        self.scale: GradientScale | None = None
        if settings is not None and settings.gamma_scale == "gradient":
            self.scale = GradientScale()

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
        if self.twin is not None and self.projector is not None and self.settings is not None:
            views = [z for z in (output.latents, output.twin_latents) if z is not None]
            projections = self.projector(torch.cat(views), views=len(views)).chunk(len(views))
            losses[self.settings.name] = self._compare(self.twin.predict(projections), targets)
        return losses

    def update(self, targets: Projections) -> None:
        """Move what the twin objective remembers, after an optimiser step."""
        if self.twin is not None:
            self.twin.update(_whole(targets))

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum that is minimised."""
        own, weight = ("", 0.0) if self.settings is None else (self.settings.name, self.weight)
        weighted = [weight * value if name == own else value for name, value in losses.items()]
        return torch.stack(weighted).sum()

    @property
    def weight(self) -> Tensor | float:
        """What the twin loss is multiplied by."""
        gamma = 0.0 if self.settings is None else self.settings.gamma
        return gamma if self.scale is None else gamma * self.scale.factor

    def measure(self, losses: Mapping[str, Tensor], parameters: Sequence[Tensor]) -> None:
        """Measure anew what the weight of the twin loss is made of, where that is gradients."""
        if self.scale is not None and self.settings is not None:
            others = [value for name, value in losses.items() if name != self.settings.name]
            twin = losses[self.settings.name]
            self.scale.measure(torch.stack(others).sum(), twin, parameters)

    def shared(self, losses: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
        """What this process adds to each loss of a batch of which it holds ``share``.

        The sum over all processes is the loss of the batch. A twin loss is that of the whole batch
        already and counts once in all.
        """
        twin = "" if self.settings is None else self.settings.name
        return {
            name: value * (1 / processes() if name == twin else share)
            for name, value in losses.items()
        }

    def _compare(self, student: Projections, teacher: Projections) -> Tensor:
        assert self.twin is not None
        with full_precision(student[0].device):
            return self.twin(_whole(student), _whole(teacher))


def _whole(projections: Projections) -> Projections:
    return tuple(whole_batch(widen(each)) for each in projections)
