"""Probes: what can be read from features without training anything deep.

Every number is the one scikit-learn gives when it is called plainly on the min-max scaled features
in double precision; only the way there is shorter. A linear SVM and all neighbours share one
product of the series with the train part, all K-means fits run side by side over one pass of the
points an iteration, and all silhouettes share one pass over the distances. Memory stays bounded:
nothing of size n x n is kept except the train part's own product.

All is deterministic, and no global random state is touched.
"""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from twincode.config import EvaluationConfig
from twincode.errors import TwincodeError
from twincode.evaluate.readout import minmax_scale

Points = NDArray[np.float64]
Labels = NDArray[np.int64]

# Squared distances closer than this share of the squared lengths that they come from are ties:
# rounding alone stays well below it.
TIE_TOLERANCE = 1e-11
SVM_CACHE_MEGABYTES = 1000
# Values in a block of points, or of distances, that is worked on at a time.
BLOCK_VALUES = 2**20
# scikit-learn's own defaults for KMeans.
KMEANS_ITERATIONS = 300
KMEANS_TOLERANCE = 1e-4
UNLABELLED = -1


def probe(
    features_train: NDArray[np.floating],
    y_train: Labels | None,
    features_test: NDArray[np.floating],
    y_test: Labels | None,
    config: EvaluationConfig,
    n_classes: int,
) -> dict[str, float]:
    """All probes of features (n, features), by metric name; without labels, those that need none.

    ``svm_accuracy`` and ``knn<K>_accuracy`` are fitted on train and measured on test, the rest
    looks at both parts together. Raises TwincodeError for an empty part, for features that are
    not finite and for settings outside their range.
    """
    check_settings(config)
    _check_features(features_train, features_test)
    points, n_train = minmax_scale(features_train, features_test), len(features_train)
    metrics: dict[str, float] = {}
    if y_train is not None and y_test is not None:
        metrics |= separability(points[:n_train], y_train, points[n_train:], y_test, config)
    points -= points.mean(axis=0)
    metrics["intrinsic_dimension"] = float(intrinsic_dimension(points, config.explained_variance))
    clusters = config.kmeans_clusters or n_classes
    return metrics | clusterability(points, clusters, config.kmeans_fits)


def separability(
    train: Points, y_train: Labels, test: Points, y_test: Labels, config: EvaluationConfig
) -> dict[str, float]:
    """Test accuracy of a linear SVM and of K nearest neighbours, both fitted on train.

    Neighbours are Euclidean with equal votes; a tie of distances goes to the earlier train series,
    a tie of votes to the smaller class. K is at most the size of the train part. An SVM that has
    seen one class always answers that class.
    """
    predict = _linear_svm(train, y_train, config.svm_c)
    lengths = _squared_lengths(train)
    counts = [min(K, len(train)) for K in config.neighbours]
    right = np.zeros(1 + len(counts))
    for block in _blocks(len(test), width=max(train.shape)):
        product, y = test[block] @ train.T, y_test[block]
        right[0] += np.sum(predict(product) == y)
        order = nearest_neighbours(
            lengths - 2 * product, _tie_widths(lengths, test[block]), max(counts, default=1)
        )
        for index, count in enumerate(counts, start=1):
            right[index] += np.sum(_vote(y_train[order[:, :count]]) == y)
    names = ["svm_accuracy", *(f"knn{K}_accuracy" for K in config.neighbours)]
    return dict(zip(names, (right / len(test)).tolist(), strict=True))


def nearest_neighbours(distances: Points, tie_widths: Points, count: int) -> Labels:
    """For each row of distances (n, m), the columns of the ``count`` smallest, nearest first.

    Distances that lie within the row's tie width (n,) of the next one are equal, and equal ones
    are ordered by column, so that rounding decides nothing.
    """
    farthest = np.partition(distances, count - 1, axis=1)[:, count - 1]
    rows, columns = np.nonzero(distances <= (farthest + tie_widths)[:, None])
    values = distances[rows, columns]
    order = np.lexsort((values, rows))
    columns, values = columns[order], values[order]
    apart = (np.diff(values) > tie_widths[rows[1:]]) | (np.diff(rows) > 0)
    groups = np.concatenate([[0], np.cumsum(apart)])
    columns = columns[np.lexsort((columns, groups))]
    first = np.searchsorted(rows, np.arange(len(distances)))
    return columns[first[:, None] + np.arange(count)]


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


