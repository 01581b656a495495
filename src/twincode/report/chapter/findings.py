"""What a study of many systems found, in a few computed sentences."""

from collections.abc import Callable, Iterable, Sequence

from twincode.report.chapter.answer import against
from twincode.report.chapter.costs import Cost, peak_memory, step_ratio
from twincode.report.chapter.markdown import listed, plural, points
from twincode.report.chapter.prose import (
    SIGNIFICANT,
    agreement,
    better_count,
    mean_direction,
    tally,
)
from twincode.report.chapter.systems import (
    CONTROLS,
    GAINS,
    between_means,
    error_ratio,
    memory_text,
    ratio_text,
)
from twincode.report.figures_metrics import COST
from twincode.report.metrics import metric_of, p_text
from twincode.report.models import AUGMENTED_RECIPE, NAIVE_RECIPE, Model
from twincode.report.paired import Difference
from twincode.report.results import Results
from twincode.report.statistics import smallest_p

_PROBES = "linear SVM, 5-NN"


def findings(results: Results, found: Sequence[Difference], costs: Sequence[Cost]) -> str:
    """Gains, extremes, cost, augmentation alone, controls, and what the tests can say at all."""
    systems = [model for model in results.models if _is_system(model)]
    own = [entry for entry in found if entry.model in systems]
    lines = [
        _codes(own, NAIVE_RECIPE, f"Codes, against the naive model** ({_PROBES})"),
        *(_extremes(results, against(own, NAIVE_RECIPE, name), costs) for name in GAINS),
        _error(results, against(own, NAIVE_RECIPE, COST)),
        _codes(own, AUGMENTED_RECIPE, f"Twin losses, against augmentation alone** ({_PROBES})"),
        *(_controls(results, systems, name) for name in GAINS),
        _step_and_memory(systems, costs),
        power_sentence(against(found, NAIVE_RECIPE, GAINS[0])),
    ]
    return points(line for line in lines if line)


def power_sentence(found: Sequence[Difference]) -> str:
    """That no test can call a difference significant, where that is so.

    ``found`` are the differences from one base by one metric: as many as Holm's correction is for.
    """
    texts = []
    for twin, words in ((True, "with a twin loss"), (False, "without")):
        tested = [entry for entry in found if entry.p is not None and entry.model.twin == twin]
        least = smallest_p(max((entry.datasets for entry in tested), default=1))
        if tested and len(tested) * least >= SIGNIFICANT:
            floor = p_text(min(1.0, len(tested) * least))
            texts.append(f"{floor} over {plural(len(tested), 'model')} {words}")
    if not texts:
        return ""
    datasets = max(entry.datasets for entry in found)
    return (
        f"**What the tests can say**: over {plural(datasets, 'data set')} a signed-rank test can "
        f"give no p below {p_text(smallest_p(datasets))}, which Holm's correction raises to at "
        f"least {listed(texts)}. No difference among these can be significant, however large, and "
        "what is not significant is not thereby absent."
    )


def _is_system(model: Model) -> bool:
    return model.trained and model.method not in (NAIVE_RECIPE, AUGMENTED_RECIPE)


def _codes(found: Sequence[Difference], base: str, words: str) -> str:
    probed = [entry for name in GAINS for entry in against(found, base, name)]
    return f"**{words}: {tally(probed)}{agreement(probed)}" if probed else ""


def _extremes(results: Results, group: Sequence[Difference], costs: Sequence[Cost]) -> str:
    """How many systems gain, which the most at what cost, which the least."""
    if not group:
        return ""
    gaining = sum(mean_direction(entry) > 0 for entry in group)
    most, least = (choose(group, key=lambda entry: entry.mean) for choose in (max, min))
    start = (
        f"**{most.metric.title}**: {gaining} of {plural(len(group), 'system')} "
        f"{'gains' if gaining == 1 else 'gain'} on the naive model in the mean. The highest is "
        f"{_at(most)}{_price(results, most.model, costs)}"
    )
    return f"{start}; the lowest {_at(least)}." if len(group) > 1 else f"{start}."


def _at(entry: Difference) -> str:
    return (
        f"{entry.model.label} ({entry.mean_text}, for the better on {better_count(entry)} of "
        f"{plural(entry.datasets, 'data set')})"
    )


def _price(results: Results, model: Model, costs: Sequence[Cost]) -> str:
    """``, at 1.48 times the naive model's reconstruction error``."""
    ratios = (
        (error_ratio(results, model), "reconstruction error"),
        (step_ratio(costs, model.method), "time a step"),
    )
    known = [f"{ratio_text(ratio)} times the {words}" for ratio, words in ratios if ratio > 0]
    return f", at {listed(known)}" if known else ""


def _error(results: Results, group: Sequence[Difference]) -> str:
    if not group:
        return ""
    ratios = {entry.model.label: error_ratio(results, entry.model) for entry in group}
    return (
        f"**Reconstruction, against the naive model**: {tally(group)} The error is "
        f"{_span(ratios, ratio_text)} times the naive model's.{agreement(group)}"
    )


def _step_and_memory(systems: Iterable[Model], costs: Sequence[Cost]) -> str:
    steps = {model.label: step_ratio(costs, model.method) for model in systems}
    sizes = {model.label: peak_memory(costs, model.method) for model in systems}
    if not any(ratio > 0 for ratio in steps.values()):
        return ""
    return (
        f"**Time and memory**: a training step takes {_span(steps, ratio_text)} times as long as "
        f"the naive model's; training needs {_span(sizes, memory_text)}, the naive model "
        f"{memory_text(peak_memory(costs, NAIVE_RECIPE))}."
    )


def _controls(results: Results, systems: Sequence[Model], name: str) -> str:
    """How many systems the untrained controls beat in the mean."""
    texts = []
    for method, words in CONTROLS.items():
        control = results.of_method(method)
        pairs = [between_means(results, name, model, control) for model in systems if control]
        below = [pair.mean < 0 for pair in pairs if pair]
        if below:
            texts.append(f"that of the {words} for {sum(below)} of {plural(len(below), 'system')}")
    title = metric_of(name).title
    return f"**{title}, beside the controls**: the mean is below {listed(texts)}." if texts else ""


def _span(values: dict[str, float], written: Callable[[float], str]) -> str:
    """``0.98 (VAE) to 1.60 (SimCLR)``; what has no value is left out."""
    known = {label: value for label, value in values.items() if value > 0}
    low, high = (choose(known, key=known.__getitem__) for choose in (min, max))
    ends = [f"{written(known[label])} ({label})" for label in dict.fromkeys((low, high))]
    return " to ".join(ends)
