"""The Barlow Twins loss (Zbontar et al., 2021), scaled by the projector width (thesis eq. 4.17)."""

import torch
from torch import Tensor

from twincode.distributed import whole_batch
from twincode.precision import in_full_precision

# Added to each variance, as batch normalisation does, so that a constant feature counts as
# uncorrelated with everything instead of dividing by zero.
EPSILON = 1e-5


@in_full_precision
def barlow_twins_loss(a: Tensor, b: Tensor, off_diagonal_weight: float = 0.005) -> Tensor:
    """1/P [ sum_i (1 - C_ii)^2 + lambda sum_i sum_{j != i} C_ij^2 ] for projections a, b (B, P).

    C = A'B / B is the cross-correlation of the two projections, each standardised over the batch.
    C itself is formed only where that is the cheaper way: the sum of its squares is
    <AA', BB'> / B^2, which needs two B x B matrices instead of one P x P matrix.
    Among several processes the batch is that of all of them. Invariant to swapping a and b, to
    shifting, and (up to EPSILON) to rescaling any feature by a positive factor.
    """
    a, b = whole_batch(a), whole_batch(b)
    batch, width = a.shape
    A, B = _standardise(a), _standardise(b)
    diagonal = (A * B).mean(dim=0)
    if width > batch:
        squares = ((A @ A.T) * (B @ B.T)).sum() / batch**2
    else:
        squares = ((A.T @ B) / batch).square().sum()
    off_diagonal = squares - diagonal.square().sum()
    return ((1 - diagonal).square().sum() + off_diagonal_weight * off_diagonal) / width


def _standardise(a: Tensor) -> Tensor:
    variance, mean = torch.var_mean(a, dim=0, correction=0)
    return (a - mean) * torch.rsqrt(variance + EPSILON)
