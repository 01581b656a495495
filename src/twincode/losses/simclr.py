"""The contrastive loss of SimCLR (Chen, Kornblith, Norouzi and Hinton, 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from twincode.losses.twin import TwinSettings


@dataclass(frozen=True)
class SimCLRSettings(TwinSettings):
    """The temperature; the default is the paper's for small images (CIFAR-10)."""

    contrastive_temperature: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_above(0, "contrastive_temperature")


def nt_xent_loss(a: Tensor, b: Tensor, temperature: float = 0.5) -> Tensor:
    """The normalised temperature-scaled cross-entropy (equation 1).

    Each of the 2B projections (B, P) has to be told which of the other 2B - 1 is its twin, by
    cosine over ``temperature``; the mean over all 2B, as in the paper (its released code adds the
    means over both halves, twice this). Invariant to swapping a and b, and to the length of any
    row. A batch of one has nothing to mistake its twin for: the loss is 0.
    """
    views = F.normalize(torch.cat([a, b]), dim=1)
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    logits = (views @ views.T / temperature).masked_fill(itself, -torch.inf)
    twins = torch.arange(len(views), device=views.device).roll(len(a))
    return F.cross_entropy(logits, twins)