def clusterability(points: Points, clusters: int, fits: int) -> dict[str, float]:
    """Mean and standard deviation of the silhouette over ``fits`` K-means clusterings.

    The points (n, features) are centred, for the sake of accuracy alone. The number of clusters
    is kept between 2 and n - 1. A clustering that finds a single cluster has silhouette 0.
    """
    clusters = min(max(clusters, 2), len(points) - 1)
    if clusters < 2 or fits < 1:
        return {"silhouette": 0.0, "silhouette_std": 0.0}
    scores = silhouettes(points, kmeans_labels(points, clusters, fits))
    return {"silhouette": float(scores.mean()), "silhouette_std": float(scores.std())}


def kmeans_labels(points: Points, clusters: int, fits: int) -> Labels:
    """The labels (fits, n) of KMeans(clusters, n_init=1, random_state=i) for i = 0 .. fits - 1.

    scikit-learn's k-means++ seeds and Lloyd's iterations with its two rules for stopping, for all
    fits side by side, on centred points (n, features). A fit that meets an empty cluster, which is
    rare and has rules of its own, is handed to scikit-learn whole.
    """
    tolerance = KMEANS_TOLERANCE * _squared_lengths(points).mean() / points.shape[1]
    centres = _seeds(points, clusters, fits)
    labels = np.full((fits, len(points)), UNLABELLED)
    sums, sizes = np.zeros_like(centres), np.zeros((fits, clusters))
    running = np.arange(fits)
    for _ in range(KMEANS_ITERATIONS):
        nearest = _nearest(points, centres)
        settled = (nearest == labels[running]).all(axis=1)
        added, joined = _changes(points, labels[running], nearest, clusters)
        sums, sizes, labels[running] = sums + added, sizes + joined, nearest
        empty = (sizes == 0).any(axis=1)
        means = sums / np.maximum(sizes, 1)[..., None]
        still = ((means - centres) ** 2).sum(axis=(1, 2)) <= tolerance
        close = still & ~settled & ~empty
        labels[running[close]] = _nearest(points, means[close])
        for fit in running[empty].tolist():
            labels[fit] = _plain_kmeans_labels(points, clusters, fit)
        going = ~(settled | still | empty)
        running, centres, sums, sizes = running[going], means[going], sums[going], sizes[going]
        if not running.size:
            return labels
    labels[running] = _nearest(points, centres)
    return labels


def silhouettes(points: Points, labels: Labels) -> Points:
    """The mean silhouette (Rousseeuw 1987) of each clustering: labels (fits, n) -> (fits,).

    A point alone in its cluster has silhouette 0, and so has a clustering with one cluster.
    """
    fits, n = labels.shape
    clusters = int(labels.max()) + 1
    member = _one_hot(labels, clusters)
    totals = _distance_totals(points, member.reshape(n, -1)).reshape(member.shape)
    scores = [_silhouette(totals[:, fit], member[:, fit]) for fit in range(fits)]
    return np.array(scores)


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
    lengths = _squared_lengths(points)
    totals = np.zeros_like(weights)
    for block in _blocks(len(points), width=max(points.shape)):
        later = slice(block.stop, None)
        distances = _squared_distances(points[block], points[block.start :], lengths[block.start :])
        np.fill_diagonal(distances, 0.0)
        np.sqrt(distances, out=distances)
        totals[block] += distances @ weights[block.start :]
        totals[later] += distances[:, block.stop - block.start :].T @ weights[block]
    return totals


def _seeds(points: Points, clusters: int, fits: int) -> Points:
    """Greedy k-means++ seeds for random states 0 .. fits - 1: (fits, clusters, features).

    Arthur and Vassilvitskii 2007, with the draws in the order in which scikit-learn makes them.
    """
    from sklearn.utils import check_random_state

    n, trials, every = len(points), 2 + int(np.log(clusters)), np.arange(fits)
    lengths = _squared_lengths(points)
    streams = [check_random_state(fit) for fit in range(fits)]
    chosen = np.empty((fits, clusters), dtype=np.int64)
    chosen[:, 0] = [stream.choice(n, p=np.full(n, 1 / n)) for stream in streams]
    closest = _squared_distances(points[chosen[:, 0]], points, lengths)
    for cluster in range(1, clusters):
        draws = [stream.uniform(size=trials) for stream in streams]
        heights = np.cumsum(closest, axis=1)
        candidates = np.stack(
            [np.searchsorted(h, draw * h[-1]) for h, draw in zip(heights, draws, strict=True)]
        ).clip(max=n - 1)
        distances = _squared_distances(points[candidates.ravel()], points, lengths)
        distances = np.minimum(closest[:, None], distances.reshape(fits, trials, n))
        best = distances.sum(axis=2).argmin(axis=1)
        chosen[:, cluster], closest = candidates[every, best], distances[every, best]
    return points[chosen]


