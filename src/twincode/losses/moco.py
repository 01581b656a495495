"""MoCo: a queue of keys from a teacher (He et al., 2020; with the head of version 2, Chen 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twincode.losses.twin import Projections, TeacherSettings, TwinObjective, two_layers


def info_nce_loss(query: Tensor, key: Tensor, queue: Tensor, temperature: float = 0.2) -> Tensor:
    """The InfoNCE loss (He et al., 2020, equation 1).

    Each query (B, P) has to be told its own key (B, P) from those in ``queue`` (Q, P), whose rows
    have length 1, by cosine over ``temperature``. Invariant to the length of any row of query and
    key.
    """
    query, key = (F.normalize(rows, dim=1) for rows in (query, key))
    own = (query * key).sum(dim=1, keepdim=True)
    logits = torch.cat([own, query @ queue.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.int64, device=query.device))


@dataclass(frozen=True)
class MoCoSettings(TeacherSettings):
    """The paper's teacher, version 2's temperature, and how many keys the queue holds."""

    contrastive_temperature: float = 0.2
    queue_size: int = 256
    teacher_momentum: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "queue_size")
        self.check_above(0, "contrastive_temperature")


class MoCo(TwinObjective):
    """The upper view asks, the teacher's key of the lower view answers, earlier keys distract.

    The queue holds the latest ``queue_size`` keys, each of length 1, and begins with random ones.
    The paper's 65536 belong to 1.28 million images; the default is about as many negatives as
    SimCLR has in a batch of 128. The paper's shuffled batch norm (section 3.3), which keeps batch
    statistics from giving away a query's own key, is not here: statistics are always those of the
    whole batch.
    """

    needs_teacher = True
    symmetric = False

    def __init__(self, settings: MoCoSettings) -> None:
        super().__init__()
        self.settings = settings
        queue = F.normalize(torch.randn(settings.queue_size, settings.projector_width), dim=1)
        self.register_buffer("queue", queue)
        self.queue: Tensor

    def build_projector(self, latent_channels: int) -> nn.Module:
        """Two layers with a ReLU between them, as in version 2."""
        return two_layers(latent_channels, self.settings)

    def forward(self, student: Projections, teacher: Projections = ()) -> Tensor:
        """InfoNCE of the student's upper view among keys."""
        (query,), (key,) = student, teacher
        return info_nce_loss(query, key, self.queue, self.settings.contrastive_temperature)

    @torch.no_grad()
    def update(self, teacher: Projections) -> None:
        """The newest keys come first, the oldest fall out."""
        (key,) = teacher
        keys = F.normalize(key.to(self.queue.dtype), dim=1)
        self.queue.copy_(torch.cat([keys, self.queue])[: len(self.queue)])
