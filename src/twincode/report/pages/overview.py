"""All data sets at once: every measure in a table, ranks, and codes against cost."""

from __future__ import annotations

import math

from twincode.report import compare
from twincode.report.blocks import Block, Cell, Choice, Row, Section, Table, best_of, number_cell
from twincode.report.figures.ranks import average_ranks
from twincode.report.figures.trade_off import relative_trade_off
from twincode.report.metrics import MISSING, Measure, decimals_for, p_text
from twincode.report.runs import Results


def sections(results: Results) -> list[Section]:
    """One section where there are several data sets, none otherwise."""
    if len(results.datasets) < 2:
        return []
    tables = {measure.heading: _table(results, measure) for measure in results.measures}
    blocks: list[Block | None] = [
        Choice("Measure", tables), relative_trade_off(results), average_ranks(results),
    ]  # fmt: skip
    return [Section("All data sets", "all", tuple(block for block in blocks if block))]


def _table(results: Results, measure: Measure) -> Table:
    """Models against data sets, with their mean and average rank."""
    final = results.final
    own = final[(final.metric == measure.metric.name) & (final.readout == measure.readout)]
    found = {(row.dataset, row.model): row for row in own.itertuples()}
    compared = compare.comparable(results, measure)
    means = dict(compared.mean()) if len(compared) > 1 else {}
    ranked = compare.ranks(results, measure)
    ranks = {} if ranked is None else dict(zip(ranked.model, ranked["rank"], strict=True))
    trained = [model.label for model in results.models if model.trained]
    better = measure.metric.better
    best_mean = best_of([means.get(label, math.nan) for label in trained], better)
    best_rank = best_of([ranks.get(label, math.nan) for label in trained], "lower")
    best, decimals = {}, {}
    for dataset in results.datasets:
        values = {label: row.mean for (of, label), row in found.items() if of == dataset}
        best[dataset] = best_of([values.get(label, math.nan) for label in trained], better)
        decimals[dataset] = decimals_for(values.values())
    rows = []
    for model in results.models:
        cells = [
            number_cell(means.get(model.label, math.nan), decimals_for(means.values()),
                        best=model.trained and means.get(model.label) == best_mean),
            number_cell(ranks.get(model.label, math.nan), 2,
                        best=model.trained and ranks.get(model.label) == best_rank),
        ]  # fmt: skip
        for dataset in results.datasets:
            row = found.get((dataset, model.label))
            cells.append(
                number_cell(row.mean, decimals[dataset], row.std,
                            model.trained and row.mean == best[dataset],
                            interval_hint(row.mean, row.std, row.count, decimals[dataset]))
                if row else Cell(MISSING)
            )  # fmt: skip
        if any(cell.text != MISSING for cell in cells):
            rows.append(Row(model.label, tuple(cells), model))
    note = f"Mean and rank over {len(compared)} of {len(results.datasets)} data sets."
    if ranked is not None and math.isfinite(ranked.p[0]):
        note += (
            f" Friedman's test of equal ranks: p {p_text(ranked.p[0])}; critical difference of two "
            f"ranks (Nemenyi, 5 %): {ranked.critical[0]:.2f}."
        )
    return Table(
        f"{measure.heading} on every data set", ("Model", "Mean", "Rank", *results.datasets),
        tuple(rows), note,
    )  # fmt: skip


def interval_hint(mean: float, std: float, count: int, decimals: int) -> str:
    """The 95 % interval over seeds in words, or how many seeds there are."""
    half = compare.half_interval(std, count)
    if not math.isfinite(half):
        return f"{count} seed{'s' if count > 1 else ''}"
    ends = (f"{end:.{decimals}f}".replace("-", "−") for end in (mean - half, mean + half))
    return f"95 % interval {' to '.join(ends)} over {count} seeds"
