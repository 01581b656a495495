"""The contrastive loss of SimCLR (Chen, Kornblith, Norouzi and Hinton, 2020)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from twincode.distributed import whole_batch
from twincode.precision import in_full_precision


@in_full_precision
def nt_xent_loss(a: Tensor, b: Tensor, temperature: float = 0.5) -> Tensor:
    """The normalised temperature-scaled cross-entropy (equation 1).

    Each of the 2B projections (B, P) has to be told which of the other 2B - 1 is its twin, by
    cosine over ``temperature``; the mean over all 2B, as in the paper (its released code adds the
    means over both halves, twice this). Among several processes the batch is that of
    all of them. Invariant to swapping a and b, and to the length of any row. A batch of one has
    nothing to mistake its twin for: the loss is 0.
    """
    a, b = whole_batch(a), whole_batch(b)
    views = F.normalize(torch.cat([a, b]), dim=1)
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    logits = (views @ views.T / temperature).masked_fill(itself, -torch.inf)
    twins = torch.arange(len(views), device=views.device).roll(len(a))
    return F.cross_entropy(logits, twins)
