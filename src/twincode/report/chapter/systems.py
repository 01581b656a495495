"""Every system against the naive one: what its codes gain, what it costs."""

from collections.abc import Sequence

from twincode.report.across import geometric_mean, ratio_to_naive
from twincode.report.chapter.markdown import plural, points, table
from twincode.report.figures_metrics import COST
from twincode.report.metrics import MISSING, decimals_for, metric_of, signed
from twincode.report.models import NAIVE_RECIPE, Model
from twincode.report.paired import Difference, paired_differences
from twincode.report.results import Results
from twincode.report.runs import summarise
from twincode.report.tables import value_of

_GAINS = ("svm_accuracy", "knn5_accuracy")
_RATIO_DECIMALS = 2
_MIB = 2**20


def systems_table(results: Results) -> str:
    """A row a trained model: gains with Holm's p, then cost, time, memory and size."""
    found = {
        (entry.model.label, entry.metric.name): entry
        for entry in paired_differences(results, _GAINS)
        if entry.base.method == NAIVE_RECIPE
    }
    rows = [_row(results, model, found) for model in results.models if model.trained]
    gains = [f"{metric_of(name).title}, minus naive" for name in _GAINS]
    return table(["", *gains, "Error, × naive", "Time, × naive", "Peak memory", "Parameters"], rows)


def systems_sentences(results: Results) -> str:
    """How many systems gain, and which gains the most at what cost."""
    found = [
        entry for entry in paired_differences(results, _GAINS) if entry.base.method == NAIVE_RECIPE
    ]
    lines = []
    for name in _GAINS:
        group = [entry for entry in found if entry.metric.name == name]
        if group:
            lines.append(_sentence(results, group))
    return points(lines)


def _sentence(results: Results, group: Sequence[Difference]) -> str:
    gaining = [entry for entry in group if entry.mean > 0]
    most = max(group, key=lambda entry: entry.mean)
    label = most.model.label
    start = (
        f"{most.metric.title}: {len(gaining)} of {plural(len(group), 'system')} "
        f"{'gains' if len(gaining) == 1 else 'gain'} on the naive one in the mean"
    )
    costs = [
        f"{text} times its {words}"
        for name, words in ((COST, "reconstruction error"), ("seconds", "time"))
        if (text := _ratio(results, label, name)) != MISSING
    ]
    at = f", at {' and '.join(costs)}" if costs else ""
    tested = f"p {most.p_text}, Holm {most.holm_text}" if most.p is not None else most.p_text
    word = "most" if most.mean > 0 else "least lost"
    return f"{start}; {label} the {word} ({most.mean_text}, {tested}){at}."


def _row(results: Results, model: Model, found: dict[tuple[str, str], Difference]) -> list[str]:
    return [
        model.label,
        *(_gain(found.get((model.label, name))) for name in _GAINS),
        _ratio(results, model.label, COST),
        _ratio(results, model.label, "seconds"),
        _memory(results, model),
        _parameters(results, model),
    ]


def _gain(entry: Difference | None) -> str:
    if entry is None:
        return MISSING
    text = signed(entry.mean, decimals_for(entry.metric.name, [entry.mean]))
    return text if entry.holm is None else f"{text} (p {entry.holm_text})"


def _ratio(results: Results, label: str, name: str) -> str:
    """The geometric mean over data sets of a number as a multiple of the naive model's."""
    ratios = [ratio_to_naive(results, dataset, label, name) for dataset in results.datasets]
    known = [ratio for ratio in ratios if ratio > 0]
    return f"{geometric_mean(known):.{_RATIO_DECIMALS}f}" if known else MISSING


def _memory(results: Results, model: Model) -> str:
    values = _over_datasets(results, model, "peak_memory")
    return f"{summarise(values).mean / _MIB:,.0f} MiB" if values else MISSING


def _parameters(results: Results, model: Model) -> str:
    values = _over_datasets(results, model, "parameters")
    return f"{summarise(values).mean:,.0f}" if values else MISSING


def _over_datasets(results: Results, model: Model, name: str) -> list[float]:
    return [
        value.mean
        for dataset in results.datasets
        if (value := value_of(results, dataset, model.label, name))
    ]
