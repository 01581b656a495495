"""Every metric of every row of one table: priors, and the controls beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from twincode.errors import TwincodeError
from twincode.evaluate.generation.classes import agreement, inception_score
from twincode.evaluate.generation.extractor import (
    CPU,
    Budget,
    Extractor,
    RandomConvolutions,
    Seen,
    kept_accuracy,
    kept_classifier,
    train_classifier,
)
from twincode.evaluate.generation.frechet import frechet_distance, relative_frechet_distance
from twincode.evaluate.generation.memory import memorised, nearest_distances, repeated_share
from twincode.evaluate.generation.neighbours import neighbour_scores
from twincode.evaluate.generation.series import (
    autocorrelation_difference,
    marginal_distance,
    spread,
)
from twincode.evaluate.generation.two_samples import (
    MOST_SERIES,
    discriminative,
    forecast_errors,
    maximum_mean_discrepancy,
    median_distance,
    predictive,
)
from twincode.evaluate.metric import Metric
from twincode.precision import PRECISIONS
from twincode.settings import Settings, added

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]

EXTRACTORS = ("fcn", "random")
TRAIN = "train"  # the row that is the same for every model
REFERENCES = ("test", TRAIN)
FEWEST_SAMPLES = 256
CAS_SAMPLES = 1000

BITS, PSEUDO_BITS = "bits_per_dimension", "pseudo_bits"

GENERATION_METRICS = (
    Metric("fid", "FID", better="lower"),
    Metric("spread", "Spread within classes"),
    Metric("recall", "Recall", better="higher"),
    Metric("memorised_distance", "Distance to train, over test's"),
    Metric("memorised_share", "Share nearer to train than test is", better="lower"),
    Metric("repeated_share", "Share of grids that are in train"),
    Metric(BITS, "Bits a dimension of test", better="lower"),
    Metric(PSEUDO_BITS, "Bits a token, given all others"),
    Metric("precision", "Precision", better="higher"),
    Metric("density", "Density", better="higher"),
    Metric("coverage", "Coverage", better="higher"),
    Metric("fid_relative", "FID over the features' variance", better="lower"),
    Metric("fid_train", "FID to train", better="lower"),
    Metric("inception_score", "Inception score", better="higher"),
    Metric("inception_score_whole", "Inception score, not in parts", better="higher"),
    Metric("agreement", "Share of the class asked for", better="higher", labels=True),
    Metric("mmd", "MMD", better="lower"),
    Metric("cas", "Accuracy of a classifier of samples", better="higher", labels=True),
    Metric("cas_both", "Accuracy of one of samples and train", better="higher", labels=True),
    Metric("discriminative", "Accuracy of telling apart, less 1/2", better="lower"),
    Metric("discriminative_auc", "Area under the curve of telling apart", better="lower"),
    Metric("predictive", "Error of forecasts learnt from samples, over train's", better="lower"),
    Metric("marginal_distance", "Distance of values", better="lower"),
    Metric("autocorrelation_difference", "Difference of autocorrelations", better="lower"),
)


@dataclass(frozen=True)
class GenerationSettings(Settings):
    """How generated series are judged.

    ``samples`` is their number, 0 for as many as test has, at least 256. Features are those of
    ``extractor_seeds`` extractors, ``fcn`` (``random`` where there are no labels), each trained in
    ``extractor_steps``, computing in ``extractor_precision``. ``cas`` trains two classifiers for
    every row in the same way, on as many series as train has, at least 1000. ``reference`` is the
    part that rows are compared with: ``test``, or ``train``, of which a fifth takes test's place.
    """

    samples: int = 0
    extractor: str = "fcn"
    extractor_seeds: int = 3
    extractor_steps: int = 500
    extractor_precision: str = added("float32", before="float32")
    cas: bool = False
    generation_seed: int = 0
    reference: str = added("test", before="test")

    def __post_init__(self) -> None:
        self.check_at_least(0, "samples", "generation_seed")
        if self.samples == 1:
            raise TwincodeError("samples must be 0, for as many as test has, or at least 2")
        self.check_at_least(1, "extractor_seeds", "extractor_steps")
        self.check_choice("extractor", EXTRACTORS)
        self.check_choice("extractor_precision", PRECISIONS)
        self.check_choice("reference", REFERENCES)

    def budget(self, seed: int, device: torch.device) -> Budget:
        """That of a classifier."""
        return Budget(self.extractor_steps, seed, self.extractor_precision, device)

    def number(self, n_test: int) -> int:
        """How many series a row has."""
        return self.samples or max(n_test, FEWEST_SAMPLES)

    def lesson(self, n_train: int) -> int:
        """How many series of a row the classifiers of ``cas`` learn from, at most."""
        return max(n_train, CAS_SAMPLES) if self.cas else 0


class Row(NamedTuple):
    """A set of scaled series (n, C, L), their tokens (n, N), and the classes (n,) they are of."""

    name: str
    series: Floats
    tokens: Labels
    labels: Labels | None = None


class Real(NamedTuple):
    """The parts of data, and what codes make of them: ``copies`` of train, ``reconstruction`` of
    test."""

    train: Row
    test: Row
    copies: Row
    reconstruction: Row


class Score(NamedTuple):
    """One number; ``deviation`` is over extractors, 0 where there is none."""

    row: str
    metric: str
    value: float
    deviation: float


def some_rows(n: int, most: int, seed: int) -> NDArray[np.integer]:
    """At most so many of n rows, each once, in no order: files may lie sorted by class."""
    return np.random.default_rng(seed).permutation(n)[:most]


def judge_rows(
    rows: Iterable[Row],
    real: Real,
    lessons: Mapping[str, Row],
    classes: int,
    extractors: Sequence[Extractor],
    settings: GenerationSettings,
    device: torch.device = CPU,
    folder: Path | None = None,
) -> list[Score]:
    """All scores of all rows, each against test; what is fitted is fitted on train.

    Scores of features are means over ``extractors``; of test the inception scores, the ceiling of
    these, come last. Classifiers learn from what ``lessons`` have under a row's name, or from the
    row, on ``device``; what they come to is kept in ``folder``, if one is given, so that judging
    goes on where it was stopped. What needs labels is left out where a row has none.
    """
    seed = settings.generation_seed
    told = [_Features.of(each, real, seed) for each in extractors]
    plain = _Plain.of(real)
    scores = []
    for row in rows:
        found = plain.judge(row, seed)
        each = [features.judge(row, settings) for features in told]
        if settings.cas:
            lesson = lessons.get(row.name, row)
            found |= _accuracies(lesson, real, classes, settings, device, folder)
        scores += [Score(row.name, name, value, 0.0) for name, value in found.items()]
        scores += _means(row.name, each)
    return scores + _means(real.test.name, [features.ceiling(seed) for features in told])


def _means(row: str, each: Sequence[Mapping[str, float]]) -> list[Score]:
    """The mean over extractors of what each has found, and the deviation."""
    values = {name: [own[name] for own in each] for name in each[0]}
    return [Score(row, name, float(np.mean(v)), float(np.std(v))) for name, v in values.items()]


def _accuracies(
    row: Row,
    real: Real,
    classes: int,
    settings: GenerationSettings,
    device: torch.device,
    folder: Path | None,
) -> dict[str, float]:
    """How well test is told by what has seen a row, and the row and train; none without labels."""
    train, test = real.train, real.test
    if row.labels is None or train.labels is None or test.labels is None:
        return {}
    most = settings.lesson(len(train.series))
    some = np.sort(some_rows(len(row.series), most, settings.generation_seed))
    own = row.series[some], row.labels[some]
    budget = settings.budget(settings.generation_seed, device)
    both = np.concatenate([own[0], train.series]), np.concatenate([own[1], train.labels])
    judged = test.series, test.labels
    return {
        name: train_classifier(x, y, classes, budget).accuracy(*judged)
        if folder is None
        else kept_accuracy(folder, x, y, judged, classes, budget)
        for name, (x, y) in (("cas", own), ("cas_both", both))
    }


class _Plain(NamedTuple):
    """Real series, the deviation of each channel in train, and what train and test tell of each
    other: the errors of forecasts learnt from train, the distances of test to train by codes."""

    real: Real
    deviation: Floats
    usual: Floats
    distances: Floats

    @classmethod
    def of(cls, real: Real) -> "_Plain":
        deviation = real.train.series.std((0, 2))
        usual = forecast_errors(real.train.series, real.test.series)
        distances = nearest_distances(real.reconstruction.series, real.copies.series)
        return cls(real, np.where(deviation < 1e-12, 1, deviation), usual, distances)

    def judge(self, row: Row, seed: int) -> dict[str, float]:
        """What the series themselves, and their grids, tell of a row."""
        x, test, copies = row.series, self.real.test, self.real.copies
        return {
            "spread": spread(x, test.series, row.labels, test.labels),
            **memorised(nearest_distances(x, copies.series), self.distances),
            **discriminative(x, test.series, seed),
            "predictive": predictive(forecast_errors(x, test.series), self.usual),
            "marginal_distance": marginal_distance(x, test.series, self.deviation),
            "autocorrelation_difference": autocorrelation_difference(x, test.series),
            "repeated_share": repeated_share(row.tokens, copies.tokens),
        }


class _Features(NamedTuple):
    """An extractor, and what it makes of train and test; a scale taken from train."""

    extractor: Extractor
    train: Floats
    test: Seen
    scale: float

    @classmethod
    def of(cls, extractor: Extractor, real: Real, seed: int) -> "_Features":
        train, test = (extractor.look(part.series) for part in (real.train, real.test))
        some = some_rows(len(train.features), MOST_SERIES, seed)
        return cls(extractor, train.features, test, median_distance(train.features[some]))

    def ceiling(self, seed: int) -> dict[str, float]:
        """The inception scores that test itself has, where classes are known."""
        return {} if self.test.probabilities is None else _inception(self.test.probabilities, seed)

    def judge(self, row: Row, settings: GenerationSettings) -> dict[str, float]:
        """What features, and classes where they are known, tell of a row."""
        own, p = self.extractor.look(row.series)
        test, seed = self.test.features, settings.generation_seed
        n = min(len(own), len(test), MOST_SERIES)
        draw = np.random.default_rng(seed)
        some, real = (x[draw.permutation(len(x))[:n]] for x in (own, test))
        found = {
            "fid": frechet_distance(own, test),
            "fid_relative": relative_frechet_distance(own, test),
            "fid_train": frechet_distance(own, self.train),
            **neighbour_scores(some, real),
            "mmd": maximum_mean_discrepancy(some, real, self.scale),
        }
        if p is None:
            return found
        found |= _inception(p, seed)
        if row.labels is not None:
            found["agreement"] = agreement(p, row.labels)
        return found


def _inception(p: Floats, seed: int) -> dict[str, float]:
    return {
        "inception_score": inception_score(p, 10, seed),
        "inception_score_whole": inception_score(p, 1, seed),
    }


def make_extractors(
    train: Row,
    classes: int,
    settings: GenerationSettings,
    folder: Path | None = None,
    device: torch.device = CPU,
) -> Sequence[Extractor]:
    """What the settings ask for, trained on ``train``; they depend on the data and device alone.

    Trained ones are kept in ``folder``, if one is given, and are not trained there again.
    """
    first = settings.generation_seed
    seeds = range(first, first + settings.extractor_seeds)
    if settings.extractor == "random" or train.labels is None or classes < 2:
        return [RandomConvolutions(train.series, seed) for seed in seeds]
    given = train.series, train.labels, classes
    budgets = [settings.budget(seed, device) for seed in seeds]
    if folder is None:
        return [train_classifier(*given, budget) for budget in budgets]
    return [kept_classifier(folder, *given, budget) for budget in budgets]
