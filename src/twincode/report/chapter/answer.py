"""The chapter's first page: what was run, and the answer to the study's question in sentences."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from twincode.config import Config
from twincode.recipes import THESIS_EPOCHS
from twincode.report import provenance
from twincode.report.across import geometric_mean, ratios_to_naive
from twincode.report.chapter.markdown import listed, plural, points, table
from twincode.report.chapter.prose import (
    SIGNIFICANT,
    best_gamma_sentence,
    differences_sentence,
    explained_sentence,
    has_intervals,
    losses,
    p_equals,
    range_text,
    short_names,
    tally,
)
from twincode.report.chapter.settings import epochs, setting, steps, trained_runs
from twincode.report.figures_metrics import COST
from twincode.report.metrics import metric_of
from twincode.report.models import (
    AUGMENTED_RECIPE,
    NAIVE_RECIPE,
    RAW_RECIPE,
    UNTRAINED_RECIPE,
    Model,
)
from twincode.report.paired import Difference, paired_differences
from twincode.report.results import Results
from twincode.report.runs import Summary
from twincode.report.statistics import FEWEST, FEWEST_RANKED, FEWEST_SEEDS, friedman
from twincode.report.tables import value_of

MAIN_METRICS = ("svm_accuracy", "knn5_accuracy", "silhouette", COST)


def protocol(results: Results) -> str:
    """What was run, on what, for how long: every number as the runs stored it."""
    facts = dict(provenance.facts(results))
    lines = [
        f"{plural(len(results.datasets), 'data set')}, each with its own split: see the table.",
        f"Models: {'; '.join(model.label for model in results.models)}. {_seeds(results)}.",
        f"Epochs {epochs(results)}, {steps(results)} optimiser steps a run, batch "
        f"{setting(results, 'training', 'batch_size')}, precision "
        f"{setting(results, 'training', 'precision')}, projector width "
        f"{setting(results, 'objective', 'projector_width')}.",
        f"Computed on {facts['Devices']}; commit {facts['Commit']}; {facts['Versions']}.",
        f"Computing time {facts['Computing time']}; runs: {facts['Finished runs']}.",
    ]
    lines += _budget_lines(results)
    if results.command:
        lines.append(f"Command: `{results.command}`")
    warned = [f"**{warning}**" for warning in provenance.warnings(results)]
    return f"{points([*lines, *warned])}\n\n{_data_table(results)}"


def _budget_lines(results: Results) -> list[str]:
    """How far the budget is from the authors', where it is shorter."""
    shares = [
        _authors_steps(int(run.record["dataset"]["n_train"])) / run.steps
        for run in trained_runs(results)
    ]
    if not shares or max(shares) <= 1:
        return []
    span = " to ".join(dict.fromkeys(f"{end(shares):.0f}" for end in (min, max)))
    return [
        f"**A short budget**: the authors trained for {THESIS_EPOCHS} epochs, "
        f"{span} times as many steps. What follows says how the models begin, not how they end."
    ]


def _authors_steps(train_series: int) -> int:
    return THESIS_EPOCHS * math.ceil(train_series / Config().training.batch_size)


def _data_table(results: Results) -> str:
    """What each data set is and for how long models were trained on it."""
    rows = [
        [
            data.name,
            *(str(number) for number in (data.train, data.test, data.length, data.classes)),
            epochs(results, data.name),
            steps(results, data.name),
            str(_authors_steps(data.train)),
        ]
        for data in provenance.data_facts(results)
    ]
    return table(
        ["", "Train", "Test", "Length", "Classes", "Epochs", "Steps", "Authors' steps"], rows
    )


def answer(results: Results) -> str:
    """The whole answer: gain, cost, augmentation alone, gamma, controls, and where it hurts."""
    found = paired_differences(results)
    parts = [
        ("In short", _summary(results, found)),
        ("What the twin loss gains and costs", _sentences(_twins(found, NAIVE_RECIPE))),
        ("How large the cost is", _cost_lines(results)),
        ("What augmentation alone explains", _augmentation_lines(found)),
        ("Whether γ matters", _gamma_lines(results)),
        ("Beside the controls", _control_lines(results)),
        ("Where a probe loses for certain", _loss_lines(found)),
    ]
    return "\n\n".join(f"### {title}\n\n{points(lines)}" for title, lines in parts if lines)


def _summary(results: Results, found: Sequence[Difference]) -> list[str]:
    """The answer in four lines."""
    naive, augmented = (_twins(found, method) for method in (NAIVE_RECIPE, AUGMENTED_RECIPE))
    lines = []
    for words, groups in (
        ("Codes, against the naive model", naive),
        ("Codes, against augmentation alone", augmented),
    ):
        probed = [entry for group in groups for entry in group if entry.metric.probe]
        if probed:
            lines.append(f"**{words}** (linear SVM, 5-NN, silhouette): {tally(probed)}")
    costs = [entry for group in naive for entry in group if not entry.metric.probe]
    if costs:
        lines.append(f"**Reconstruction, against the naive model**: {tally(costs)}")
    return lines + _gamma_summary(results)


def _gamma_summary(results: Results) -> list[str]:
    p_values = {
        name: p
        for name in MAIN_METRICS
        if (p := _gamma_p(results, _gammas(results), name)) is not None
    }
    if not p_values:
        return []
    apart = [metric_of(name).title for name, p in p_values.items() if p < SIGNIFICANT]
    found = f"differ by {listed(apart)}" if apart else "cannot be told apart by any of the four"
    return [f"**γ**: by Friedman's tests (uncorrected) the γ {found}."]


def against(found: Sequence[Difference], method: str, name: str) -> list[Difference]:
    """The differences from one base by one metric."""
    return [entry for entry in found if entry.base.method == method and entry.metric.name == name]


