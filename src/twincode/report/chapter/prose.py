"""Sentences computed from paired differences: which way, how sure, on how many data sets."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from twincode.report.chapter.markdown import listed, plural
from twincode.report.metrics import Metric, decimals_for, number, p_text, signed
from twincode.report.models import Model
from twincode.report.paired import Difference, difference_text
from twincode.report.statistics import FEWEST, FEWEST_SEEDS, half_interval, margin

SIGNIFICANT = 0.05
_DIGITS = frozenset("123456789")
_WORDS = {1: "better", -1: "worse", 0: "equal"}


def direction(metric: Metric, value: float) -> int:
    """1 where a difference is for the better, -1 for the worse, 0 for neither."""
    towards = {"higher": 1, "lower": -1}.get(metric.better, 0)
    return towards * ((value > 0) - (value < 0))


def mean_direction(entry: Difference) -> int:
    """The direction of a mean difference, 0 where it is written as zero."""
    return direction(entry.metric, entry.mean) if any(c in _DIGITS for c in entry.mean_text) else 0


def short_names(models: Iterable[Model]) -> dict[str, str]:
    """What tells models apart in running text, by label: gammas of one method, else labels."""
    models = list(models)
    one_method = len({model.method for model in models if model.twin}) == 1
    return {
        model.label: f"γ = {model.gamma:g}" if model.twin and one_method else model.label
        for model in models
    }


def _named(found: Sequence[Difference]) -> dict[str, str]:
    return short_names(entry.model for entry in found)


def differences_sentence(found: Sequence[Difference]) -> str:
    """One metric of several models against the same base, in words."""
    first = found[0]
    return (
        f"**{first.metric.title}** against {_quoted(first.base)}: {_directions(found)}"
        f"; {_counts(found)}. {_tests(found)}{agreement(found)}"
    )


def tally(found: Sequence[Difference]) -> str:
    """How many differences are for the better and the worse, and how many of them for certain."""
    ways = [mean_direction(entry) for entry in found]
    start = (
        f"of {plural(len(found), 'comparison')} the mean is for the better in {ways.count(1)} and "
        f"for the worse in {ways.count(-1)}"
    )
    sure = [mean_direction(e) for e in found if e.holm is not None and e.holm < SIGNIFICANT]
    if all(entry.holm is None for entry in found):
        return f"{start}; too few data sets for a test, which needs {FEWEST}."
    return (
        f"{start}; after Holm's correction {_so_many(sure.count(1))} significantly better and "
        f"{_so_many(sure.count(-1))} significantly worse."
    )


def has_intervals(found: Sequence[Difference]) -> bool:
    """Whether any data set has an interval over seeds."""
    return any(
        half_interval(value.spread, value.count) is not None
        for entry in found
        for value in entry.by_dataset.values()
    )


def losses(found: Sequence[Difference]) -> list[str]:
    """Each data set and model whose 95 % interval over seeds lies wholly on the worse side."""
    lines, names = [], _named(found)
    for entry in found:
        for dataset, value in entry.by_dataset.items():
            if _sure_side(entry, dataset) < 0:
                decimals = decimals_for(entry.metric.name, [value.mean])
                size = difference_text(value, decimals)
                lines.append(f"{dataset}, {names[entry.model.label]}: {entry.metric.title} {size}")
    return lines


def _quoted(model: Model) -> str:
    return f"“{model.label}”"


def _directions(found: Sequence[Difference]) -> str:
    """``better in the mean at γ = 0.5 (+0.012) and γ = 1 (+0.020), worse at γ = 2 (−0.003)``."""
    parts, names = [], _named(found)
    for way, word in _WORDS.items():
        own = [entry for entry in found if mean_direction(entry) == way]
        if own:
            named = [f"{names[entry.model.label]} ({entry.mean_text})" for entry in own]
            parts.append(f"{word} in the mean for {listed(named)}")
    return ", ".join(parts)


def _counts(found: Sequence[Difference]) -> str:
    """``for the better on 5, 6 and 4 of 7 data sets``."""
    sizes = {entry.datasets for entry in found}
    better = [better_count(entry) for entry in found]
    if len(sizes) == 1:
        (size,) = sizes
        return f"for the better on {listed([str(b) for b in better])} of {_datasets(size)}"
    each = [f"{b} of {entry.datasets}" for b, entry in zip(better, found, strict=True)]
    return f"for the better on {listed(each)} data sets"


def better_count(entry: Difference) -> int:
    """On how many data sets a difference is for the better."""
    return sum(direction(entry.metric, each.mean) > 0 for each in entry.by_dataset.values())


def _tests(found: Sequence[Difference]) -> str:
    tested = [entry for entry in found if entry.holm is not None]
    if not tested:
        return f"Too few data sets for a test, which needs {FEWEST}."
    sure = [entry for entry in tested if (entry.holm or 0.0) < SIGNIFICANT]
    if sure:
        names = _named(found)
        named = [f"{names[entry.model.label]} (p {_p(entry.holm or 0.0)})" for entry in sure]
        return f"After Holm's correction the difference is significant for {listed(named)}."
    smallest = min(entry.holm or 0.0 for entry in tested)
    if len(tested) == 1:
        return f"The difference is not significant (p {_p(smallest)})."
    return (
        f"After Holm's correction none of the {len(tested)} differences is significant "
        f"(smallest p {_p(smallest)})."
    )


def agreement(found: Sequence[Difference]) -> str:
    """On how many single data sets the seeds agree: by an interval, or both of two."""
    cases = [(entry, dataset) for entry in found for dataset in entry.by_dataset]
    of_two = [_agreed_side(*case) for case in cases if _count(*case) == 2]
    of_more = [_sure_side(*case) for case in cases if _count(*case) >= FEWEST_SEEDS]
    return _interval_sentence(of_more) + _agreement_sentence(of_two)


def _interval_sentence(sides: Sequence[int]) -> str:
    if not sides:
        return ""
    return (
        f" On single data sets the 95 % interval over seeds lies wholly on the better side in "
        f"{sides.count(1)} and wholly on the worse side in {sides.count(-1)} of "
        f"{plural(len(sides), 'case')}."
    )


def _agreement_sentence(sides: Sequence[int]) -> str:
    if not sides:
        return ""
    return (
        f" On single data sets both seeds are for the better in {sides.count(1)} and for the worse "
        f"in {sides.count(-1)} of {plural(len(sides), 'case')}; by chance alone it would be a "
        "quarter each."
    )


def _count(entry: Difference, dataset: str) -> int:
    return entry.by_dataset[dataset].count


def _agreed_side(entry: Difference, dataset: str) -> int:
    """The direction of a data set's difference where both of its two seeds have it, else 0."""
    value = entry.by_dataset[dataset]
    return direction(entry.metric, value.mean) if abs(value.mean) > (margin(value) or 0.0) else 0


