"""What every metric offers, and what it is given to judge."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twincode.data import Split
from twincode.evaluate.readout import minmax_scale
from twincode.settings import Registry, Settings
from twincode.tokenizers import Embedded, Tokenizer

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """One measured quantity, as it is called in results, tables and charts.

    ``better`` is ``higher``, ``lower``, or empty where neither is better in itself; ``labels``
    says that it cannot be measured without labels.
    """

    name: str
    title: str
    better: str = ""
    labels: bool = False


class Measurement(NamedTuple):
    """One number. ``readout`` is empty for a metric that belongs to no readout."""

    readout: str
    metric: str
    value: float


@dataclass(frozen=True)
class Features:
    """What a readout makes of the series: rows (n, features) of train and test, and labels."""

    train: NDArray[np.floating[Any]]
    test: NDArray[np.floating[Any]]
    split: Split

    @cached_property
    def points(self) -> Points:
        """Train, then test (n, features), scaled to [-1, 1] by train's ranges (minmax_scale)."""
        return minmax_scale(self.train, self.test)

    @cached_property
    def centred(self) -> Points:
        """The same less their mean."""
        return self.points - self.points.mean(axis=0)


class Judged(NamedTuple):
    """A frozen tokenizer, the data, and what the one makes of both parts of the other."""

    tokenizer: Tokenizer
    split: Split
    train: Embedded
    test: Embedded


class Evaluator:
    """Some numbers that belong together, by what they look at.

    Made of its settings. ``metrics`` declares what it measures. One that looks at features
    overrides ``probe`` and is asked for every readout; one that looks at the model as a whole
    overrides ``measure``. What cannot be measured here (no labels, no codes, no decoder) is left
    out of the answer.
    """

    def metrics(self) -> Sequence[Metric]:
        """What it measures, in the order of display."""
        raise NotImplementedError

    def probe(self, features: Features) -> dict[str, float]:
        """Numbers by metric name, of one readout."""
        del features
        return {}

    def measure(self, judged: Judged) -> dict[str, float]:
        """Numbers by metric name, of the model."""
        del judged
        return {}


METRICS: Registry[Evaluator, Settings] = Registry("metric", Settings)