def _twins(found: Sequence[Difference], method: str) -> list[list[Difference]]:
    """The twin models' differences from one base, a list a metric."""
    groups = [against(found, method, name) for name in MAIN_METRICS]
    own = [[entry for entry in group if entry.model.twin] for group in groups]
    return [group for group in own if group]


def _sentences(groups: Iterable[Sequence[Difference]]) -> list[str]:
    return [differences_sentence(group) for group in groups]


def _cost_lines(results: Results) -> list[str]:
    lines = []
    for model in (model for model in results.models if model.twin):
        known = ratios_to_naive(results, model.label, COST)
        if known:
            lines.append(
                f"{model.label}: the reconstruction error is {geometric_mean(known):.2f} times the "
                f"naive model's (geometric mean over {plural(len(known), 'data set')}; "
                f"{range_text(known, 2)}), and larger on {sum(r > 1 for r in known)} of them."
            )
    return lines


def _augmentation_lines(found: Sequence[Difference]) -> list[str]:
    lines = []
    for name in MAIN_METRICS:
        group = against(found, NAIVE_RECIPE, name)
        alone = [entry for entry in group if entry.model.method == AUGMENTED_RECIPE]
        twins = [entry for entry in group if entry.model.twin]
        if alone and twins:
            lines.append(explained_sentence(alone[0], twins))
    return [line for line in lines if line] + _sentences(_twins(found, AUGMENTED_RECIPE))


def _gammas(results: Results) -> list[Model]:
    """The models that differ by gamma alone; none where several twin losses were run."""
    twins = [model for model in results.models if model.twin]
    return twins if len({model.method for model in twins}) == 1 and len(twins) > 1 else []


def _gamma_lines(results: Results) -> list[str]:
    """For each metric: which gamma is best how often, and whether the gammas differ at all."""
    twins = _gammas(results)
    return [line for name in MAIN_METRICS if (line := _gamma_line(results, twins, name))]


def _gamma_line(results: Results, twins: Sequence[Model], name: str) -> str:
    rows = _complete_rows(results, twins, name)
    if not rows:
        return ""
    place = {model.label: index for index, model in enumerate(twins)}
    best = best_gamma_sentence(
        metric_of(name), twins, lambda each, model: rows[each][place[model.label]], list(rows)
    )
    p = _gamma_p(results, twins, name)
    if p is None:
        return f"{best}; too few data sets or γ for a test."
    found = "differ" if p < SIGNIFICANT else "cannot be told apart"
    return f"{best}; by Friedman's test the γ {found} (p {p_equals(p)})."


def _gamma_p(results: Results, twins: Sequence[Model], name: str) -> float | None:
    """Friedman's p over the gammas; None where there is too little to test."""
    rows = _complete_rows(results, twins, name)
    if len(rows) < FEWEST or len(twins) < FEWEST_RANKED:
        return None
    return friedman(np.array(list(rows.values())))


def _complete_rows(results: Results, models: Sequence[Model], name: str) -> dict[str, list[float]]:
    """Each data set's numbers of the models, where all have one."""
    table = {
        dataset: [v.mean for model in models if (v := _value(results, dataset, model, name))]
        for dataset in results.datasets
    }
    return {dataset: row for dataset, row in table.items() if row and len(row) == len(models)}


def _value(results: Results, dataset: str, model: Model, name: str) -> Summary | None:
    return value_of(results, dataset, model.label, name)


def _control_lines(results: Results) -> list[str]:
    lines = []
    for method, words in (
        (RAW_RECIPE, "the raw series"),
        (UNTRAINED_RECIPE, "an untrained encoder"),
    ):
        control = results.of_method(method)
        for name in ("svm_accuracy", "knn5_accuracy"):
            texts = _above_texts(results, control, name) if control else []
            if texts:
                lines.append(
                    f"{metric_of(name).title} of the codes is above that of {words} on "
                    f"{listed(texts)}."
                )
    return lines


def _above_texts(results: Results, control: Model, name: str) -> list[str]:
    """``5 of 7 data sets (γ = 1)`` for each trained model."""
    texts: list[str] = []
    names = short_names(model for model in results.models if model.trained)
    for model in (model for model in results.models if model.trained):
        better, count = above(results, model, control, name)
        if count:
            of = f"{count} data sets" if not texts else f"{count}"
            texts.append(f"{better} of {of} ({names[model.label]})")
    return texts


def above(results: Results, model: Model, control: Model, name: str) -> tuple[int, int]:
    """On how many data sets a model is above a control, and of how many; means over seeds."""
    pairs = [
        (ours.mean, theirs.mean)
        for dataset in results.datasets
        if (ours := value_of(results, dataset, model.label, name))
        and (theirs := value_of(results, dataset, control.label, name))
    ]
    return sum(ours > theirs for ours, theirs in pairs), len(pairs)


def _loss_lines(found: Sequence[Difference]) -> list[str]:
    """Where a probe's interval lies wholly on the worse side; the error's stand in the tables."""
    probed = [e for group in _twins(found, NAIVE_RECIPE) for e in group if e.metric.probe]
    if not probed:
        return []
    if not has_intervals(probed):
        return [
            f"With fewer than {FEWEST_SEEDS} seeds there is no interval worth the name, so nothing "
            "is certain on a single data set."
        ]
    return losses(probed) or ["Nowhere: by no probe does an interval lie wholly on the worse side."]


def _seeds(results: Results) -> str:
    counts = sorted({run.seed for run in results.runs})
    return f"{plural(len(counts), 'seed').capitalize()}: {', '.join(map(str, counts))}"
