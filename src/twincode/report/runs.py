"""From stored files to runs, models and one tidy table."""

from __future__ import annotations

import json
import math
import shlex
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from twincode.errors import TwincodeError
from twincode.files import read_json
from twincode.report.models import Model, key_of, models_of
from twincode.report.metrics import Measure, Metric
from twincode.upgrade import upgrade_result, upgrade_study

if TYPE_CHECKING:
    import pandas as pd

RESULT_FILE, EXHIBITS_FILE = "result.json", "exhibits.npz"
STUDY_FILE, RECORDS_FILE = "study.json", "runs.jsonl"
SECONDS = Metric("seconds", "Seconds")
_NUMBERS = ("epochs", "seconds", "parameters", "threads")
_OF_DATA = ("origin", "checksum", "n_train", "n_test", "channels", "length", "classes")


@dataclass(frozen=True, eq=False)
class Run:
    """One finished run: its folder and its result, in format 2."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The run's name, unique within a study."""
        return str(self.record["run"])

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return str(self.record["dataset"]["name"])

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.record["config"]["training"]["seed"])

    @cached_property
    def key(self) -> str:
        """What tells its model from others."""
        return key_of(self.record)

    @property
    def last_epoch(self) -> int:
        """The latest epoch with an evaluation."""
        return max((int(entry["epoch"]) for entry in self.record["evaluations"]), default=0)

    @property
    def versions(self) -> str:
        """The versions of what computed it, in one line."""
        return ", ".join(f"{name} {version}" for name, version in self.record["versions"].items())

    def history(self) -> Iterator[tuple[int, str, float]]:
        """The course of the training as (epoch, quantity, value)."""
        for entry in self.record["history"]:
            if entry.get("perplexity") is not None:
                yield int(entry["epoch"]), "perplexity", float(entry["perplexity"])
            for name, value in entry["losses"].items():
                yield int(entry["epoch"]), name, _value(value)

    @cached_property
    def exhibits(self) -> dict[str, NDArray[Any]]:
        """The stored example arrays, empty where none were kept.

        Raises TwincodeError for a file that cannot be read.
        """
        path = self.folder / EXHIBITS_FILE
        if not path.exists():
            return {}
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise TwincodeError(
                f"{path} is not a readable set of exhibits ({error}); run that run again"
            ) from error


