"""The VICReg loss (Bardes, Ponce and LeCun, 2022)."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from twincode.losses.correlation import sum_of_squares
from twincode.losses.twin import TwinSettings

# The spread every feature should have, and what keeps the root away from zero (equation 1).
TARGET_STD = 1.0
EPSILON = 1e-4


@dataclass(frozen=True)
class VICRegSettings(TwinSettings):
    """The weights lambda, mu and nu of the three terms."""

    invariance_weight: float = 25.0
    variance_weight: float = 25.0
    covariance_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(0, "invariance_weight", "variance_weight", "covariance_weight")

    @property
    def weights(self) -> tuple[float, float, float]:
        """All three."""
        return self.invariance_weight, self.variance_weight, self.covariance_weight


def vicreg_loss(
    a: Tensor,
    b: Tensor,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> Tensor:
    """lambda s(a, b) + mu [v(a) + v(b)] + nu [c(a) + c(b)] (equation 6) for projections (B, P).

    In the form of the paper's algorithm 1, to which its weights belong: s is a mean over features
    too, where equation 5 sums over them, and the two v are added, where the released code takes
    their mean. Invariant to swapping a and b, and to shifting both alike. A batch of one has
    variance and covariance zero.
    """
    weights = (invariance_weight, variance_weight, covariance_weight)
    return weighted_terms(a, b, weights, covariance_term)


def weighted_terms(
    a: Tensor,
    b: Tensor,
    weights: tuple[float, float, float],
    covariance: Callable[[Tensor], Tensor],
) -> Tensor:
    """Equation 6 with the weights of s, v and c, and ``covariance`` as c."""
    of_invariance, of_variance, of_covariance = weights
    return (
        of_invariance * F.mse_loss(a, b)
        + of_variance * (variance_term(a) + variance_term(b))
        + of_covariance * (covariance(a) + covariance(b))
    )


def variance_term(a: Tensor) -> Tensor:
    """How far the features of a (B, P) fall short of spread 1 on average (equation 1)."""
    centred = a - a.mean(dim=0)
    std = (centred.square().sum(dim=0) / _freedom(a) + EPSILON).sqrt()
    return (TARGET_STD - std).relu().mean()


def covariance_term(a: Tensor) -> Tensor:
    """1/P sum_i sum_{j != i} C_ij^2 with C the covariance of a (B, P) (equations 3 and 4)."""
    centred = a - a.mean(dim=0)
    variance = centred.square().sum(dim=0) / _freedom(a)
    squares = sum_of_squares(centred, centred, scale=_freedom(a))
    return (squares - variance.square().sum()) / a.shape[1]


def _freedom(a: Tensor) -> int:
    """What sums of squares over the batch are divided by."""
    return max(len(a) - 1, 1)
