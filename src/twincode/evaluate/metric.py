"""What every metric offers, and what it is given to judge."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twincode.data.split import Split
from twincode.errors import TwincodeError
from twincode.evaluate.blocks import Points
from twincode.evaluate.readout import minmax_scale
from twincode.settings import Registry, Settings
from twincode.tokenizers import Embedded, Tokenizer

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Metric:
    """One measured quantity, as it is called in results, tables and charts.

    ``better`` is ``higher``, ``lower``, or empty where neither is better in itself and for a detail
    of another one; ``labels`` says that it cannot be measured without labels.
    """

    name: str
    title: str
    better: str = ""
    labels: bool = False


class Measurement(NamedTuple):
    """One number. ``readout`` is empty for a metric of the model as a whole."""

    readout: str
    metric: str
    value: float


@dataclass(frozen=True)
class Features:
    """What a readout makes of the series, rows (n, features) of train and test, and their labels.

    Labels (n,) are indices, or None where there are none. Raises TwincodeError for features that
    are not finite.
    """

    train: NDArray[np.floating[Any]]
    test: NDArray[np.floating[Any]]
    y_train: Labels | None
    y_test: Labels | None
    n_classes: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.train).all() and np.isfinite(self.test).all()):
            raise TwincodeError(
                "features to evaluate are not finite; the model has diverged, lower the "
                "learning rate"
            )

    @cached_property
    def points(self) -> Points:
        """Train, then test (n, features), scaled into [-1, 1] by the ranges of train."""
        return minmax_scale(self.train, self.test)

    def centred(self) -> Points:
        """A new array of the same points less their mean."""
        return np.asarray(self.points - self.points.mean(axis=0))


class Judged(NamedTuple):
    """A frozen tokenizer, the data, and what the one makes of both parts of the other."""

    tokenizer: Tokenizer
    split: Split
    train: Embedded
    test: Embedded


class Evaluator:
    """Some numbers that belong together; made of its settings.

    ``metrics`` are what it measures, in the order of display. An evaluator of features overrides
    ``probe``, which is called for every readout; one of the model as a whole overrides ``measure``.
    Both change nothing in what they are given, and leave out what cannot be measured for want of
    labels, codes or a decoder. What takes long says ``at_the_end``, and is not asked on the way.
    """

    metrics: Sequence[Metric]
    at_the_end: bool = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def declare(self, tokenizer: Tokenizer) -> Sequence[Metric]:
        """What it measures of this tokenizer; overridden where ``metrics`` depend on it."""
        del tokenizer
        return self.metrics

    def probe(self, features: Features) -> dict[str, float]:
        """Numbers of one readout, by metric name."""
        del features
        return {}

    def measure(self, judged: Judged) -> dict[str, float]:
        """Numbers of the model, by metric name."""
        del judged
        return {}


# Each is built from its settings.
METRICS: Registry[Evaluator, Settings] = Registry("metric", Settings)
