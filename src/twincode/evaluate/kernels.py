"""The ``kernels`` readout: what a user of decoded series gives up in class information.

MiniROCKET features (Dempster, Schmidt and Webb, KDD 2021, by aeon) and a ridge classifier whose
penalty is chosen by leave-one-out on train. Labels are used here only.
"""

import hashlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
import torch

from twincode.errors import TwincodeError, TwincodeWarning, installing
from twincode.evaluate.metric import Evaluator, Judged, Labels, Metric
from twincode.evaluate.reconstruction import decoded_series
from twincode.settings import Settings

SHORTEST = 9  # length of MiniROCKET's kernels
PENALTIES = np.logspace(-3, 3, 10)
SERIES_AT_ONCE = 2048  # of test, whose features are many times as large

Floats = npt.NDArray[np.floating]

_ALONE = threading.Lock()

# Accuracies from original series, which many models share, by what they were measured on.
_ORIGINAL: dict[str, float] = {}


@dataclass(frozen=True)
class KernelsSettings(Settings):
    """Number of ``kernels`` features, and of train series the classifier learns from at most."""

    kernels: int = 10_000
    kernels_series: int = 2000
    kernels_seed: int = 0

    def __post_init__(self) -> None:
        self.check_at_least(84, "kernels")  # MiniROCKET has so many kinds of kernel
        self.check_at_least(2, "kernels_series")
        self.check_at_least(0, "kernels_seed")


class Kernels(Evaluator):
    """What decoded series still tell of the classes: see ``kernels_accuracy``.

    Measured at the end of a run alone, and not without aeon.
    """

    metrics = (
        Metric("kernels", "Accuracy of decoded series", better="higher", labels=True),
        Metric("retained_accuracy", "Retained accuracy", better="higher", labels=True),
    )
    at_the_end = True
    settings: KernelsSettings

    def measure(self, judged: Judged) -> dict[str, float]:
        """Accuracy from decoded series, and over that from the original ones unless that is 0.

        Nothing without a decoder, or labels of at least two classes in train.
        """
        split = judged.split
        if not judged.tokenizer.has_decoder or split.y_train is None or split.y_test is None:
            return {}
        if find_spec("aeon") is None:
            message = f"accuracy of decoded series is left out, it needs aeon: {installing('aeon')}"
            warnings.warn(message, TwincodeWarning, stacklevel=2)
            return {}
        draw = np.random.default_rng(self.settings.kernels_seed)
        rows = np.sort(draw.permutation(len(split.y_train))[: self.settings.kernels_series])
        labels = split.y_train[rows], split.y_test
        if len(np.unique(labels[0])) < 2:
            return {}
        original = split.x_train[rows], split.x_test
        latents = judged.train.latents[rows], judged.test.latents
        pairs = zip(original, latents, strict=True)
        decoded = [decoded_series(judged.tokenizer, *pair).numpy() for pair in pairs]
        accuracy = self._accuracy(decoded, labels)
        of_original = self._of_original([part.cpu().numpy() for part in original], labels)
        found = {"kernels": accuracy}
        if of_original:
            found["retained_accuracy"] = accuracy / of_original
        return found

    def _accuracy(self, parts: list[Floats], labels: tuple[Labels, Labels]) -> float:
        train, test = parts
        own = self.settings
        return kernels_accuracy(train, labels[0], test, labels[1], own.kernels_seed, own.kernels)

    def _of_original(self, parts: list[Floats], labels: tuple[Labels, Labels]) -> float:
        known = hashlib.sha256(repr((self.settings, *(each.shape for each in parts))).encode())
        for array in (*parts, *labels):
            known.update(array.tobytes())
        name = known.hexdigest()
        if name not in _ORIGINAL:
            _ORIGINAL[name] = self._accuracy(parts, labels)
        return _ORIGINAL[name]


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
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(train_labels)) < 2:
        raise TwincodeError("the kernels readout needs at least two classes in train")
    features = fitted_minirocket(train, seed, kernels)
    ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=PENALTIES))
    ridge.fit(features(train), train_labels)
    parts = [slice(i, i + SERIES_AT_ONCE) for i in range(0, len(test), SERIES_AT_ONCE)]
    found = np.concatenate([ridge.predict(features(test[part])) for part in parts])
    return float(np.mean(found == test_labels))


def fitted_minirocket(x: Floats, seed: int, kernels: int) -> Callable[[Floats], Floats]:
    """MiniROCKET fitted to series (n, C, L): what makes features (n, kernels) of any."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    transform = MiniRocket(n_kernels=kernels, random_state=seed)
    with nothing_else_moved():
        transform.fit(_padded(x))

    def features(x: Floats) -> Floats:
        with nothing_else_moved():
            return np.asarray(transform.transform(_padded(x)))

    return features


@contextmanager
def nothing_else_moved() -> Iterator[None]:
    """NumPy's global stream, which MiniROCKET draws from, and torch's number of threads, which its
    compiled code changes and rounding depends on, are as before."""
    with _ALONE:
        stream, threads = np.random.get_state(), torch.get_num_threads()  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(stream)  # noqa: NPY002
            torch.set_num_threads(threads)


def _padded(x: Floats) -> Floats:
    if x.ndim != 3:
        raise TwincodeError(f"series must be (n, channels, steps), not {x.shape}")
    missing = SHORTEST - x.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (0, missing)), mode="edge") if missing > 0 else x
    return np.ascontiguousarray(padded, dtype=np.float32)
