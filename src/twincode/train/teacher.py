"""The teacher: a slow copy of what the student learns, whose projections are targets."""

import copy
import math

import torch
from torch import Tensor, nn

from twincode.losses import Projections, TeacherSettings
from twincode.tokenizers import Tokenizer

# Where momentum is scaled down, the student's part of a step: with 0.1 BYOL still learns, and with
# 1 it collapses (Grill et al., 2020, section 5).
QUICKEST = 0.1


class Teacher(nn.Module):
    """An exponential moving average of a tokenizer and a projector (He et al., 2020).

    It sees views as the student does, in training mode with the statistics of the batch; it gets
    no gradient and is in no optimiser. Of its tokenizer only the latents are used.
    """

    def __init__(self, tokenizer: Tokenizer, projector: nn.Module) -> None:
        super().__init__()
        self.tokenizer = copy.deepcopy(tokenizer)
        self.projector = copy.deepcopy(projector)
        self.requires_grad_(False).train()

    @torch.no_grad()
    def forward(self, upper: Tensor, lower: Tensor, symmetric: bool) -> Projections:
        """Projections (B, P) of both views (B, C, L), or of the lower one alone."""
        if not symmetric:
            return (self.projector(self.tokenizer.latents(lower)),)
        latents = self.tokenizer.latents(torch.cat([upper, lower]), views=2)
        return self.projector(latents, views=2).chunk(2)

    @torch.no_grad()
    def follow(self, tokenizer: Tokenizer, projector: nn.Module, momentum: float) -> None:
        """Move every parameter to momentum times itself plus the rest of the student's."""
        for own, learnt in ((self.tokenizer, tokenizer), (self.projector, projector)):
            for mine, theirs in zip(own.parameters(), learnt.parameters(), strict=True):
                mine.lerp_(theirs, 1 - momentum)
        # Latents may depend on codes; a codebook that is a running mean already is taken as it is.
        codes, learnt_codes = self.tokenizer.quantizer.buffers(), tokenizer.quantizer.buffers()
        for kept, moved in zip(codes, learnt_codes, strict=True):
            kept.copy_(moved)


def momentum_at(settings: TeacherSettings, step: int, steps: int) -> float:
    """The teacher's momentum after a step: ``constant``, or rising to 1 along a ``cosine``.

    The second is 1 - (1 - m) (cos(pi step / steps) + 1) / 2 (Grill et al., 2020). m is the
    ``teacher_momentum``, but never one that remembers more than ``teacher_span`` of the steps:
    published values are for runs of many thousands.
    """
    rest = 1 - settings.teacher_momentum
    if settings.teacher_span:
        rest = max(rest, min(QUICKEST, 1 / (settings.teacher_span * steps)))
    if settings.teacher_schedule == "cosine":
        rest *= (math.cos(math.pi * step / steps) + 1) / 2
    return 1 - rest
