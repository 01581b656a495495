"""How the results were made, and what a reader should be warned of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from twincode.report.blocks import Cell, Facts, Row, Section, Table, Text
from twincode.report.metrics import MISSING, duration
from twincode.report.models import symbol, text_of
from twincode.report.runs import Results, Run, command_line

_COLLAPSED = 0.1  # of its codes; a codebook whose perplexity is no more is called collapsed
_HASH = 12  # characters, enough to tell two checksums apart by eye


def sections(results: Results) -> list[Section]:
    """Commands, circumstances, data, and settings: those that differ, those all share."""
    commands = [results.command] if results.command else list(
        dict.fromkeys(command_line(run.record["command"]) for run in results.runs)
    )  # fmt: skip
    blocks = (
        *(Text(command, "command") for command in commands),
        Facts(tuple(_facts(results))),
        _data(results),
        *_settings(results),
    )
    return [Section("How this was made", "made", blocks)]


def warnings(results: Results) -> list[str]:
    """What keeps the numbers from being compared at face value."""
    found = []
    if results.planned and len(results.runs) < results.planned:
        missing = results.planned - len(results.runs)
        found.append(f"Not finished: {missing} of {results.planned} planned runs are missing.")
    if results.left_out:
        found.append(f"Left out: {results.left_out} runs in this folder of other studies.")
    for dataset in results.datasets:
        runs = results.of_dataset(dataset)
        if len({run.record["dataset"]["checksum"] for run in runs}) > 1:
            found.append(f"The runs on {dataset} did not all see the same data.")
        if len({run.record["epochs"] for run in runs} - {0}) > 1:
            found.append(f"Not all models on {dataset} were trained for the same epochs.")
    cells = Counter((run.dataset, results.model_of(run).label, run.seed) for run in results.runs)
    found += [
        f"{label} on {dataset} was run {count} times with seed {seed}; all count."
        for (dataset, label, seed), count in cells.items()
        if count > 1
    ]
    found += [
        f"Run {run.id} was last evaluated at epoch {run.last_epoch} of {run.record['epochs']}."
        for run in results.runs
        if run.last_epoch < run.record["epochs"] and run.record["evaluations"]
    ]
    collapsed = Counter(
        (results.model_of(run).label, run.dataset) for run in results.runs if _collapsed(run)
    )
    found += [
        f"Collapsed codes: {label} on {dataset}, {count} runs."
        for (label, dataset), count in collapsed.items()
    ]
    return found


def _collapsed(run: Run) -> bool:
    """Whether training said so at its end, or hardly any code of a test series differs."""
    if run.record["health"] and run.record["health"][-1].get("collapsed"):
        return True
    size = (run.record["config"]["quantizer"] or {}).get("codebook_size", 0)
    perplexities = [
        entry["value"]
        for entry in run.record["evaluations"]
        if entry["metric"] == "perplexity" and entry["epoch"] == run.last_epoch
    ]
    return run.record["epochs"] > 0 and any(
        p <= max(1, _COLLAPSED * size) for p in perplexities if p
    )


def _facts(results: Results) -> Iterable[tuple[str, str]]:
    runs = results.runs
    done = f"{len(runs)} of {results.planned} planned" if results.planned else str(len(runs))
    started = sorted(str(run.record["started"]) for run in runs)
    yield "Finished runs", done
    yield "Seeds", _distinct(sorted({run.seed for run in runs}))
    yield "Epochs trained", _distinct(sorted({r.record["epochs"] for r in runs} - {0})) or "none"
    yield (
        "Devices",
        _distinct(f"{r.record['device']} ({r.record['threads']} threads)" for r in runs),
    )
    yield "Commit", _distinct(run.record["commit"] or "not recorded" for run in runs)
    yield "Versions", "; ".join(dict.fromkeys(run.versions for run in runs))
    yield "Computing time", duration(math.fsum(float(run.record["seconds"]) for run in runs))
    yield "Started", " to ".join(dict.fromkeys((started[0], started[-1])))


def _data(results: Results) -> Table:
    rows = []
    for dataset in results.datasets:
        runs = results.of_dataset(dataset)
        data = runs[0].record["dataset"]
        sums = dict.fromkeys(str(run.record["dataset"]["checksum"])[:_HASH] for run in runs)
        counts = (
            data["n_train"],
            data["n_test"],
            data["channels"],
            data["length"],
            len(data["classes"]),
        )
        cells = [
            *(Cell(str(count), count) for count in counts),
            Cell(data["origin"]),
            Cell(", ".join(sums)),
        ]
        rows.append(Row(dataset, tuple(cells)))
    columns = ("Data set", "Train", "Test", "Channels", "Length", "Classes", "Origin", "Checksum")
    return Table("Data", columns, tuple(rows))


def _settings(results: Results) -> Iterable[Table]:
    models = results.models
    names = dict.fromkeys(name for model in models for name in model.settings)
    written = {
        name: [text_of(m.settings[name]) if name in m.settings else MISSING for m in models]
        for name in names
    }
    differing = {name: texts for name, texts in written.items() if len(set(texts)) > 1}
    if differing:
        rows = [
            Row(model.label, tuple(Cell(differing[name][place]) for name in differing), model)
            for place, model in enumerate(models)
        ]
        yield Table(
            "Settings that differ", ("Model", *(symbol(name) for name in differing)), tuple(rows)
        )
    shared = [Row(name, (Cell(t[0]),)) for name, t in written.items() if name not in differing]
    yield Table("Settings that all models share", ("Setting", "Value"), tuple(shared))


def _distinct(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
