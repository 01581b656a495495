"""From stored files to runs, models and one tidy table."""

import json
import math
import shlex
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twincode.errors import TwincodeError
from twincode.files import read_json
from twincode.labels import text_of
from twincode.report.metrics import Measure, key_of
from twincode.report.models import Model, identity, models_of
from twincode.upgrade import upgrade_result, upgrade_study

RECORDS_FILE = "runs.jsonl"
_SECONDS = {"name": "seconds", "title": "Seconds", "better": ""}
_NUMBERS = ("epochs", "seconds", "parameters", "threads")
_NEEDED = ("run", "command", "device", "commit", "started", "health")
_OF_DATA = ("name", "origin", "checksum", "n_train", "n_test", "channels", "length", "classes")


@dataclass(frozen=True, eq=False)
class Run:
    """One finished run: its folder and its result, in format 2."""

    folder: Path
    record: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """The identity of its model."""
        return identity(self.record)

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return str(self.record["dataset"]["name"])

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.record["config"]["training"]["seed"])

    @cached_property
    def last_epoch(self) -> int:
        """The latest epoch with an evaluation."""
        return max((int(entry["epoch"]) for entry in self.record["evaluations"]), default=0)

    @property
    def versions(self) -> str:
        """The versions of what computed it, in one line."""
        return ", ".join(f"{name} {version}" for name, version in self.record["versions"].items())

    def evaluations(self) -> Iterator[tuple[int, str, str, float]]:
        """Every measured number as (epoch, readout, metric, value)."""
        for entry in self.record["evaluations"]:
            yield int(entry["epoch"]), entry["readout"], entry["metric"], _value(entry["value"])

    def history(self) -> Iterator[tuple[int, str, float]]:
        """The course of the training as (epoch, quantity, value)."""
        for entry in self.record["history"]:
            # None of a continuous model, nor of a kept result.
            perplexity = entry.get("perplexity")
            codes = {} if perplexity is None else {"perplexity": perplexity}
            for name, value in {**codes, **entry["losses"]}.items():
                yield int(entry["epoch"]), name, _value(value)

    @cached_property
    def exhibits(self) -> dict[str, NDArray[Any]]:
        """The stored example arrays, empty where none were kept; a damaged file is an error."""
        found = _arrays(self.folder / "exhibits.npz")
        if self.generation is not None:
            found |= _arrays(self.folder / "generation" / self.generation["name"] / "exhibits.npz")
        return found

    @property
    def generation(self) -> Mapping[str, Any] | None:
        """What was drawn from priors over its codes and how it was judged, if anything."""
        return self.record.get("generation")

    @property
    def seconds(self) -> float:
        """How long it took; NaN where that was not recorded, as once of closed forms."""
        return float(self.record["seconds"]) or math.nan

    def generation_scores(self) -> Iterator[tuple[str, str, float, float]]:
        """The scores of series drawn, and of the controls: (row, metric, value, deviation).

        The deviation is over extractors, 0 where there are none.
        """
        for entry in self.generation["scores"] if self.generation is not None else ():
            deviation = _value(entry["deviation"])
            yield entry["row"], entry["metric"], _value(entry["value"]), deviation


class Summary(NamedTuple):
    """A number over seeds: mean, sample standard deviation, how many.

    The deviation is NaN for one seed, and where a number is not finite.
    """

    mean: float
    std: float
    n: int


def summary(values: list[float]) -> Summary:
    """Mean, sample standard deviation and number of ``values``."""
    known = len(values) > 1 and all(map(math.isfinite, values))
    return Summary(fmean(values), stdev(values) if known else math.nan, len(values))