def _nearest(points: Points, centres: Points) -> Labels:
    """The nearest of each fit's centres (fits, k, features) to each point: (fits, n)."""
    fits, k, width = centres.shape
    stacked = centres.reshape(fits * k, width)
    lengths = _squared_lengths(stacked)
    nearest = np.empty((fits, len(points)), dtype=np.int64)
    for block in _blocks(len(points) if fits else 0, width):
        scores = lengths - 2 * (points[block] @ stacked.T)
        nearest[:, block] = scores.reshape(-1, fits, k).argmin(axis=2).T
    return nearest


def _changes(points: Points, old: Labels, new: Labels, k: int) -> tuple[Points, Points]:
    """What relabelling (fits, n) adds to each cluster's sum (fits, k, features) and size (fits, k).

    Only points whose label changes in some fit are looked at: few, after the first iterations.
    """
    fits, width = len(new), points.shape[1]
    added, joined = np.zeros((fits * k, width)), np.zeros(fits * k)
    moved = np.flatnonzero((old != new).any(axis=0))
    for block in _blocks(len(moved), width):
        rows = moved[block]
        change = (_one_hot(new[:, rows], k) - _one_hot(old[:, rows], k)).reshape(-1, fits * k)
        added += change.T @ points[rows]
        joined += change.sum(axis=0)
    return added.reshape(fits, k, width), joined.reshape(fits, k)


def _plain_kmeans_labels(points: Points, clusters: int, seed: int) -> Labels:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Fewer distinct points than clusters is an answer here, not a fault.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = KMeans(n_clusters=clusters, n_init=1, random_state=seed).fit(points)
    return np.asarray(fitted.labels_, dtype=np.int64)


def _linear_svm(train: Points, y_train: Labels, C: float) -> Callable[[Points], Labels]:
    """A fitted SVC(kernel="linear"), asked with products (n, n_train) of series with train."""
    from sklearn.svm import SVC

    if len(np.unique(y_train)) < 2:
        return lambda product: np.repeat(y_train[:1], len(product))
    # The random state is never drawn from, but without one the global stream would be.
    svm = SVC(C=C, kernel="precomputed", cache_size=SVM_CACHE_MEGABYTES, random_state=0)
    svm.fit(train @ train.T, y_train)
    return lambda product: np.asarray(svm.predict(product))


def _vote(labels: Labels) -> Labels:
    """The most frequent label of each row (n, K), the smallest of several."""
    return _one_hot(labels, int(labels.max()) + 1).sum(axis=0).argmax(axis=1)


def _tie_widths(lengths: Points, block: Points) -> Points:
    """Below which difference the squared distances of a block's rows to train are the same."""
    reach = lengths.max()
    return np.asarray(TIE_TOLERANCE * (reach + 2 * np.sqrt(reach * _squared_lengths(block))))


def _one_hot(labels: Labels, classes: int) -> Points:
    """(m, n) -> (n, m, classes)."""
    return (labels.T[..., None] == np.arange(classes)).astype(np.float64)


def _squared_lengths(points: Points) -> Points:
    return np.asarray(np.einsum("ij,ij->i", points, points))


def _squared_distances(some: Points, points: Points, lengths: Points) -> Points:
    """Squared Euclidean distances (m, n), given the squared lengths (n,) of the points."""
    squared = some @ points.T
    squared *= -2
    squared += _squared_lengths(some)[:, None]
    squared += lengths
    return np.maximum(squared, 0.0, out=squared)


def _blocks(n: int, width: int) -> Iterator[slice]:
    """Slices that cover n rows of ``width`` values, each of about BLOCK_VALUES values."""
    step = max(1, BLOCK_VALUES // width)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def check_settings(config: EvaluationConfig) -> None:
    """Raise TwincodeError for a setting outside its range."""
    if config.svm_c <= 0:
        raise TwincodeError(f"svm_c must be above 0, not {config.svm_c}")
    if min(config.neighbours, default=1) < 1:
        raise TwincodeError(f"neighbours must be 1 or more, not {min(config.neighbours)}")
    if config.kmeans_fits < 1 or config.kmeans_clusters < 0 or config.kmeans_clusters == 1:
        raise TwincodeError(
            "kmeans_fits must be at least 1, and kmeans_clusters at least 2 (0 for the classes), "
            f"not {config.kmeans_fits} and {config.kmeans_clusters}"
        )
    if not 0 < config.explained_variance <= 1:
        raise TwincodeError(
            f"explained_variance must lie above 0 and at most at 1, not {config.explained_variance}"
        )


def _check_features(*parts: NDArray[np.floating]) -> None:
    for features in parts:
        if features.size == 0:
            raise TwincodeError("nothing to probe: one part has no series; give it at least one")
        if not np.isfinite(features).all():
            raise TwincodeError(
                "features to probe are not finite; the model has diverged, lower the learning rate"
            )
