"""Tables: cells for the page, frames for files, a summary for the terminal."""

import math

import pandas as pd

from twincode.report.blocks import Cell
from twincode.report.compare import differences, half_interval
from twincode.report.metrics import MISSING, Measure, decimals_for, number
from twincode.report.models import BITS
from twincode.report.runs import Results, Summary

# The columns of the file of one data set.
FINAL_COLUMNS = ["dataset", "model", "metric", "readout", "mean", "std", "runs", "low", "high"]


def cells(results: Results, dataset: str, measure: Measure) -> dict[str, Cell]:
    """One measure of every model that has it on a data set, the best fitted one marked."""
    keys = {model.label: (dataset, model.label, measure.key) for model in results.models}
    found = {name: results.final[key] for name, key in keys.items() if key in results.final}
    return written(results, found, measure.better)


def written(
    results: Results, values: dict[str, Summary], better: str, decimals: int | None = None
) -> dict[str, Cell]:
    """Numbers by model as they are written, all with as many decimals, the best one marked."""
    if decimals is None:
        decimals = decimals_for(value.mean for value in values.values())
    fitted = {model.label for model in results.models if model.fitted}
    texts = {name: number(value.mean, decimals) for name, value in values.items()}
    ordered = sorted((values[name].mean, texts[name]) for name in values if name in fitted)
    best = ordered[-1 if better == "higher" else 0][1] if better and len(ordered) > 1 else None
    found = {}
    for name, value in values.items():
        spread = _spread(value.std, decimals)
        marked = name in fitted and texts[name] == best
        found[name] = Cell(texts[name], value.mean, spread, hint(value, decimals), marked)
    return found


def _spread(std: float, decimals: int) -> str:
    """A deviation; one that would be written as none is a power of ten."""
    if 0 < std < 10**-decimals / 2:
        return f"{std:.0e}".replace("-", "−")
    return number(std, decimals) if math.isfinite(std) else ""


def summary_table(results: Results) -> pd.DataFrame:
    """The final numbers as text, one row per data set and model, for a terminal.

    Columns: data set, model, seeds, then ``mean ± spread`` of up to four measures of the codes
    under the main readout, the first error, and the bits of codes, or another number without a
    better direction.
    """
    whole = [m for m in results.measures.values() if not m.readout and m.metric != "seconds"]
    shown = [m for m in results.main_measures if m.readout][:4]
    plain = sorted((m for m in whole if not m.better), key=lambda m: m.metric != BITS)
    shown += [m for m in whole if m.better][:1] + plain[:1]
    rows = []
    for dataset in results.datasets:
        columns = [cells(results, dataset, measure) for measure in shown]
        for name in (model.label for model in results.models):
            if seeds := {seed for place, seed in results.cells[name] if place == dataset}:
                texts = [column.get(name, Cell(MISSING)).whole for column in columns]
                rows.append([dataset, name, len(seeds), *texts])
    return pd.DataFrame(rows, columns=["data set", "model", "seeds", *(m.title for m in shown)])


def final_frame(results: Results, dataset: str) -> pd.DataFrame:
    """Every final number of a data set over seeds, with 95 % intervals."""
    rows = [
        (dataset, name, m.metric, m.readout, *value, value.mean - half, value.mean + half)
        for name in (model.label for model in results.models)
        for m in results.measures.values()
        if (value := results.final.get((dataset, name, m.key)))
        for half in [half_interval(value)]
    ]
    return pd.DataFrame(rows, columns=FINAL_COLUMNS)


def paired_frame(results: Results) -> pd.DataFrame:
    """Paired differences: a row for each data set, and one over all (data set empty) with p."""
    rows: list[tuple[object, ...]] = []
    for d in differences(results):
        told = (d.model.label, d.base.label, d.measure.metric, d.measure.readout, d.measure.better)
        rows.append((*told, "", d.mean, math.nan, d.pairs, d.higher, d.lower, d.p, d.holm))
        rows += [(*told, dataset, *value) for dataset, value in d.by_dataset.items()]
    names = ["model", "against", "metric", "readout", "better", "dataset", "mean", "std", "pairs"]
    return pd.DataFrame(rows, columns=[*names, "higher", "lower", "p", "p_holm"])


def generation_frame(results: Results) -> pd.DataFrame:
    """Every score of series drawn from priors, and of the controls beside them, over seeds."""
    over = results.over_extractors
    rows = [(*key, *value, over[key]) for key, value in results.generation.items()]
    names = ["dataset", "model", "row", "metric", "mean", "std", "runs", "std_over_extractors"]
    return pd.DataFrame(rows, columns=names)


def hint(value: Summary, decimals: int) -> str:
    """The 95 % interval over seeds in words, or how many seeds there are."""
    half = half_interval(value)
    ends = (number(end, decimals) for end in (value.mean - half, value.mean + half))
    told = f"95 % interval {' to '.join(ends)}, " if math.isfinite(half) else ""
    return f"{told}{value.n} seed{'s' if value.n > 1 else ''}"
