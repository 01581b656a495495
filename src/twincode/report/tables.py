"""Comparison tables: numbers for files, cells for the page, a summary for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twincode.report.metrics import (
    MAIN_READOUT,
    MISSING,
    Metric,
    decimals_for,
    mean_and_spread,
    metric_of,
    number,
    table_metrics,
)
from twincode.report.models import Model
from twincode.report.results import Results
from twincode.report.runs import Summary
from twincode.report.statistics import interval, margin

if TYPE_CHECKING:
    import pandas as pd

_FRAME_COLUMNS = [
    *("dataset", "model", "recipe", "gamma", "readout", "metric", "mean", "std"),
    *("interval_low", "interval_high", "runs"),
]
_SUMMARY_METRICS = {
    "svm": "svm_accuracy",
    "knn1": "knn1_accuracy",
    "knn5": "knn5_accuracy",
    "silhouette": "silhouette",
    "reconstruction": "reconstruction",
    "perplexity": "perplexity",
}


@dataclass(frozen=True)
class Cell:
    """One number of a table: mean, spread, the value to sort by, whether it is the best.

    ``hint`` says the interval and the number of seeds to whoever asks.
    """

    mean: str
    spread: str
    sort: str
    best: bool
    hint: str = ""


@dataclass(frozen=True)
class Row:
    """One model of a table."""

    model: Model
    seeds: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Comparison:
    """Models against metrics under one readout, on one data set."""

    readout: str
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...]


def value_of(
    results: Results, dataset: str, label: str, metric: str, readout: str = MAIN_READOUT
) -> Summary | None:
    """A final number over seeds, None where it was not measured or was never finite."""
    belongs = readout if metric_of(metric).probe else ""
    found = results.final.get((dataset, label, belongs, metric))
    return found if found and found.count else None


def values_of(
    results: Results, dataset: str, metric: str, readout: str = MAIN_READOUT
) -> dict[str, Summary]:
    """A final number over seeds of every model that has one, by label."""
    found = {
        model.label: value_of(results, dataset, model.label, metric, readout)
        for model in results.models_on(dataset)
    }
    return {label: value for label, value in found.items() if value}


def metric_names(results: Results, dataset: str, readout: str) -> list[str]:
    """The metrics a comparison under ``readout`` shows; shared ones with the main readout only."""
    names = {
        metric
        for (of, _, belongs, metric), summary in results.final.items()
        if of == dataset and summary.count and belongs in (readout, "")
    }
    shown = table_metrics(sorted(names))
    if readout == MAIN_READOUT:
        return shown
    return [name for name in shown if metric_of(name).probe]


def other_readouts(results: Results, dataset: str) -> list[str]:
    """Readouts beside the main one, in alphabetical order."""
    found = {key[2] for key in results.final if key[0] == dataset}
    return sorted(found - {"", MAIN_READOUT})


def comparison(results: Results, dataset: str, readout: str = MAIN_READOUT) -> Comparison:
    """The table of one data set: a row per model, the best trained model marked per column."""
    models = results.models_on(dataset)
    names = metric_names(results, dataset, readout)
    columns = [cells(results, dataset, readout, name, models) for name in names]
    rows = tuple(
        Row(model, _seed_count(results, dataset, model.label), tuple(cells))
        for model, *cells in zip(models, *columns, strict=True)
        if any(cell.mean != MISSING for cell in cells)
    )
    return Comparison(readout, tuple(metric_of(name) for name in names), rows)


def cells(
    results: Results, dataset: str, readout: str, name: str, models: Sequence[Model]
) -> list[Cell]:
    """One metric of each model as it is written, the best trained one marked."""
    found = [value_of(results, dataset, model.label, name, readout) for model in models]
    decimals = decimals_for(name, [summary.mean for summary in found if summary])
    best = _best_text(name, decimals, zip(models, found, strict=True))
    return [
        _cell(summary, decimals, best if model.trained else None)
        for model, summary in zip(models, found, strict=True)
    ]


def comparison_frame(results: Results, dataset: str) -> pd.DataFrame:
    """Every readout of one data set as plain numbers: one row per model, readout and metric."""
    import pandas as pd

    return pd.DataFrame(list(_frame_rows(results, dataset)), columns=_FRAME_COLUMNS)


def summary_table(results: Results) -> pd.DataFrame:
    """The final numbers as text, one row per data set and model, for a terminal.

    Columns: data set, model, seeds, then ``mean ± spread`` under the main readout.
    """
    import pandas as pd

    rows = [row for dataset in results.datasets for row in _summary_rows(results, dataset)]
    return pd.DataFrame(rows, columns=["data set", "model", "seeds", *_SUMMARY_METRICS])


def _seed_count(results: Results, dataset: str, label: str) -> int:
    return len({run.seed for run in results.of_dataset(dataset) if run.label == label})


def _best_text(
    name: str, decimals: int, pairs: Iterator[tuple[Model, Summary | None]]
) -> str | None:
    """The best mean as it is written, among two trained models or more; equal texts are equal."""
    means = [summary.mean for model, summary in pairs if summary and model.trained]
    better = metric_of(name).better
    if len(means) < 2 or not better:
        return None
    return number(max(means) if better == "higher" else min(means), decimals)


def _cell(summary: Summary | None, decimals: int, best: str | None) -> Cell:
    if summary is None:
        return Cell(MISSING, "", "", False)
    text = number(summary.mean, decimals)
    spread = "" if summary.spread is None else number(summary.spread, decimals)
    return Cell(text, spread, repr(summary.mean), text == best, _hint(summary, decimals))


def _hint(summary: Summary, decimals: int) -> str:
    """The 95 % interval over seeds in words, two seeds as they are, empty for one."""
    half = margin(summary)
    if half is None:
        return ""
    low, high = (number(end, decimals) for end in (summary.mean - half, summary.mean + half))
    if summary.count == 2:
        return f"two seeds: {low} and {high}"
    return f"95 % interval {low} to {high} over {summary.count} seeds"


def _frame_rows(results: Results, dataset: str) -> Iterator[tuple[object, ...]]:
    for model in results.models_on(dataset):
        for (of, label, readout, name), summary in results.final.items():
            if (of, label) == (dataset, model.label):
                spread = math.nan if summary.spread is None else summary.spread
                ends = interval(summary) or (math.nan, math.nan)
                measured = (readout, name, summary.mean, spread, *ends, summary.count)
                yield dataset, label, model.recipe, model.gamma, *measured


def _summary_rows(results: Results, dataset: str) -> Iterator[list[object]]:
    models = results.models_on(dataset)
    columns = [
        _summary_column(results, dataset, name, models) for name in _SUMMARY_METRICS.values()
    ]
    for model, *texts in zip(models, *columns, strict=True):
        yield [dataset, model.label, _seed_count(results, dataset, model.label), *texts]


def _summary_column(
    results: Results, dataset: str, name: str, models: Sequence[Model]
) -> list[str]:
    found = [value_of(results, dataset, model.label, name) for model in models]
    decimals = decimals_for(name, [summary.mean for summary in found if summary])
    return [
        mean_and_spread(summary.mean, summary.spread, decimals) if summary else MISSING
        for summary in found
    ]
