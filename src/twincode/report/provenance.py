"""How the results were made: settings, data, machines, and what a reader should be warned of."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from twincode.report.metrics import MISSING
from twincode.report.models import Model
from twincode.report.results import Results, command_line
from twincode.report.runs import Run

_SHORT_HASH = 12
_SECONDS_PER_MINUTE = 60
_PER_RUN_SETTINGS = ("training.seed",)


@dataclass(frozen=True)
class Setting:
    """One setting and its value for each model, or one value where all agree."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class DataFacts:
    """What is known of one data set; several checksums mean several versions of the data."""

    name: str
    origin: str
    train: int
    test: int
    channels: int
    length: int
    classes: int
    checksums: tuple[str, ...]


def facts(results: Results) -> list[tuple[str, str]]:
    """The study's circumstances as (name, value) pairs."""
    runs = results.runs
    seeds = sorted({run.seed for run in runs})
    epochs = sorted({run.epochs for run in runs if run.epochs > 0})
    started = sorted(str(run.record["started"]) for run in runs)
    commits = _distinct(str(run.record["commit"] or "not recorded") for run in runs)
    return [
        ("Finished runs", _progress(results)),
        ("Seeds", ", ".join(map(str, seeds))),
        ("Epochs", ", ".join(map(str, epochs)) or "none trained"),
        ("Devices", _distinct(f"{run.record['device']} ({_threads(run)})" for run in runs)),
        ("Commit", commits),
        ("Versions", _distinct(run.versions for run in runs)),
        ("Computing time", duration(sum(run.seconds for run in runs)) + " over all runs"),
        ("Started", started[0] if len(set(started)) == 1 else f"{started[0]} to {started[-1]}"),
    ]


def data_facts(results: Results) -> list[DataFacts]:
    """One entry per data set."""
    return [_data_facts(results.of_dataset(dataset)) for dataset in results.datasets]


def settings(results: Results, models: Sequence[Model]) -> tuple[list[Setting], list[Setting]]:
    """Settings that differ between models (a value each), and those all models share."""
    flat = {
        model.label: _settings_of([run for run in results.runs if run.label == model.label])
        for model in models
    }
    names = dict.fromkeys(name for values in flat.values() for name in values)
    every = [
        Setting(name, tuple(flat[model.label].get(name, MISSING) for model in models))
        for name in names
    ]
    differing = [setting for setting in every if len(set(setting.values)) > 1]
    shared = [Setting(s.name, s.values[:1]) for s in every if len(set(s.values)) == 1]
    return differing, shared


def commands(results: Results) -> list[str]:
    """The study's command, or the distinct commands of its runs where it has none."""
    if results.command:
        return [results.command]
    return list(dict.fromkeys(command_line(run.record["command"]) for run in results.runs))


def warnings(results: Results) -> list[str]:
    """What keeps the numbers from being compared at face value, in whole sentences."""
    found = []
    if results.missing:
        found.append(
            f"The study is not finished: {results.missing} of {results.planned} planned runs are "
            "missing. Every number is over the seeds that are there."
        )
    if results.left_out:
        found.append(_left_out(results.left_out))
    for entry in data_facts(results):
        if len(entry.checksums) > 1:
            found.append(f"The runs on {entry.name} did not all see the same data.")
    cells = Counter((run.dataset, run.label, run.seed) for run in results.runs)
    for (dataset, label, seed), count in cells.items():
        if count > 1:
            found.append(f"{label} on {dataset} was run {count} times with seed {seed}; all count.")
    for run in results.runs:
        if run.last_epoch < run.epochs:
            found.append(
                f"Run {run.id} was last evaluated at epoch {run.last_epoch} of {run.epochs}."
            )
    uneven = [name for name in results.datasets if len(_epochs(results.of_dataset(name))) > 1]
    if uneven:
        found.append(f"Not all models were trained for the same epochs on {', '.join(uneven)}.")
    return found


def _epochs(runs: Sequence[Run]) -> set[int]:
    """The numbers of epochs for which trained models were trained."""
    return {run.epochs for run in runs if run.epochs > 0}


def duration(seconds: float) -> str:
    """``seconds`` in the largest units that fit: ``3 h 12 min``, ``4 min 10 s``, ``8.4 s``."""
    if seconds < _SECONDS_PER_MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _SECONDS_PER_MINUTE)
    if minutes < _SECONDS_PER_MINUTE:
        return f"{minutes} min {rest} s"
    return f"{minutes // _SECONDS_PER_MINUTE} h {minutes % _SECONDS_PER_MINUTE} min"


def short_hash(text: str) -> str:
    """The first characters of a checksum, enough to tell two apart by eye."""
    return text[:_SHORT_HASH]


def _left_out(count: int) -> str:
    if count == 1:
        return "1 run in this folder belongs to another study and is left out."
    return f"{count} runs in this folder belong to other studies and are left out."


def _progress(results: Results) -> str:
    done = len(results.runs)
    return f"{done} of {results.planned} planned" if results.planned else str(done)


def _threads(run: Run) -> str:
    count = run.record["threads"]
    return f"{count} thread{'s' if count != 1 else ''}"


def _distinct(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _data_facts(runs: Sequence[Run]) -> DataFacts:
    data = runs[0].record["dataset"]
    return DataFacts(
        name=runs[0].dataset,
        origin=str(data["origin"]),
        train=data["n_train"],
        test=data["n_test"],
        channels=data["channels"],
        length=data["length"],
        classes=len(data["classes"]),
        checksums=tuple(dict.fromkeys(str(run.record["dataset"]["checksum"]) for run in runs)),
    )


def _settings_of(runs: Sequence[Run]) -> dict[str, str]:
    """Each setting's distinct values over the runs of one model, seeds left out."""
    seen: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, value in _flatten(run.record["config"]):
            if name not in _PER_RUN_SETTINGS:
                seen.setdefault(name, {})[_plain(value)] = None
    return {name: " or ".join(values) for name, values in seen.items()}


def _flatten(config: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    for group, content in config.items():
        if isinstance(content, dict):
            yield from ((f"{group}.{name}", value) for name, value in content.items())
        else:
            yield group, content


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(part) for part in value) or "none"
    return value if isinstance(value, str) else json.dumps(value)
