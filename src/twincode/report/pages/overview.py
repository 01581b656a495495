"""All data sets at once: every measure in a table, ranks, and codes against cost."""

import math

from twincode.report.blocks import Block, Cell, Choice, Row, Section, Table
from twincode.report.compare import comparable, ranking
from twincode.report.figures.ranks import average_ranks
from twincode.report.figures.trade_off import relative_trade_off
from twincode.report.metrics import MISSING, Measure, p_text
from twincode.report.runs import Results, Summary
from twincode.report.tables import cells, written


def sections(results: Results) -> list[Section]:
    """One section where there are several data sets, none otherwise."""
    if len(results.datasets) < 2:
        return []
    tables = {m.heading: _table(results, m) for m in results.measures.values()}
    figures = (relative_trade_off(results), average_ranks(results))
    blocks: list[Block] = [Choice("Measure", tables), *(each for each in figures if each)]
    return [Section("All data sets", "all", tuple(blocks))]


def _table(results: Results, measure: Measure) -> Table:
    """Models against data sets, with their mean and average rank."""
    compared, ranks = comparable(results, measure), ranking(results, measure)
    means = compared.mean().to_dict() if len(compared) > 1 else {}
    columns = [
        _alone(results, {str(label): float(mean) for label, mean in means.items()}, measure.better),
        _alone(results, ranks.ranks if ranks else {}, "lower", decimals=2),
        *(cells(results, dataset, measure) for dataset in results.datasets),
    ]
    rows = tuple(
        Row(m.label, tuple(column.get(m.label, Cell(MISSING)) for column in columns), m)
        for m in results.models
        if any(m.label in column for column in columns)
    )
    note = f"Mean and rank over {len(compared)} of {len(results.datasets)} data sets."
    if ranks and math.isfinite(ranks.p):
        note += (
            f" Friedman's test of equal ranks: p {p_text(ranks.p)}; critical difference of two "
            f"ranks (Nemenyi, 5 %): {ranks.critical:.2f}."
        )
    names = ("Model", "Mean", "Rank", *results.datasets)
    return Table(f"{measure.heading} on every data set", names, rows, note)


def _alone(
    results: Results, values: dict[str, float], better: str, decimals: int | None = None
) -> dict[str, Cell]:
    """Numbers that have no spread."""
    found = {label: Summary(value, math.nan, 1) for label, value in values.items()}
    marked = written(results, found, better, decimals)
    return {label: Cell(cell.text, cell.value, best=cell.best) for label, cell in marked.items()}