@dataclass(frozen=True, eq=False)
class Results:
    """Everything a report needs.

    ``planned`` is the number of runs the study set out to do; ``left_out`` counts the runs in the
    folder that belong to other studies, ``unjudged`` those whose priors are still to be judged;
    ``axes`` are the settings the study varied, ``kept`` records of runs that it plans and that are
    not in the folder now.
    """

    folder: Path
    name: str
    command: str
    planned: int | None
    left_out: int
    unjudged: int
    axes: tuple[str, ...]
    datasets: tuple[str, ...]
    runs: tuple[Run, ...]
    kept: tuple[str, ...] = ()

    @cached_property
    def _models(self) -> dict[str, Model]:
        return models_of((run.record for run in self.runs), self.axes)

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model in one order, each with one label and colour wherever it appears."""
        return tuple(self._models.values())

    def model_of(self, run: Run) -> Model:
        """The model of a run."""
        return self._models[run.key]

    def of_dataset(self, dataset: str) -> list[Run]:
        """The runs on one data set."""
        return [run for run in self.runs if run.dataset == dataset]

    @cached_property
    def cells(self) -> dict[str, set[tuple[str, int]]]:
        """The data sets and seeds that there are runs of, by the label of their model."""
        found: dict[str, set[tuple[str, int]]] = {}
        for run in self.runs:
            found.setdefault(self.model_of(run).label, set()).add((run.dataset, run.seed))
        return found

    @cached_property
    def readouts(self) -> list[str]:
        """The readouts under which codes were probed, the main one first."""
        measured = {readout for run in self.runs for _, readout, *_ in run.evaluations()} - {""}
        asked = [n for run in self.runs for n in run.record["config"]["evaluation"]["readouts"]]
        return [name for name in dict.fromkeys([*asked, *sorted(measured)]) if name in measured]

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """Every measure by its key: the main readout's, the whole model's, the other readouts'."""
        told = {each["name"]: each for run in self.runs for each in run.record["metrics"]}
        readouts = [*self.readouts[:1], "", *self.readouts[1:]]
        found = [
            Measure(each["name"], readout, each["title"], each["better"])
            for readout in readouts
            for each in (*told.values(), _SECONDS)
        ]
        present = {key for _, _, key in self.final}
        return {measure.key: measure for measure in found if measure.key in present}

    @property
    def main_measures(self) -> list[Measure]:
        """The measures with a better direction, under the main readout or of the whole model."""
        main = ["", *self.readouts[:1]]
        return [m for m in self.measures.values() if m.better and m.readout in main]

    @cached_property
    def table(self) -> pd.DataFrame:
        """Tidy: one row per run, epoch, readout and metric, with the settings that labels tell."""
        axes = list(dict.fromkeys(axis for model in self.models for axis in model.axes))
        rows = []
        for run in self.runs:
            model, record = self.model_of(run), run.record
            told = [self.name, record["run"], run.dataset, record["recipe"], model.label]
            values = [model.settings.get(axis) for axis in axes]
            told += [text_of(value) if isinstance(value, list) else value for value in values]
            made = (record["device"], record["commit"], run.versions, float(record["seconds"]))
            rows += [(*told, run.seed, *entry, *made) for entry in run.evaluations()]
        names = [
            *("study", "run", "dataset", "recipe", "model", *axes, "seed", "epoch", "readout"),
            *("metric", "value", "device", "commit", "versions", "seconds"),
        ]
        return pd.DataFrame(rows, columns=names)

    @cached_property
    def last(self) -> dict[tuple[str, str, str], dict[int, list[float]]]:
        """Finite numbers of last evaluations: (data set, label, measure) to values by seed."""
        found: dict[tuple[str, str, str], dict[int, list[float]]] = {}
        for run in self.runs:
            label, end = self.model_of(run).label, run.last_epoch
            own = [(key_of(m, r), v) for epoch, r, m, v in run.evaluations() if epoch == end]
            for key, value in (*own, ("seconds", run.seconds)):
                if math.isfinite(value):
                    seeds = found.setdefault((run.dataset, label, key), {})
                    seeds.setdefault(run.seed, []).append(value)
        return found

    @cached_property
    def final(self) -> dict[tuple[str, str, str], Summary]:
        """The same over seeds; a repeated run counts once more."""
        pooled = {key: [v for own in by.values() for v in own] for key, by in self.last.items()}
        return {key: summary(values) for key, values in pooled.items()}

    @cached_property
    def generation_measures(self) -> list[Measure]:
        """The measures of series drawn, in their order."""
        told = [each for run in self.runs if run.generation for each in run.generation["metrics"]]
        found = {each["name"]: each for each in told}
        present = {metric for *_, metric in self.generation}
        return [
            Measure(name, "", each["title"], each["better"])
            for name, each in found.items()
            if name in present
        ]

    @cached_property
    def _drawn(self) -> dict[tuple[str, str, str, str], list[tuple[float, float]]]:
        found: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
        for run in self.runs:
            label = self.model_of(run).label
            for row, metric, value, deviation in run.generation_scores():
                if math.isfinite(value):
                    key = (run.dataset, label, row, metric)
                    found.setdefault(key, []).append((value, deviation))
        return found

    @cached_property
    def generation(self) -> dict[tuple[str, str, str, str], Summary]:
        """Scores of series drawn, over seeds: by data set, label, row and metric."""
        return {key: summary([value for value, _ in each]) for key, each in self._drawn.items()}

    @cached_property
    def over_extractors(self) -> dict[tuple[str, str, str, str], float]:
        """The deviation of each over extractors, the mean over seeds; 0 where there are none."""
        return {key: fmean(deviation for _, deviation in each) for key, each in self._drawn.items()}

    def mean(self, dataset: str, label: str, key: str) -> float:
        """The mean of one of them, NaN where nothing was measured."""
        found = self.final.get((dataset, label, key))
        return found.mean if found else math.nan


