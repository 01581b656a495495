"""Every probe through scikit-learn, called plainly."""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC


def probe(
    Z_train: NDArray, y_train: NDArray, Z_test: NDArray, y_test: NDArray, fits: int = 15
) -> dict[str, float]:
    """The metrics of twincode's ``probe``, under the same names."""
    scaler = MinMaxScaler((-1, 1), clip=True).fit(Z_train)
    train, test = scaler.transform(Z_train), scaler.transform(Z_test)
    both = np.concatenate([train, test])
    metrics = {"svm_accuracy": SVC(kernel="linear", C=1).fit(train, y_train).score(test, y_test)}
    for K in (1, 5, 10):
        knn = KNeighborsClassifier(K).fit(train, y_train)
        metrics[f"knn{K}_accuracy"] = knn.score(test, y_test)
    explained = np.cumsum(PCA().fit(both).explained_variance_ratio_)
    metrics["intrinsic_dimension"] = float(np.searchsorted(explained, 0.95) + 1)
    classes = len(np.unique(y_train))
    labellings = [KMeans(classes, n_init=1, random_state=i).fit_predict(both) for i in range(fits)]
    scores = [silhouette_score(both, labels) for labels in labellings]
    metrics["silhouette"] = float(np.mean(scores))
    metrics["silhouette_std"] = float(np.std(scores))
    return metrics
