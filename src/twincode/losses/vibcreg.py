"""The VIbCReg loss (Lee and Aune, 2021, arXiv 2109.00783): VICReg with a better covariance term."""

from dataclasses import dataclass

from torch import Tensor

from twincode.losses.correlation import standardise, sum_of_squares
from twincode.losses.vicreg import VICRegSettings, weighted_terms
from twincode.nets import WhitenedProjector

# Rounding grows from one to the next, and is all there is a little later.
MOST_ITERATIONS = 10


@dataclass(frozen=True)
class VIbCRegSettings(VICRegSettings):
    """Those of VICReg and of the whitening of projections."""

    covariance_weight: float = 200.0
    whitening_iterations: int = 5
    whitening_width: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "whitening_iterations", "whitening_width")
        self.check_at_most(MOST_ITERATIONS, "whitening_iterations")


def vibcreg_loss(
    a: Tensor,
    b: Tensor,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 200.0,
) -> Tensor:
    """lambda s(a, b) + mu [v(a) + v(b)] + nu [c(a) + c(b)] for projections a, b (B, P).

    s and v are VICReg's. c is the mean square of the off-diagonal of the normalised covariance,
    so that it lies between 0 and 1 whatever P and the scale of the features. The weights are
    those of the authors' code. Invariant to swapping a and b, and to shifting both alike.
    """
    weights = (invariance_weight, variance_weight, covariance_weight)
    return weighted_terms(a, b, weights, correlation_term)


def correlation_term(a: Tensor) -> Tensor:
    """1/P^2 sum_i sum_{j != i} C_ij^2 with C the correlation of the features of a (B, P).

    The authors divide each centred feature by its length; here, as in the Barlow Twins loss,
    EPSILON is added to its variance, so that a constant feature counts as uncorrelated.
    """
    batch, width = a.shape
    A = standardise(a)
    diagonal = A.square().mean(dim=0)
    return (sum_of_squares(A, A, scale=batch) - diagonal.square().sum()) / width**2


def whitened(latent_channels: int, settings: VIbCRegSettings) -> WhitenedProjector:
    """The projector of VIbCReg, whose projections are whitened.

    The authors' code has 64 groups of features; here a group has ``whitening_width`` of them, which
    is the same at P = 4096.
    """
    return WhitenedProjector(
        latent_channels,
        settings.projector_width,
        settings.whitening_width,
        settings.whitening_iterations,
    )
