"""Paired differences between models, with their test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twincode.report import compare
from twincode.report.blocks import Cell, Choice, Row, Section, Table, Text, number_cell
from twincode.report.figures.differences import paired_differences
from twincode.report.metrics import decimals_for, p_text, signed
from twincode.report.runs import Results

_COLUMNS = ("Model", "Mean difference", "p", "p, Holm", "Higher, lower on", "Data sets", "Pairs")
_NOTE = (
    "A trained model minus the model it is compared with, on the same data set and with the same "
    "seed, at the last epoch. In the mean every data set counts the same. p is from a two-sided "
    f"Wilcoxon signed-rank test over the data sets' mean differences; under {compare.FEWEST} data "
    "sets there is no test, for seeds of one data set are not independent data sets. Holm's "
    "correction is over the models compared by one measure, those with a twin loss apart."
)


def sections(results: Results) -> list[Section]:
    """One section where two models share a data set and a seed."""
    by_dataset = compare.differences(results)
    if by_dataset.empty:
        return []
    table = compare.paired(results, by_dataset)
    measures = {(m.metric.name, m.readout): m for m in results.measures}
    tables = {}
    for (against, metric, readout), part in table.groupby(
        ["against", "metric", "readout"], sort=False
    ):
        title = f"{measures[metric, readout].heading}, against {against}"
        tables[title] = Table(title, _COLUMNS, tuple(_rows(results, part.itertuples(), against)))
    order = [
        f"{m.heading}, against {a}" for a in dict.fromkeys(table.against) for m in measures.values()
    ]
    chosen = {title: tables[title] for title in order if title in tables}
    figure = paired_differences(results, by_dataset)
    blocks = (Text(_NOTE), Choice("Measure", chosen), *([figure] if figure else []))
    return [Section("Paired differences", "paired", blocks)]


def _rows(results: Results, found: Iterable[Any], against: str) -> Iterable[Row]:
    models = {model.label: model for model in results.models}
    rows = list(found)
    decimals = decimals_for([row.mean for row in rows])
    for row in rows:
        base = f" (less {row.base})" if row.base != against else ""
        tests = (
            number_cell(p, 3) if p >= 0.001 or p != p else Cell(p_text(p), p)
            for p in (row.p, row.p_holm)
        )
        yield Row(
            row.model + base,
            (
                Cell(signed(row.mean, decimals), row.mean), *tests,
                Cell(f"{row.higher}, {row.lower}", row.higher),
                Cell(str(row.datasets), row.datasets), Cell(str(row.pairs), row.pairs),
            ),
            models[row.model],
        )  # fmt: skip
