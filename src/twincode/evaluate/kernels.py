"""The ``kernels`` readout: what a user of decoded series gives up in class information.

MiniROCKET features (Dempster, Schmidt and Webb, KDD 2021, by aeon) and a ridge classifier whose
penalty is chosen by leave-one-out on train. Labels are used here only.
"""

import numpy as np
import numpy.typing as npt

from twincode.errors import TwincodeError

SHORTEST = 9  # length of MiniROCKET's kernels
PENALTIES = np.logspace(-3, 3, 10)

Floats = npt.NDArray[np.floating]


def kernels_accuracy(
    train: Floats,
    train_labels: npt.NDArray,
    test: Floats,
    test_labels: npt.NDArray,
    seed: int = 0,
    kernels: int = 10_000,
) -> float:
    """Accuracy on ``test`` (n, C, L) of a ridge classifier on MiniROCKET features of ``train``.

    Series shorter than a kernel are padded with their last value. Features are standardised with
    train's mean and deviation; ``seed`` fixes the random choice of biases and channels.
    """
    from aeon.transformations.collection.convolution_based import MiniRocket
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(train_labels)) < 2:
        raise TwincodeError("the kernels readout needs at least two classes in train")
    transform = MiniRocket(n_kernels=kernels, random_state=seed)
    train_features = transform.fit_transform(_padded(train))
    ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=PENALTIES))
    ridge.fit(np.asarray(train_features), train_labels)
    return float(ridge.score(np.asarray(transform.transform(_padded(test))), test_labels))


def retained_accuracy(decoded: float, original: float) -> float:
    """Accuracy from decoded series over that from the original ones."""
    return decoded / original if original > 0 else float("nan")


def _padded(x: Floats) -> Floats:
    if x.ndim != 3:
        raise TwincodeError(f"series must be (n, channels, steps), not {x.shape}")
    missing = SHORTEST - x.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (0, missing)), mode="edge") if missing > 0 else x
    return np.ascontiguousarray(padded, dtype=np.float32)