@dataclass(frozen=True, eq=False)
class Results:
    """Everything a report needs.

    ``planned`` is the number of runs the study set out to do; ``left_out`` counts the runs beside
    them in the folder that belong to other studies; ``axes`` are the settings the study varied.
    """

    folder: Path
    name: str
    command: str
    planned: int | None
    left_out: int
    axes: tuple[str, ...]
    datasets: tuple[str, ...]
    runs: tuple[Run, ...]

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
    def metrics(self) -> dict[str, Metric]:
        """Every metric by its name, in the order the results give them; how long it took last."""
        found = {
            entry["name"]: Metric(entry["name"], entry["title"], entry["better"])
            for run in self.runs
            for entry in run.record["metrics"]
        }
        return found | {SECONDS.name: SECONDS}

    @cached_property
    def readouts(self) -> tuple[str, ...]:
        """The readouts of the codes, in the order in which runs name them."""
        names = (
            name for run in self.runs for name in run.record["config"]["evaluation"]["readouts"]
        )
        measured = set(self.table.readout)
        return tuple(
            name for name in dict.fromkeys([*names, *sorted(measured)]) if name in measured - {""}
        )

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """Every metric under every readout it was measured under: the main readout's first."""
        found = set(zip(self.final.metric, self.final.readout, strict=True))
        return tuple(
            Measure(metric, readout)
            for readout in (*self.readouts[:1], "", *self.readouts[1:])
            for metric in self.metrics.values()
            if (metric.name, readout) in found
        )

    @property
    def main_measures(self) -> tuple[Measure, ...]:
        """The measures with a better direction, under the main readout or of the whole model."""
        main = {"", *self.readouts[:1]}
        return tuple(m for m in self.measures if m.metric.better and m.readout in main)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Tidy: one row per run, epoch, readout and metric, with the settings that labels tell."""
        import pandas as pd

        axes = list(dict.fromkeys(axis for model in self.models for axis in model.axes))
        rows = []
        for run in self.runs:
            model, record = self.model_of(run), run.record
            told = (self.name, run.id, run.dataset, record["recipe"], model.label)
            values = [_plain(model.settings.get(axis)) for axis in axes]
            made = (record["device"], record["commit"], run.versions, float(record["seconds"]))
            rows += [
                (*told, *values, run.seed, int(entry["epoch"]), entry["readout"], entry["metric"],
                 _value(entry["value"]), *made)
                for entry in record["evaluations"]
            ]  # fmt: skip
        names = [
            *("study", "run", "dataset", "recipe", "model", *axes, "seed", "epoch", "readout"),
            *("metric", "value", "device", "commit", "versions", "seconds"),
        ]
        return pd.DataFrame(rows, columns=names)

    @cached_property
    def last(self) -> pd.DataFrame:
        """The finite numbers of each run's last evaluation, and the seconds it took.

        Columns: dataset, model, seed, readout, metric, value. A repeated run counts once more.
        """
        import pandas as pd

        columns = ["dataset", "model", "seed", "readout", "metric", "value"]
        final = self.table[self.table.epoch == self.table.groupby("run").epoch.transform("max")]
        took = pd.DataFrame(
            [
                (run.dataset, self.model_of(run).label, run.seed, "", SECONDS.name,
                 float(run.record["seconds"]))
                for run in self.runs
            ],
            columns=columns,
        )  # fmt: skip
        found = pd.concat([final[columns], took], ignore_index=True)
        return found[np.isfinite(found.value)]

    @cached_property
    def final(self) -> pd.DataFrame:
        """The last numbers over seeds: dataset, model, readout, metric, mean, std, count."""
        names = ["dataset", "model", "readout", "metric"]
        grouped = self.last.groupby(names, sort=False).value
        return grouped.agg(["mean", "std", "count"]).reset_index()

    @cached_property
    def history(self) -> pd.DataFrame:
        """Tidy: one row per run, epoch and training loss or perplexity."""
        import pandas as pd

        courses = [list(run.history()) for run in self.runs]
        counts = [len(course) for course in courses]
        entries = [entry for course in courses for entry in course]
        epochs, quantities, values = zip(*entries, strict=True) if entries else ((), (), ())
        told = {
            "run": [run.id for run in self.runs],
            "dataset": [run.dataset for run in self.runs],
            "model": [self.model_of(run).label for run in self.runs],
            "seed": [run.seed for run in self.runs],
        }
        return pd.DataFrame(
            {name: pd.Categorical(column).repeat(counts) for name, column in told.items()}
            | {
                "epoch": np.array(epochs, dtype=int),
                "quantity": pd.Categorical(quantities),
                "value": np.array(values, dtype=float),
            }
        )


def load_results(folder: Path) -> Results:
    """Read a study's folder, the folder of a single run, or a study kept as ``runs.jsonl`` alone.

    Raises TwincodeError where there is no finished run, and names the file where one is damaged.
    """
    folder = Path(folder)
    study, steps = _read_study(folder)
    planned = study.get("runs")
    runs, left_out = _read_runs(folder, planned, steps)
    if not runs:
        others = f" but {left_out} of other studies" if left_out else ""
        raise TwincodeError(
            f"no finished runs in {folder}{others}; "
            "give the folder of a study or of a run that has ended"
        )
    if not study and len(runs) == 1:
        study = {"name": runs[0].id, "command": runs[0].record["command"]}
    present = sorted({run.dataset for run in runs})
    ordered = [name for name in study.get("datasets", ()) if name in present]
    return Results(
        folder=folder,
        name=str(study.get("name") or folder.resolve().name),
        command=command_line(study.get("command") or ()),
        planned=len(set(planned)) if isinstance(planned, list) else planned,
        left_out=left_out,
        axes=tuple(study.get("axes") or ()),
        datasets=tuple(dict.fromkeys([*ordered, *present])),
        runs=tuple(runs),
    )


def records_text(results: Results) -> str:
    """The runs as JSON lines, without histories and earlier evaluations: small enough to keep.

    A folder with ``study.json`` and this text as ``runs.jsonl`` gives the same final numbers.
    """
    return "".join(
        json.dumps(
            {
                **run.record,
                "history": [],
                "evaluations": [
                    entry for entry in run.record["evaluations"] if entry["epoch"] == run.last_epoch
                ],
            }
        )
        + "\n"
        for run in results.runs
    )


def command_line(words: Iterable[str] | str) -> str:
    """A stored command as one line that a shell would accept."""
    return words if isinstance(words, str) else shlex.join(map(str, words))


def _read_study(folder: Path) -> tuple[Mapping[str, Any], int]:
    """The description of the study, empty where there is none, and its budget of steps."""
    path = folder / STUDY_FILE
    if not path.exists():
        return {}, 0
    stored = read_json(path, "description of a study")
    try:
        return upgrade_study(stored), int(stored.get("steps") or 0)
    except TwincodeError as error:
        raise TwincodeError(f"{path}: {error}") from None
    except (AttributeError, TypeError, ValueError):
        raise TwincodeError(f"{path} does not describe a study; run the study again") from None


def _read_runs(folder: Path, planned: Any, steps: int) -> tuple[list[Run], int]:
    """The runs to report, and how many in the folder belong to other studies.

    A study that names its runs owns those alone; without names every run in the folder counts.
    """
    records = folder / RECORDS_FILE
    present = sorted((folder / "runs").glob(f"*/{RESULT_FILE}"))
    owned, left_out = present, 0
    if isinstance(planned, list):
        owned = [path for path in present if path.parent.name in planned]
        left_out = len(present) - len(owned)
    elif (folder / RESULT_FILE).exists():
        owned = [folder / RESULT_FILE]
    # Beside a folder of runs kept records are an earlier report's, and may be out of date.
    if owned or (folder / "runs").exists() or not records.exists():
        found = [(path.parent, read_json(path, "result of a run"), str(path)) for path in owned]
    else:
        found = [(folder, *line) for line in _lines(records)]
    return [_checked(*each, steps) for each in found], left_out


def _lines(path: Path) -> Iterator[tuple[Any, str]]:
    for place, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            yield json.loads(line), f"line {place} of {path}"
        except json.JSONDecodeError as error:
            raise TwincodeError(f"line {place} of {path} is not JSON: {error}") from None


def _checked(folder: Path, record: Any, origin: str, steps: int) -> Run:
    """A run of a stored record, every field touched here rather than in the middle of a page."""
    try:
        run = Run(folder, upgrade_result(record, steps))
        _ = (run.id, run.key, run.seed, run.last_epoch, run.versions, list(run.history()))
        _ = [float(run.record[name]) for name in _NUMBERS]
        _ = [run.record["dataset"][name] for name in ("name", *_OF_DATA)]
        _ = [
            (entry["readout"], entry["metric"], _value(entry["value"]))
            for entry in run.record["evaluations"]
        ]
        _ = [(entry["name"], entry["title"], entry["better"]) for entry in run.record["metrics"]]
        _ = models_of([run.record])
        _ = (run.record["config"]["evaluation"]["readouts"], run.record["health"])
        _ = [run.record[name] for name in ("command", "device", "commit", "started")]
    except TwincodeError as error:
        raise TwincodeError(f"{origin}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TwincodeError(
            f"{origin} is not the result of a finished run (problem: {error!r}); run that run again"
        ) from error
    missing = {entry["metric"] for entry in run.record["evaluations"]} - {
        entry["name"] for entry in run.record["metrics"]
    }
    if missing:
        raise TwincodeError(f"{origin} does not describe its metrics {', '.join(sorted(missing))}")
    return run


def _value(stored: float | None) -> float:
    return math.nan if stored is None else float(stored)


def _plain(value: Any) -> Any:
    """A setting as one cell of a table: lists are written out."""
    return (
        "+".join(map(str, value))
        if isinstance(value, Sequence) and not isinstance(value, str)
        else value
    )
