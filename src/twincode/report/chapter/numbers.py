"""The chapter's tables: levels, differences and circumstances, each a pure function of results."""

import math
from collections.abc import Sequence

from twincode.report.across import comparable, ranking_of
from twincode.report.chapter.markdown import table, upright
from twincode.report.metrics import (
    MAIN_READOUT,
    MISSING,
    decimals_for,
    metric_of,
    number,
    signed,
)
from twincode.report.paired import Difference, difference_text
from twincode.report.results import Results
from twincode.report.runs import Summary
from twincode.report.statistics import margin
from twincode.report.tables import value_of

_RANK_DECIMALS = 2


def level_table(results: Results, name: str, readout: str = MAIN_READOUT) -> str:
    """One metric of every model on every data set, with its mean and average rank."""
    models = [
        model
        for model in results.models
        if (model.trained or metric_of(name).probe)
        and any(value_of(results, each, model.label, name, readout) for each in results.datasets)
    ]
    rows = []
    for dataset in results.datasets:
        found = [value_of(results, dataset, model.label, name, readout) for model in models]
        decimals = decimals_for(name, [value.mean for value in found if value])
        rows.append([dataset, *(level_text(value, decimals) for value in found)])
    labels = [model.label for model in models]
    return upright(["", *labels], [*rows, *_mean_rows(results, name, readout, labels)])


def difference_table(results: Results, found: Sequence[Difference]) -> str:
    """Differences of several models from one base: data set by data set, mean and tests."""
    metric = found[0].metric
    decimals = decimals_for(
        metric.name, [each.mean for entry in found for each in entry.by_dataset.values()]
    )
    rows = [
        [dataset, *(_difference_text(entry, dataset, decimals) for entry in found)]
        for dataset in results.datasets
        if any(dataset in entry.by_dataset for entry in found)
    ]
    rows += [
        ["**Mean**", *(f"**{signed(entry.mean, decimals)}**" for entry in found)],
        ["Data sets, pairs", *(f"{entry.datasets}, {entry.pairs}" for entry in found)],
        ["p, Wilcoxon", *(entry.p_text for entry in found)],
        ["p, Holm", *(entry.holm_text for entry in found)],
    ]
    return upright([metric.heading, *(entry.model.label for entry in found)], rows)


def readout_table(results: Results, by_readout: Sequence[tuple[str, Sequence[Difference]]]) -> str:
    """Mean differences under each readout: a row a readout."""
    models = [model for model in results.models if model.trained]
    rows = []
    for readout, found in by_readout:
        by_label = {entry.model.label: entry for entry in found}
        decimals = decimals_for(found[0].metric.name, [entry.mean for entry in found])
        texts = [
            f"{signed(by_label[model.label].mean, decimals)} (p {by_label[model.label].p_text})"
            for model in models
            if model.label in by_label
        ]
        rows.append([f"{found[0].metric.title}, {readout}", *texts])
    shown = {entry.model.label for _, found in by_readout for entry in found}
    return table(["", *(model.label for model in models if model.label in shown)], rows)


def level_text(value: Summary | None, decimals: int) -> str:
    """A mean with what its seeds allow to say about it after a ±."""
    if value is None:
        return MISSING
    half = margin(value)
    text = number(value.mean, decimals)
    return text if half is None else f"{text} ± {number(half, decimals)}"


def _difference_text(entry: Difference, dataset: str, decimals: int) -> str:
    value = entry.by_dataset.get(dataset)
    return difference_text(value, decimals) if value else MISSING


def _mean_rows(results: Results, name: str, readout: str, labels: Sequence[str]) -> list[list[str]]:
    """The mean and the average rank over the data sets on which all compared models were run."""
    shared = comparable(results, name, readout)
    if len(shared.datasets) < 2:
        return []
    means = dict(
        zip([m.label for m in shared.models], shared.values.mean(axis=0).tolist(), strict=True)
    )
    decimals = decimals_for(name, list(means.values()))
    over = f"over {len(shared.datasets)}"
    rows = [
        [f"**Mean** {over}", *(f"**{number(means.get(x, math.nan), decimals)}**" for x in labels)]
    ]
    ranking = ranking_of(results, name, readout)
    if ranking:
        ranks = dict(zip(ranking.labels, ranking.ranks, strict=True))
        texts = [number(ranks.get(label, math.nan), _RANK_DECIMALS) for label in labels]
        rows.append([f"Average rank {over}", *texts])
    return rows
