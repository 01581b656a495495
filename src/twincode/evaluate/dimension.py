"""How many dimensions features really take."""

from dataclasses import dataclass

import numpy as np

from twincode.evaluate.blocks import Points
from twincode.evaluate.metric import Evaluator, Features, Metric
from twincode.settings import Settings


@dataclass(frozen=True)
class DimensionSettings(Settings):
    """The share of the variance that the components counted are to hold."""

    explained_variance: float = 0.95

    def __post_init__(self) -> None:
        self.check_above(0, "explained_variance")
        self.check_at_most(1, "explained_variance")


class Dimension(Evaluator):
    """The intrinsic dimension of train and test together."""

    metrics = (Metric("intrinsic_dimension", "Intrinsic dimension"),)
    settings: DimensionSettings

    def probe(self, features: Features) -> dict[str, float]:
        """``intrinsic_dimension``."""
        share = self.settings.explained_variance
        return {"intrinsic_dimension": float(intrinsic_dimension(features.centred(), share))}


def intrinsic_dimension(points: Points, explained_variance: float) -> int:
    """The fewest principal components that hold this share of the variance of points (n, features).

    The points are centred; where all are the same the answer is 0.
    """
    if (points == points[0]).all():
        return 0
    wide = points.shape[1] > points.shape[0]
    spread = points @ points.T if wide else points.T @ points
    held = np.cumsum(_eigenvalues(spread)[::-1]) / spread.trace()
    return min(int(np.searchsorted(held, explained_variance)) + 1, len(held))


def _eigenvalues(spread: Points) -> Points:
    """The eigenvalues above rounding, ascending, of a positive semi-definite matrix (n, n).

    Quantised features depend on one another linearly. A pivoted Cholesky factor L (n, rank) leaves
    the dependent ones out, and the small L^T L has the eigenvalues of L L^T.
    """
    from scipy.linalg.lapack import dpstrf

    factor, _, rank, _ = dpstrf(spread, lower=1)
    if rank < len(spread):
        factor = np.tril(factor)[:, :rank]
        spread = factor.T @ factor
    return np.linalg.eigvalsh(spread).clip(min=0)
