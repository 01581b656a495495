"""The Barlow Twins loss (Zbontar et al., 2021), scaled by the projector width (thesis eq. 4.17)."""

from dataclasses import dataclass

from torch import Tensor

from twincode.losses.correlation import standardise, sum_of_squares
from twincode.losses.twin import TwinSettings


@dataclass(frozen=True)
class BarlowTwinsSettings(TwinSettings):
    """The weight of the off-diagonal, lambda."""

    off_diagonal_weight: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(0, "off_diagonal_weight")


def barlow_twins_loss(a: Tensor, b: Tensor, off_diagonal_weight: float = 0.005) -> Tensor:
    """1/P [ sum_i (1 - C_ii)^2 + lambda sum_i sum_{j != i} C_ij^2 ] for projections a, b (B, P).

    C = A'B / B is the cross-correlation of the two projections, each standardised over the batch.
    Invariant to swapping a and b, to shifting, and (up to EPSILON) to rescaling any feature by a
    positive factor.
    """
    batch, width = a.shape
    A, B = standardise(a), standardise(b)
    diagonal = (A * B).mean(dim=0)
    off_diagonal = sum_of_squares(A, B, scale=batch) - diagonal.square().sum()
    return ((1 - diagonal).square().sum() + off_diagonal_weight * off_diagonal) / width
