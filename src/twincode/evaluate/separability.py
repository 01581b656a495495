"""How well classes can be told apart: a linear SVM and nearest neighbours.

Both need the products of the test series with the train part, so these are computed once. The
numbers are those that scikit-learn's SVC and KNeighborsClassifier give.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twincode.evaluate.blocks import Points, blocks, squared_lengths
from twincode.evaluate.metric import Evaluator, Features, Labels, Metric
from twincode.settings import Settings

# Squared distances closer than this share of the squared lengths that they come from are ties:
# rounding alone stays well below it.
TIE_TOLERANCE = 1e-11
SVM_CACHE_MEGABYTES = 1000
SVM_SERIES = 10_000  # of train at most: the SVM's matrix grows with their square


@dataclass(frozen=True)
class SeparabilitySettings(Settings):
    """The penalty C of the SVM, and every number K of neighbours to try."""

    svm_c: float = 1.0
    neighbours: tuple[int, ...] = (1, 5, 10)

    def __post_init__(self) -> None:
        self.check_at_least(1, "neighbours")
        self.check_above(0, "svm_c")


class Separability(Evaluator):
    """Accuracy on test of a linear SVM and of K nearest neighbours, both fitted on train."""

    settings: SeparabilitySettings

    def __init__(self, settings: SeparabilitySettings) -> None:
        super().__init__(settings)
        titles = [("svm", "Linear SVM"), *((f"knn{K}", f"{K}-NN") for K in settings.neighbours)]
        self.metrics = [
            Metric(f"{name}_accuracy", title, better="higher", labels=True)
            for name, title in titles
        ]

    def probe(self, features: Features) -> dict[str, float]:
        """``svm_accuracy`` and ``knn<K>_accuracy``; nothing without labels."""
        if features.y_train is None or features.y_test is None:
            return {}
        n_train = len(features.train)
        train, test = features.points[:n_train], features.points[n_train:]
        right = separability(train, features.y_train, test, features.y_test, self.settings)
        return dict(zip((metric.name for metric in self.metrics), right, strict=True))


def separability(
    train: Points, y_train: Labels, test: Points, y_test: Labels, settings: SeparabilitySettings
) -> list[float]:
    """Test accuracy of the SVM, fitted to ``SVM_SERIES`` of train at most, then of each K.

    Neighbours are Euclidean with equal votes; a tie of distances goes to the earlier train series,
    a tie of votes to the smaller class. K is at most the size of the train part. An SVM that has
    seen one class always answers that class.
    """
    drawn = np.random.default_rng(0).permutation(len(train))[:SVM_SERIES]
    some = np.sort(drawn) if len(train) > SVM_SERIES else slice(None)
    predict = _linear_svm(train[some], y_train[some], settings.svm_c)
    lengths = squared_lengths(train)
    counts = [min(K, len(train)) for K in settings.neighbours]
    right = np.zeros(1 + len(counts))
    for block in blocks(len(test), width=max(train.shape)):
        product, y = test[block] @ train.T, y_test[block]
        right[0] += np.sum(predict(product[:, some]) == y)
        order = nearest_neighbours(
            lengths - 2 * product, _tie_widths(lengths, test[block]), max(counts, default=1)
        )
        for index, count in enumerate(counts, start=1):
            right[index] += np.sum(_vote(y_train[order[:, :count]]) == y)
    return list((right / len(test)).tolist())


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


def _linear_svm(train: Points, y_train: Labels, C: float) -> Callable[[Points], Labels]:
    """A fitted SVC(kernel="linear"), asked with products (n, n_train) of series with train."""
    from sklearn.svm import SVC

    if len(np.unique(y_train)) < 2:
        return lambda product: np.repeat(y_train[:1], len(product))
    # The random state is never drawn from, but without one the global stream would be.
    svm = SVC(C=C, kernel="precomputed", cache_size=SVM_CACHE_MEGABYTES, random_state=0)
    svm.fit(train @ train.T, y_train)
    return lambda product: np.asarray(svm.predict(product))


def _tie_widths(lengths: Points, block: Points) -> Points:
    """Below which difference the squared distances of a block's rows to train are the same."""
    reach = lengths.max()
    return np.asarray(TIE_TOLERANCE * (reach + 2 * np.sqrt(reach * squared_lengths(block))))


def _vote(labels: Labels) -> Labels:
    """The most frequent label of each row (n, K), the smallest of several."""
    votes = labels[..., None] == np.arange(labels.max() + 1)
    return np.asarray(votes.sum(axis=1).argmax(axis=1))
