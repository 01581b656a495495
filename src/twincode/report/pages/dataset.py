"""One data set: a table a readout, and the figures."""

from __future__ import annotations

import math

from twincode.report.blocks import (
    Block, Cell, Choice, Row, Section, Table, Text, best_of, number_cell,
)  # fmt: skip
from twincode.report.figures.along import along_axes
from twincode.report.figures.codes import codebook_use, tokens
from twincode.report.figures.latents import latent_plane
from twincode.report.figures.series import augmentations, reconstructions
from twincode.report.figures.trade_off import trade_off
from twincode.report.figures.training import training
from twincode.report.metrics import MISSING, decimals_for
from twincode.report.pages.overview import interval_hint
from twincode.report.runs import Results

FIGURES = (
    trade_off, training, along_axes, reconstructions, augmentations, tokens, codebook_use,
    latent_plane,
)  # fmt: skip


def sections(results: Results) -> list[Section]:
    """A section for every data set."""
    return [
        _section(results, dataset, f"data-{place}")
        for place, dataset in enumerate(results.datasets, start=1)
    ]


def _section(results: Results, dataset: str, anchor: str) -> Section:
    readouts = [*results.readouts[:1], "", *results.readouts[1:]]
    tables = {readout: _table(results, dataset, readout) for readout in readouts}
    first, rest = results.readouts[:1], results.readouts[1:]
    blocks: list[Block | None] = [Text(_facts(results, dataset))]
    blocks += [tables[readout] for readout in (*first, "") if tables[readout].rows]
    others = {tables[readout].caption: tables[readout] for readout in rest if tables[readout].rows}
    blocks += [Choice("Other readouts", others) if others else None]
    blocks += [figure(results, dataset) for figure in FIGURES]
    return Section(dataset, anchor, tuple(block for block in blocks if block))


def _facts(results: Results, dataset: str) -> str:
    data = results.of_dataset(dataset)[0].record["dataset"]
    classes = f", {len(data['classes'])} classes" if data["classes"] else ", without labels"
    channels = f"{data['channels']} channels of length" if data["channels"] > 1 else "length"
    return (
        f"{data['n_train']} training and {data['n_test']} test series, "
        f"{channels} {data['length']}{classes}. Means over seeds ± one sample standard deviation; "
        "the best trained model is underlined, controls are grey."
    )


def _table(results: Results, dataset: str, readout: str) -> Table:
    """Models against the measures of one readout, or of the model as a whole."""
    measures = [m for m in results.measures if m.readout == readout]
    final = results.final
    own = final[(final.dataset == dataset) & (final.readout == readout)]
    found = {(row.model, row.metric): row for row in own.itertuples()}
    measures = [m for m in measures if any(metric == m.metric.name for _, metric in found)]
    trained = {model.label for model in results.models if model.trained}
    best, decimals = {}, {}
    for m in measures:
        values = {
            label: row.mean for (label, metric), row in found.items() if metric == m.metric.name
        }
        best[m] = best_of([v for label, v in values.items() if label in trained], m.metric.better)
        decimals[m] = decimals_for(values.values())
    rows = []
    for model in results.models:
        cells = []
        for m in measures:
            row = found.get((model.label, m.metric.name))
            cells.append(
                number_cell(row.mean, decimals[m], row.std,
                            model.trained and row.mean == best[m],
                            interval_hint(row.mean, row.std, row.count, decimals[m]))
                if row else Cell(MISSING)
            )  # fmt: skip
        if any(math.isfinite(cell.value) for cell in cells if isinstance(cell.value, float)):
            rows.append(Row(model.label, tuple(cells), model))
    caption = f"Probes of the codes, readout {readout}" if readout else "The model as a whole"
    return Table(caption, ("Model", *(m.metric.heading for m in measures)), tuple(rows))
