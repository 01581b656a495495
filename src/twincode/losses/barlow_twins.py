"""The Barlow Twins loss (Zbontar et al., 2021), scaled by the projector width (thesis eq. 4.17)."""

from torch import Tensor

from twincode.distributed import whole_batch
from twincode.losses.correlation import standardise, sum_of_squares
from twincode.precision import in_full_precision


@in_full_precision
def barlow_twins_loss(a: Tensor, b: Tensor, off_diagonal_weight: float = 0.005) -> Tensor:
    """1/P [ sum_i (1 - C_ii)^2 + lambda sum_i sum_{j != i} C_ij^2 ] for projections a, b (B, P).

    C = A'B / B is the cross-correlation of the two projections, each standardised over the batch.
    Among several processes the batch is that of all of them. Invariant to swapping a and b, to
    shifting, and (up to EPSILON) to rescaling any feature by a positive factor.
    """
    a, b = whole_batch(a), whole_batch(b)
    batch, width = a.shape
    A, B = standardise(a), standardise(b)
    diagonal = (A * B).mean(dim=0)
    off_diagonal = sum_of_squares(A, B, scale=batch) - diagonal.square().sum()
    return ((1 - diagonal).square().sum() + off_diagonal_weight * off_diagonal) / width