def load_results(folder: Path) -> Results:
    """Read a study's folder, the folder of a single run, or a study kept as ``runs.jsonl`` alone.

    Raises TwincodeError where there is no finished run, and names the file where one is damaged.
    """
    folder = Path(folder)
    study, path = {}, folder / "study.json"
    if path.exists():
        try:
            study = upgrade_study(read_json(path, "description of a study"))
        except TwincodeError as error:
            raise TwincodeError(f"{path}: {error}") from None
    planned, steps = study.get("runs"), study.get("steps") or 0
    read, left_out = _read_records(folder, planned)
    stages = study.get("second_stages") or {}
    for place, record, _ in read:
        if place != folder and (name := stages.get(place.name)):
            _add_generation(place / "generation" / name / "result.json", record)
    runs = [_checked(*each, steps) for each in read]
    if not runs:
        others = f" but {left_out} of other studies" if left_out else ""
        raise TwincodeError(
            f"no finished runs in {folder}{others}; "
            "give the folder of a study or of a run that has ended"
        )
    if not study and len(runs) == 1:
        study = {"name": runs[0].record["run"], "command": runs[0].record["command"]}
    present = sorted({run.dataset for run in runs})
    ordered = [name for name in study.get("datasets", ()) if name in present]
    return Results(
        folder=folder,
        name=str(study.get("name") or folder.resolve().name),
        command=command_line(study.get("command") or ()),
        planned=len(set(planned)) if isinstance(planned, list) else planned,
        left_out=left_out,
        unjudged=sum(run.generation is None for run in runs if run.record["run"] in stages),
        axes=tuple(study.get("axes") or ()),
        datasets=tuple(dict.fromkeys([*ordered, *present])),
        runs=tuple(runs),
        kept=tuple(_kept_lines(folder, planned, {run.record["run"] for run in runs})),
    )


def records_text(results: Results) -> str:
    """The runs as JSON lines, without histories and earlier evaluations: small enough to keep.

    A folder with ``study.json`` and this text as ``runs.jsonl`` gives the same final numbers.
    """
    text = ""
    for run in results.runs:
        last = [each for each in run.record["evaluations"] if each["epoch"] == run.last_epoch]
        text += json.dumps({**run.record, "history": [], "evaluations": last}) + "\n"
    return text + "".join(line + "\n" for line in results.kept)


def _kept_lines(folder: Path, planned: Any, present: set[str]) -> Iterator[str]:
    """The records of runs that a study plans and whose folders are not here.

    One that was kept and is run again has at first fewer runs than its records tell of.
    """
    path = folder / RECORDS_FILE
    missing = {*planned} - present if isinstance(planned, list) else set()
    if not missing or not path.exists():
        return
    for line in _lines(path):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and record.get("run") in missing:
            yield line


def command_line(words: Iterable[str] | str) -> str:
    """A stored command as one line that a shell would accept."""
    return words if isinstance(words, str) else shlex.join(map(str, words))


def _read_records(folder: Path, planned: Any) -> tuple[list[tuple[Path, Any, str]], int]:
    """Folder, record and origin of each run, and how many belong to other studies.

    A study that names its runs owns those alone; without names every run in the folder counts.
    """
    present, left_out = sorted(folder.glob("runs/*/result.json")), 0
    if isinstance(planned, list):
        left_out = sum(path.parent.name not in planned for path in present)
        present = [path for path in present if path.parent.name in planned]
    elif (folder / "result.json").exists():
        present = [folder / "result.json"]
    # Beside a folder of runs kept records are an earlier report's, and may be out of date.
    if present or (folder / "runs").exists() or not (folder / RECORDS_FILE).exists():
        read = [
            (
                path.parent,
                read_json(path, "result of a run; delete it and run the study again"),
                str(path),
            )
            for path in present
        ]
        return read, left_out
    found = []
    for place, line in enumerate(_lines(folder / RECORDS_FILE), start=1):
        origin = f"line {place} of {folder / RECORDS_FILE}"
        try:
            found.append((folder, json.loads(line), origin))
        except json.JSONDecodeError as error:
            raise TwincodeError(f"{origin} is not JSON: {error}") from None
    return found, 0


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise TwincodeError(f"{path} is not text in UTF-8: {error}") from None


def _add_generation(path: Path, record: Any) -> None:
    """Put what a run's priors came to into its record, where they are done."""
    if path.exists() and isinstance(record, dict):
        record["generation"] = read_json(
            path, "result of priors; delete it and run the study again"
        )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise TwincodeError(
            f"{path} is not a readable set of exhibits ({error}); "
            f"delete {path.parent} and run it again"
        ) from error


def _checked(folder: Path, record: Any, origin: str, steps: int) -> Run:
    """A run of a stored record, every field touched here rather than in the middle of a page."""
    try:
        run = Run(folder, upgrade_result(record, steps))
        models_of([run.record])
        _ = (run.seed, run.last_epoch, run.versions, list(run.history()))
        _ = [float(run.record[name]) for name in _NUMBERS]
        _ = [run.record[name] for name in _NEEDED]
        _ = [run.record["dataset"][name] for name in _OF_DATA]
        _ = run.record["config"]["evaluation"]["readouts"]
        told = {each["name"]: (each["title"], each["better"]) for each in run.record["metrics"]}
        _ = [told[metric] for _, _, metric, _ in run.evaluations()]
        if run.generation is not None:
            known = {m["name"]: (m["title"], m["better"]) for m in run.generation["metrics"]}
            _ = [known[metric] for _, metric, *_ in run.generation_scores()]
            _ = str(run.generation["name"])
    except TwincodeError as error:
        raise TwincodeError(f"{origin}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TwincodeError(
            f"{origin} is not the result of a finished run (problem: {error!r}); "
            "delete it and run that run again"
        ) from error
    return run


def _value(stored: float | None) -> float:
    return math.nan if stored is None else float(stored)
