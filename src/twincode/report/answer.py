"""The answer to the study's question in words, computed from the results and nothing else.

A difference counts only where it exceeds the spread of a difference between two runs, the root of
the two squared standard deviations over seeds. That is a rule of thumb, not a test. No gamma is
chosen: every one that was run is named.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import hypot

from twincode.report.metrics import ACCURACY_DECIMALS, NO_BREAK, mean_and_spread, number
from twincode.report.models import (
    AUGMENTED_RECIPE,
    NAIVE_RECIPE,
    RAW_RECIPE,
    UNTRAINED_RECIPE,
    Model,
)
from twincode.report.results import Results
from twincode.report.runs import Summary
from twincode.report.tables import value_of

WITHIN = "within the spread between seeds"
UNKNOWN = "of unknown spread"
_CODES = "svm_accuracy"
_COST = "reconstruction"
_VERDICTS = ("higher", "lower", WITHIN, UNKNOWN)
_RATIO_DECIMALS = 2
_LONGEST_UNBROKEN = 24  # letters of a label

Values = dict[str, Summary | None]


@dataclass(frozen=True)
class Answer:
    """What one data set says: a headline, and what lies behind it as (topic, text) pairs."""

    dataset: str
    headline: str
    details: tuple[tuple[str, str], ...]


def answers(results: Results) -> list[Answer]:
    """One answer per data set."""
    return [_answer(results, dataset) for dataset in results.datasets]


def verdict(value: Summary, base: Summary) -> str:
    """``higher``, ``lower``, within the spread between seeds, or of unknown spread."""
    if value.spread is None or base.spread is None:
        return UNKNOWN
    difference = value.mean - base.mean
    if abs(difference) <= hypot(value.spread, base.spread):
        return WITHIN
    return "higher" if difference > 0 else "lower"


def _answer(results: Results, dataset: str) -> Answer:
    models = results.models_on(dataset)
    codes = {model.label: value_of(results, dataset, model.label, _CODES) for model in models}
    costs = {model.label: value_of(results, dataset, model.label, _COST) for model in models}
    details = (
        ("Linear SVM accuracy on the codes", _levels(models, codes)),
        ("Controls under the same probe", _controls(models, codes)),
        ("Against augmentation alone", _against(models, codes, AUGMENTED_RECIPE)),
        ("Against an untrained encoder", _against(models, codes, UNTRAINED_RECIPE)),
        ("Against the raw series", _against(models, codes, RAW_RECIPE)),
        ("Reconstruction error", _cost(models, costs)),
    )
    if any(run.record["dataset"]["classes"] for run in results.of_dataset(dataset)):
        headline = _headline(models, codes)
    else:
        headline = "Without labels the results cannot say what the codes carry of a class."
    headline += _cost_range(models, costs)
    return Answer(dataset, headline, tuple(pair for pair in details if pair[1]))


def _twins(models: Sequence[Model], values: Values) -> list[tuple[Model, Summary]]:
    """The models trained with a twin loss that were measured."""
    return [(model, value) for model in models if model.twin and (value := values[model.label])]


def _level(models: Sequence[Model], values: Values, method: str) -> Summary | None:
    """The number of the first model of ``method``."""
    return next((values[model.label] for model in models if model.method == method), None)


def _headline(models: Sequence[Model], codes: Values) -> str:
    if not any(codes.values()):
        return "No probe of the codes gave a number."
    naive = _level(models, codes, NAIVE_RECIPE)
    twins = _twins(models, codes)
    if not naive or not twins:
        return "There is no pair of a naive and a twin model to compare; the levels stand below."
    found = [verdict(value, naive) for _, value in twins]
    if UNKNOWN in found:
        return "With fewer than two seeds no spread is known, so no difference can be called real."
    return f"Linear SVM accuracy on the codes, against the naive VQ-VAE: {_tally(found)}."


def _tally(found: Sequence[str]) -> str:
    """How often each verdict fell: ``higher for 2 of 3 twin models, lower for 1``."""
    counts = Counter(found)
    named = [word for word in _VERDICTS if counts[word]]
    if len(found) == 1:
        return f"{found[0]} for the one twin model"
    if len(named) == 1:
        return f"{named[0]} for all {len(found)} twin models"
    first, *others = named
    start = f"{first} for {counts[first]} of {len(found)} twin models"
    return ", ".join([start, *(f"{word} for {counts[word]}" for word in others)])


def _text(value: Summary) -> str:
    return mean_and_spread(value.mean, value.spread, ACCURACY_DECIMALS)


def _named(model: Model, text: str) -> str:
    """A model and its number, which stay on one line where the label is short."""
    label = model.label
    if len(label) <= _LONGEST_UNBROKEN:
        label = label.replace(" ", NO_BREAK)
    return NO_BREAK.join([label, text.replace(" ", NO_BREAK)])


def _levels(models: Sequence[Model], codes: Values) -> str:
    """Every trained model's accuracy and its difference from the naive model's."""
    naive = _level(models, codes, NAIVE_RECIPE)
    return _joined(
        _named(model, _text(value)) + _difference(model, value, naive)
        for model in models
        if not _is_control(model) and (value := codes[model.label])
    )


def _controls(models: Sequence[Model], codes: Values) -> str:
    return _joined(
        _named(model, _text(value))
        for model in models
        if _is_control(model) and (value := codes[model.label])
    )


def _is_control(model: Model) -> bool:
    return not model.trained or model.method == AUGMENTED_RECIPE


def _joined(parts: Iterable[str]) -> str:
    text = "; ".join(parts)
    return f"{text}." if text else ""


def _difference(model: Model, value: Summary, naive: Summary | None) -> str:
    if not naive or model.method == NAIVE_RECIPE:
        return ""
    difference = value.mean - naive.mean
    sign = "+" if difference >= 0 else ""
    remark = f", {WITHIN}" if verdict(value, naive) == WITHIN else ""
    return f" ({sign}{number(difference, ACCURACY_DECIMALS)}{remark})"


def _against(models: Sequence[Model], codes: Values, method: str) -> str:
    """The twin models' verdicts against a control.

    Raw series have no seed, so their number has no spread rather than an unknown one.
    """
    base, twins = _level(models, codes, method), _twins(models, codes)
    if not base or not twins:
        return ""
    if method == RAW_RECIPE:
        base = Summary(base.mean, base.spread or 0.0, base.count)
    return f"{_tally([verdict(value, base) for _, value in twins])}."


def _ratios(models: Sequence[Model], costs: Values) -> list[tuple[Model, float]]:
    """Each twin model's reconstruction error as a multiple of the naive model's."""
    naive = _level(models, costs, NAIVE_RECIPE)
    if not naive or naive.mean <= 0:
        return []
    return [(model, value.mean / naive.mean) for model, value in _twins(models, costs)]


def _cost(models: Sequence[Model], costs: Values) -> str:
    naive, ratios = _level(models, costs, NAIVE_RECIPE), _ratios(models, costs)
    if not naive or not ratios:
        return ""
    each = ", ".join(_named(model, f"{ratio:.{_RATIO_DECIMALS}f}×") for model, ratio in ratios)
    found = _tally([verdict(value, naive) for _, value in _twins(models, costs)])
    return f"{each} the naive VQ-VAE's; {found}."


def _cost_range(models: Sequence[Model], costs: Values) -> str:
    ratios = [f"{ratio:.{_RATIO_DECIMALS}f}×" for _, ratio in _ratios(models, costs)]
    if not ratios:
        return ""
    lowest, highest = min(ratios, key=_times), max(ratios, key=_times)
    between = lowest if lowest == highest else f"{lowest} to {highest}"
    return f" Reconstruction error: {between} the naive VQ-VAE's."


def _times(text: str) -> float:
    return float(text.removesuffix("×"))
