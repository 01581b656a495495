"""How far features fall into clusters: silhouettes of several K-means clusterings."""

import warnings
from dataclasses import dataclass

import numpy as np

from twincode.errors import TwincodeError
from twincode.evaluate.blocks import Points, blocks, squared_lengths
from twincode.evaluate.metric import Evaluator, Features, Labels, Metric
from twincode.settings import Settings


@dataclass(frozen=True)
class ClustersSettings(Settings):
    """How often to cluster, and into how many clusters; 0 stands for as many as classes."""

    kmeans_fits: int = 15
    kmeans_clusters: int = 0

    def __post_init__(self) -> None:
        self.check_at_least(1, "kmeans_fits")
        if self.kmeans_clusters < 0 or self.kmeans_clusters == 1:
            raise TwincodeError(
                "kmeans_clusters must be at least 2 (0 for as many as classes), "
                f"not {self.kmeans_clusters}"
            )


class Clusters(Evaluator):
    """Mean and standard deviation of the silhouette over all fits, train and test together.

    The number of clusters is kept between 2 and n - 1. A clustering that finds a single cluster
    has silhouette 0.
    """

    metrics = (
        Metric("silhouette", "Silhouette", better="higher"),
        Metric("silhouette_std", "Silhouette, fits' spread"),
    )
    settings: ClustersSettings

    def probe(self, features: Features) -> dict[str, float]:
        """``silhouette`` and ``silhouette_std``."""
        wanted, fits = (
            self.settings.kmeans_clusters or features.n_classes,
            self.settings.kmeans_fits,
        )
        clusters = min(max(wanted, 2), len(features.points) - 1)
        if clusters < 2:
            return {"silhouette": 0.0, "silhouette_std": 0.0}
        labels = kmeans_labels(features.points, clusters, fits)
        scores = silhouettes(features.centred(), labels)
        return {"silhouette": float(scores.mean()), "silhouette_std": float(scores.std())}


def kmeans_labels(points: Points, clusters: int, fits: int) -> Labels:
    """The labels (fits, n) that scikit-learn's KMeans gives points, seeded 0 .. ``fits`` - 1."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    # Several threads would add in any order. Fewer distinct points than clusters are no fault here.
    with threadpool_limits(1, "openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = [KMeans(clusters, n_init=1, random_state=i).fit(points) for i in range(fits)]
    return np.stack([fit.labels_ for fit in found]).astype(np.int64)


def silhouettes(points: Points, labels: Labels) -> Points:
    """The mean silhouette (Rousseeuw 1987) of each clustering: labels (fits, n) -> (fits,).

    Each distance is computed once for all clusterings; centred points keep it accurate. A point
    alone in its cluster has silhouette 0, and so has a clustering with one cluster.
    """
    fits, n = labels.shape
    member = (labels.T[..., None] == np.arange(labels.max() + 1)).astype(np.float64)
    totals = _distance_totals(points, member.reshape(n, -1)).reshape(member.shape)
    return np.array([_silhouette(totals[:, fit], member[:, fit]) for fit in range(fits)])


def _silhouette(totals: Points, member: Points) -> float:
    """From each point's summed distances to every cluster (n, k) and its one-hot cluster (n, k)."""
    sizes = member.sum(axis=0)
    if np.count_nonzero(sizes) < 2:
        return 0.0
    own = member > 0
    own_size = member @ sizes
    inside = totals[own] / np.maximum(own_size - 1, 1)
    means = np.where(own | (sizes == 0), np.inf, totals / np.maximum(sizes, 1))
    outside = means.min(axis=1)
    widest = np.maximum(inside, outside)
    defined = (own_size > 1) & (widest > 0)
    score = np.where(defined, outside - inside, 0.0) / np.where(defined, widest, 1.0)
    return float(score.mean())


def _distance_totals(points: Points, weights: Points) -> Points:
    """distances (n, n) @ weights (n, m), each distance computed once, some rows at a time."""
    lengths = squared_lengths(points)
    totals = np.zeros_like(weights)
    for block in blocks(len(points), width=max(points.shape)):
        later = slice(block.stop, None)
        distances = _distances(points[block], points[block.start :], lengths[block.start :])
        totals[block] += distances @ weights[block.start :]
        totals[later] += distances[:, block.stop - block.start :].T @ weights[block]
    return totals


def _distances(some: Points, points: Points, lengths: Points) -> Points:
    """Euclidean distances (m, n) of the first m points to all, given all squared lengths (n,)."""
    squared = some @ points.T
    squared *= -2
    squared += squared_lengths(some)[:, None]
    squared += lengths
    np.maximum(squared, 0.0, out=squared)
    np.fill_diagonal(squared, 0.0)
    return np.sqrt(squared, out=squared)
