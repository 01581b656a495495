"""Every system against the naive one: what its codes gain, what it costs, each with controls."""

from collections.abc import Callable, Sequence
from functools import partial

from twincode.report.across import geometric_mean, ratios_to_naive
from twincode.report.chapter.answer import MAIN_METRICS, above, against
from twincode.report.chapter.costs import (
    Cost,
    codes_ratio,
    costs_sentence,
    peak_memory,
    step_ratio,
)
from twincode.report.chapter.markdown import table
from twincode.report.chapter.prose import better_count
from twincode.report.chapter.use import BARELY_USED, use_text
from twincode.report.figures_metrics import COST
from twincode.report.metrics import MISSING, decimals_for, metric_of, signed
from twincode.report.models import (
    AUGMENTED_RECIPE,
    NAIVE_RECIPE,
    RAW_RECIPE,
    UNTRAINED_CONTINUOUS_RECIPE,
    UNTRAINED_RECIPE,
    Model,
)
from twincode.report.paired import Difference
from twincode.report.results import Results
from twincode.report.runs import Summary, summarise
from twincode.report.tables import value_of

GAINS = ("svm_accuracy", "knn5_accuracy")
_RATIO_DECIMALS = 2
_GIB = 2**30
_NO_DIFFERENCE = "0"
CONTROLS = {
    RAW_RECIPE: "raw series",
    UNTRAINED_RECIPE: "untrained encoder",
    UNTRAINED_CONTINUOUS_RECIPE: "untrained encoder without a codebook",
}

Column = tuple[str, Callable[[Model], str]]


def systems_table(results: Results, found: Sequence[Difference], costs: Sequence[Cost]) -> str:
    """A row a model, controls among them: gains, error, code use, step, memory and size."""
    columns: list[Column] = [
        *(
            (f"{metric_of(name).title}, minus naive", partial(_gain, results, found, name))
            for name in GAINS
        ),
        ("Error, × naive", lambda model: ratio_text(error_ratio(results, model))),
        ("Code use", partial(use_text, results)),
    ]
    if costs:
        columns += [
            (
                "Codes, × naive",
                lambda model: ratio_text(codes_ratio(costs, model.method, NAIVE_RECIPE)),
            ),
            ("Step, × naive", lambda model: ratio_text(step_ratio(costs, model.method))),
            ("Peak memory", lambda model: memory_text(peak_memory(costs, model.method))),
        ]
    return _by_model([*columns, ("Parameters", partial(_parameters, results))], results.models)


def systems_note(costs: Sequence[Cost]) -> str:
    """What the numbers of the table are."""
    note = (
        "Gains are means over data sets of differences from the naive model, in brackets on how "
        "many data sets they are for the better and, where tested, Holm's p: those of trained "
        "models paired by seed, those of untrained encoders and the raw series between means. "
        "Error is the geometric mean over data sets of multiples of the naive model's; untrained "
        "decoders are not compared. Code use is the perplexity of a codebook of so many codes (a "
        f"mean where there are several), barely used where it is at most {BARELY_USED:.0%} of "
        "them; of a VAE, the latent values that vary with the series. Parameters are means over "
        "data sets."
    )
    return f"{note} {costs_sentence(costs)}" if costs else note


def augmentation_table(found: Sequence[Difference]) -> str:
    """The twin models minus augmentation alone; empty without such a pair."""
    own = [entry for entry in found if entry.base.method == AUGMENTED_RECIPE]
    cells = {(entry.model.label, entry.metric.name): gain_text(entry) for entry in own}
    columns: list[Column] = [
        (metric_of(name).heading, partial(_cell, cells, name))
        for name in MAIN_METRICS
        if against(own, AUGMENTED_RECIPE, name)
    ]
    return _by_model(columns, list(dict.fromkeys(entry.model for entry in own)))


def controls_table(results: Results) -> str:
    """On how many data sets each trained model is above the untrained controls."""
    columns: list[Column] = [
        (f"{metric_of(name).title} above {words}", partial(_above, results, control, name))
        for method, words in CONTROLS.items()
        for name in GAINS
        if (control := results.of_method(method))
    ]
    return _by_model(columns, [model for model in results.models if model.trained])


def error_ratio(results: Results, model: Model) -> float:
    """The geometric mean over data sets of the error, × naive; NaN of what is not compared."""
    return geometric_mean(ratios_to_naive(results, model.label, COST) if model.trained else [])


def gain_text(entry: Difference) -> str:
    """``+0.012 (6 of 7; p 0.109)``."""
    text = signed(entry.mean, decimals_for(entry.metric.name, [entry.mean]))
    tested = "" if entry.holm is None else f"; p {entry.holm_text}"
    return f"{text} ({better_count(entry)} of {entry.datasets}{tested})"


def ratio_text(ratio: float) -> str:
    """A multiple of the naive model's, a dash where there is none."""
    return f"{ratio:.{_RATIO_DECIMALS}f}" if ratio > 0 else MISSING


def memory_text(size: float) -> str:
    """Bytes in GiB, a dash where nothing was measured."""
    return f"{size / _GIB:.2f} GiB" if size > 0 else MISSING


def _by_model(columns: Sequence[Column], models: Sequence[Model]) -> str:
    """A row a model; empty without models or columns."""
    if not columns or not models:
        return ""
    rows = [[model.label, *(write(model) for _, write in columns)] for model in models]
    return table(["", *(title for title, _ in columns)], rows)


def _gain(results: Results, found: Sequence[Difference], name: str, model: Model) -> str:
    naive = results.of_method(NAIVE_RECIPE)
    if model == naive:
        return _NO_DIFFERENCE
    own = [entry for entry in against(found, NAIVE_RECIPE, name) if entry.model == model]
    entry = own[0] if own or not naive else between_means(results, name, model, naive)
    return gain_text(entry) if entry else MISSING


def between_means(results: Results, name: str, model: Model, base: Model) -> Difference | None:
    """One model's means minus another's, without a test: raw series have no seed to pair."""
    by_dataset = {
        dataset: Summary(ours.mean - theirs.mean, None, 1)
        for dataset in results.datasets
        if (ours := value_of(results, dataset, model.label, name))
        and (theirs := value_of(results, dataset, base.label, name))
    }
    return Difference(model, base, metric_of(name), by_dataset, None) if by_dataset else None


def _cell(cells: dict[tuple[str, str], str], name: str, model: Model) -> str:
    return cells.get((model.label, name), MISSING)


def _above(results: Results, control: Model, name: str, model: Model) -> str:
    better, of = above(results, model, control, name)
    return f"{better} of {of}" if of else MISSING


def _parameters(results: Results, model: Model) -> str:
    sizes = [
        size.mean
        for dataset in results.datasets
        if (size := value_of(results, dataset, model.label, "parameters"))
    ]
    return f"{summarise(sizes).mean:,.0f}" if sizes else MISSING
