"""How the results were made, and what a reader should be warned of."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from twincode.labels import symbol, text_of
from twincode.report.blocks import Block, Cell, Row, Section, Table, Text
from twincode.report.metrics import MISSING
from twincode.report.runs import Results, Run, command_line

_COLLAPSED = 0.1  # of its codes; a codebook whose perplexity is no more is called collapsed
_HASH = 12  # characters, enough to tell two checksums apart by eye


def sections(results: Results) -> list[Section]:
    """Commands, circumstances, data, and settings: those that differ, those all share."""
    commands = [results.command] if results.command else dict.fromkeys(
        command_line(run.record["command"]) for run in results.runs
    )  # fmt: skip
    blocks: tuple[Block, ...] = (
        *(Text(command, "command") for command in commands),
        Table(
            "Runs",
            ("About", "Value"),
            tuple(Row(name, (Cell(text),)) for name, text in _facts(results)),
        ),
        _data(results),
        *_settings(results),
    )
    return [Section("How this was made", "made", blocks)]


def warnings(results: Results) -> Iterator[str]:
    """What keeps the numbers from being compared at face value."""
    if results.planned and len(results.runs) < results.planned:
        missing = results.planned - len(results.runs)
        yield f"Not finished: {missing} of {results.planned} planned runs are missing."
    if results.unjudged:
        yield f"Not finished: of {results.unjudged} runs the priors are not judged yet."
    if results.left_out:
        yield f"Left out: {results.left_out} runs in this folder of other studies or settings."
    for dataset in results.datasets:
        runs = results.of_dataset(dataset)
        if len({run.record["dataset"]["checksum"] for run in runs}) > 1:
            yield f"The runs on {dataset} did not all see the same data."
        if len({run.record["epochs"] for run in runs} - {0}) > 1:
            yield f"Not all models on {dataset} were trained for the same epochs."
    if uneven := [name for name in results.datasets if _has_uneven_seeds(results, name)]:
        yield (
            f"Not all models were run with the same seeds on {', '.join(uneven)}; each stands "
            "there with the mean of its own, but for differences, which are over those in common."
        )
    places = [(run.dataset, results.model_of(run).label, run) for run in results.runs]
    for (dataset, label, seed), count in Counter((d, m, run.seed) for d, m, run in places).items():
        if count > 1:
            yield f"{label} on {dataset} was run {count} times with seed {seed}; all count."
    for run in results.runs:
        if 0 < run.last_epoch < run.record["epochs"]:
            yield f"Run {run.record['run']} was last evaluated before its last epoch."
    for dataset, label, run in places:
        names = {name for epoch, _, name, v in run.evaluations() if not math.isfinite(v)}
        if names:
            yield (
                f"{label} on {dataset}, seed {run.seed}, has no finite number of "
                f"{', '.join(sorted(names))}; means are over the other seeds."
            )
    collapsed = Counter((dataset, label) for dataset, label, run in places if _collapsed(run))
    for (dataset, label), count in collapsed.items():
        yield f"Collapsed codes: {label} on {dataset}, {count} runs."


def _has_uneven_seeds(results: Results, dataset: str) -> bool:
    seeds: dict[str, set[int]] = {}
    for run in results.of_dataset(dataset):
        model = results.model_of(run)
        if model.fitted:
            seeds.setdefault(model.label, set()).add(run.seed)
    return len(set(map(frozenset, seeds.values()))) > 1


def _collapsed(run: Run) -> bool:
    """Whether training said so at its end, or hardly any code of a test series differs."""
    if run.record["health"] and run.record["health"][-1].get("collapsed"):
        return True
    size = (run.record["config"]["quantizer"] or {}).get("codebook_size", 0)
    last = [v for e, _, name, v in run.evaluations() if (e, name) == (run.last_epoch, "perplexity")]
    return run.record["epochs"] > 0 and any(value <= max(1, _COLLAPSED * size) for value in last)


def _device(record: Mapping[str, Any]) -> str:
    """What computed a run, and whether it could do so in the precision that was asked for."""
    text = f"{record['device']} ({record['threads']} threads)"
    precision = record["config"]["training"].get("precision", "float32")
    # Records from before this was told were all made where there is bfloat16.
    if precision == "float32" or record.get("has_bfloat16", True):
        return text
    return f"{text}, in float32 for want of {precision}"


def _facts(results: Results) -> Iterator[tuple[str, str]]:
    runs = [run.record for run in results.runs]
    seconds = [run.seconds for run in results.runs if not math.isnan(run.seconds)]
    judged = [float(run.generation["seconds"]) for run in results.runs if run.generation]
    hours = math.fsum((*seconds, *judged)) / 3600
    apart = ", of priors the judging alone" if judged else ""
    apart += f"; {unknown} did not record it" if (unknown := len(runs) - len(seconds)) else ""
    started = sorted(str(run["started"]) for run in runs)
    planned = f" of {results.planned} planned" if results.planned else ""
    yield "Finished runs", f"{len(runs) - results.unjudged}{planned}"
    yield "Seeds", _distinct(sorted({run.seed for run in results.runs}))
    yield "Epochs trained", _distinct(sorted({run["epochs"] for run in runs} - {0})) or "none"
    yield "Devices", _distinct(map(_device, runs))
    yield "Commit", _distinct(run["commit"] or "not recorded" for run in runs)
    yield "Versions", _distinct(run.versions for run in results.runs)
    yield "Computing time", f"{hours:.2f} hours over all runs{apart}"
    yield "Started", " to ".join(dict.fromkeys((started[0], started[-1])))


def _data(results: Results) -> Table:
    rows = []
    for dataset in results.datasets:
        records = [run.record["dataset"] for run in results.of_dataset(dataset)]
        counts = [records[0][name] for name in ("n_train", "n_test", "channels", "length")]
        counts.append(len(records[0]["classes"]))
        sums = _distinct(str(record["checksum"])[:_HASH] for record in records)
        cells = [Cell(str(n), n) for n in counts] + [Cell(records[0]["origin"]), Cell(sums)]
        rows.append(Row(dataset, tuple(cells)))
    columns = ("Data set", "Train", "Test", "Channels", "Length", "Classes", "Origin", "Checksum")
    return Table("Data", columns, tuple(rows))


def _settings(results: Results) -> Iterator[Table]:
    models = results.models
    written = {
        name: [text_of(m.settings[name]) if name in m.settings else MISSING for m in models]
        for name in dict.fromkeys(name for model in models for name in model.settings)
    }
    differing = [name for name, texts in written.items() if len(set(texts)) > 1]
    if differing:
        rows = (
            Row(model.label, tuple(Cell(written[name][place]) for name in differing), model)
            for place, model in enumerate(models)
        )
        yield Table("Settings that differ", ("Model", *map(symbol, differing)), tuple(rows))
    shared = (Row(n, (Cell(texts[0]),)) for n, texts in written.items() if n not in differing)
    yield Table("Settings that all models share", ("Setting", "Value"), tuple(shared))


def _distinct(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
