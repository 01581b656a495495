"""What every model costs and what it keeps: who leads at which rate, two charts and a table."""

import math
from collections.abc import Mapping

from twincode.labels import text_of
from twincode.report.blocks import Block, Cell, Row, Section, Table, Text
from twincode.report.figures.frontier import NO_LIMIT, accuracy_against_bits, error_against_bits
from twincode.report.frontier import Numbers, leaders, on_dataset, over_all, rates
from twincode.report.metrics import MISSING, decimals_for, number
from twincode.report.models import BITS, Model
from twincode.report.runs import Results

_COLUMNS = (
    *("bits", "bits_per_step", "nmse", "over_bound", "kernels", "retained_accuracy"),
    *("model_bytes", "seconds"),
)


def sections(results: Results) -> list[Section]:
    """One section where a model has a rate and an error, none otherwise."""
    by_dataset = {dataset: on_dataset(results, dataset) for dataset in results.datasets}
    numbers, counts = over_all(by_dataset)
    placed = {"": numbers, **by_dataset} if len(by_dataset) > 1 else by_dataset
    figures = [
        f for draw in (error_against_bits, accuracy_against_bits) if (f := draw(results, placed))
    ]
    if not figures:
        return []
    rate_of = rates(results, numbers)
    ahead = leaders(results, numbers, rate_of)
    blocks: list[Block] = [*figures]
    if ahead:
        blocks.insert(0, Text(_told(ahead, counts["nmse"])))
    if counts["nmse"]:
        blocks.append(_table(results, numbers, counts, rate_of, ahead))
    return [Section("Frontier", "frontier", tuple(blocks))]


def _told(ahead: Mapping[float, Model], count: int) -> str:
    """Who has the least NMSE at the rates that several models have."""
    rates_of: dict[str, list[str]] = {}
    for rate, model in ahead.items():
        rates_of.setdefault(model.kind(BITS), []).append(number(rate, 0))
    told = [
        f"{kind} at {' and '.join(filter(None, [', '.join(own[:-1]), own[-1]]))} bits"
        for kind, own in rates_of.items()
    ]
    over = f", geometric mean over {count} data sets" if count > 1 else ""
    return f"Least NMSE{over}: {'; '.join(told)}."


def _table(
    results: Results, numbers: Numbers, counts: Mapping[str, int],
    rate_of: Mapping[str, float], ahead: Mapping[float, Model],
) -> Table:  # fmt: skip
    """Models by rate, then by NMSE; the series themselves come last."""
    models = [model for model in results.models if model.label in numbers]
    models.sort(key=lambda model: (
        rate_of.get(model.label, math.inf), model.is_raw, numbers[model.label]["nmse"],
    ))  # fmt: skip
    titles = {key: measure.short for key, measure in results.measures.items()}
    titles["over_bound"] = f"{results.measures['nmse'].title} over bound ↓"
    columns = [
        name for name in _COLUMNS if any(math.isfinite(own[name]) for own in numbers.values())
    ]
    rows = []
    for model in models:
        own = numbers[model.label]
        leads = model in ahead.values()
        cells = (_cell(own[name], best=leads and name == "nmse") for name in columns)
        rows.append(Row(model.kind(BITS), (_asked(model), *cells), model))
    count = counts["nmse"]
    fewer = [f"{titles[name]} over {counts[name]}" for name in columns if counts[name] < count]
    but = f" ({', '.join(fewer)})" if fewer else ""
    note = (
        f"Over {count} of {len(results.datasets)} data sets{but}: geometric means of NMSE and of "
        "NMSE over bound, means of all else. The least NMSE at a rate that several models have is "
        "underlined; a model that cannot be asked for bits counts at a rate that it comes within a "
        "tenth of."
    )
    heads = ("Model", "Bits asked", *(titles[name] for name in columns))
    return Table("Every model by its rate", heads, tuple(rows), note)


def _asked(model: Model) -> Cell:
    if not model.coded:
        return Cell(NO_LIMIT)
    asked = model.settings.get(BITS)
    return Cell(MISSING) if asked is None else Cell(text_of(asked), asked)


def _cell(value: float, best: bool = False) -> Cell:
    """Three digits of a number, since a column goes over powers of ten."""
    if not math.isfinite(value):
        return Cell(MISSING)
    return Cell(number(value, decimals_for([value])), value, best=best)