def _sure_side(entry: Difference, dataset: str) -> int:
    """The direction of a data set's difference where its interval leaves out zero, else 0."""
    value = entry.by_dataset[dataset]
    half = half_interval(value.spread, value.count)
    if half is None or abs(value.mean) <= half:
        return 0
    return direction(entry.metric, value.mean)


def explained_sentence(alone: Difference, whole: Sequence[Difference]) -> str:
    """How much of the twin models' difference augmentation alone makes, on shared data sets."""
    shared = [
        dataset
        for dataset in alone.by_dataset
        if all(dataset in entry.by_dataset for entry in whole)
    ]
    if not shared:
        return ""
    means = [
        fmean(entry.by_dataset[dataset].mean for dataset in shared) for entry in (alone, *whole)
    ]
    decimals, names = decimals_for(alone.metric.name, means), _named(whole)
    each = [
        f"{signed(mean, decimals)} ({names[entry.model.label]})"
        for mean, entry in zip(means[1:], whole, strict=True)
    ]
    return (
        f"{alone.metric.title}: augmentation alone changes the mean over "
        f"{_datasets(len(shared))} by {signed(means[0], decimals)}; with the twin loss it changes "
        f"by {listed(each)}."
    )


def best_gamma_sentence(
    metric: Metric,
    models: Sequence[Model],
    values: Callable[[str, Model], float],
    datasets: Sequence[str],
) -> str:
    """On how many data sets each gamma is the best, ties counting for each."""
    counts = dict.fromkeys(models, 0)
    choose = max if metric.better == "higher" else min
    for dataset in datasets:
        best = choose(values(dataset, model) for model in models)
        for model in models:
            counts[model] += values(dataset, model) == best
    names = short_names(models)
    each = [f"{names[model.label]} on {count}" for model, count in counts.items()]
    return f"{metric.title} is best at {listed(each)} of {_datasets(len(datasets))}"


def range_text(values: Sequence[float], decimals: int) -> str:
    """``0.81`` or ``0.81 to 0.84``."""
    low, high = number(min(values), decimals), number(max(values), decimals)
    return low if low == high else f"{low} to {high}"


def p_equals(p: float) -> str:
    """``= 0.031`` or ``< 0.001``."""
    return _p(p)


def _p(p: float) -> str:
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def _so_many(count: int) -> str:
    return {0: "none is", 1: "1 is"}.get(count, f"{count} are")


def _datasets(count: int) -> str:
    return plural(count, "data set")
