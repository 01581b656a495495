"""Reading the stored results of a study, or of one run, into tidy tables."""

from __future__ import annotations

import math
import re
import statistics
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from twincode.errors import TwincodeError
from twincode.files import read_json

if TYPE_CHECKING:
    import pandas as pd

RESULT_FORMAT = 1
RESULT_FILE = "result.json"
EXHIBITS_FILE = "exhibits.npz"
_RUN_COLUMNS = [
    *("study", "run", "dataset", "recipe", "label", "gamma", "seed"),
    *("epoch", "readout", "metric", "value", "device", "commit", "seconds"),
]
_HISTORY_COLUMNS = ["study", "run", "dataset", "label", "seed", "epoch", "quantity", "value"]


@dataclass(frozen=True)
class Run:
    """One finished run: its folder and the content of its result file."""

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
    def label(self) -> str:
        """The display name of the model; runs with one label differ by seed and data set only."""
        return str(self.record["label"])

    @property
    def recipe(self) -> str:
        """The name of the recipe that made the model."""
        return str(self.record["recipe"])

    @property
    def gamma(self) -> float:
        """The weight of the twin loss; 0 where there is none."""
        return float(self.record["gamma"] or 0)

    @property
    def seed(self) -> int:
        """The seed of the run; 0 for a control that has none."""
        return int(self.record["seed"] or 0)

    @property
    def seconds(self) -> float:
        """Wall time of the run."""
        return float(self.record["seconds"])

    @property
    def epochs(self) -> int:
        """Planned epochs; 0 for a control that is not trained."""
        return int(self.record["config"]["training"]["epochs"])

    @property
    def last_epoch(self) -> int:
        """The latest epoch with an evaluation."""
        return max((int(entry["epoch"]) for entry in self.record["evaluations"]), default=0)

    @cached_property
    def final(self) -> dict[tuple[str, str], float]:
        """The numbers of the latest evaluation by (readout, metric); NaN where one diverged."""
        return {
            (readout, name): value
            for epoch, readout, name, value in _evaluation_rows(self)
            if epoch == self.last_epoch
        }

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


@dataclass(frozen=True)
class Summary:
    """A number over seeds: mean, sample standard deviation (None for one seed), how many."""

    mean: float
    spread: float | None
    count: int


# (data set, label, readout, metric) -> number over seeds
FinalValues = dict[tuple[str, str, str, str], Summary]


@dataclass(frozen=True, eq=False)
class Results:
    """Everything a report needs.

    ``table`` is tidy: one row per run, epoch, readout and metric. ``history`` holds the training
    losses and perplexity per epoch. ``planned`` is the number of runs the study set out to do;
    ``left_out`` counts the runs beside them in the folder that belong to other studies.
    """

    folder: Path
    name: str
    command: str
    planned: int | None
    left_out: int
    datasets: tuple[str, ...]
    runs: tuple[Run, ...]
    table: pd.DataFrame
    history: pd.DataFrame

    @property
    def missing(self) -> int:
        """How many planned runs have no result yet."""
        return max(0, (self.planned or 0) - len(self.runs))

    def of_dataset(self, dataset: str) -> list[Run]:
        """The runs on one data set."""
        return [run for run in self.runs if run.dataset == dataset]

    @cached_property
    def final(self) -> FinalValues:
        """Every metric at the last evaluation of each run, over seeds; ``seconds`` among them."""
        return _final_values(self.runs)


def load_results(folder: Path) -> Results:
    """Read a study's folder, or the folder of a single run.

    Raises TwincodeError where there is no finished run, and names the file where one is damaged.
    """
    folder = Path(folder)
    study = _read_study(folder)
    found, left_out = _result_files(folder, study.get("runs"))
    if not found:
        others = f" but {left_out} of other studies" if left_out else ""
        raise TwincodeError(
            f"no finished runs in {folder}{others}; "
            "give the folder of a study or of a run that has ended"
        )
    runs = tuple(_read_run(path) for path in found)
    study = study or _study_of_one(runs)
    name = str(study.get("name") or folder.resolve().name)
    return Results(
        folder=folder,
        name=name,
        command=command_line(study.get("command") or ()),
        planned=_count(study.get("runs")),
        left_out=left_out,
        datasets=_dataset_order(study.get("datasets") or (), runs),
        runs=runs,
        table=_table(name, runs),
        history=_history(name, runs),
    )


def summarise(values: Iterable[float]) -> Summary:
    """Mean and sample standard deviation of the finite ``values``."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Summary(math.nan, None, 0)
    spread = statistics.stdev(finite) if len(finite) > 1 else None
    return Summary(statistics.fmean(finite), spread, len(finite))


def command_line(words: Iterable[str] | str) -> str:
    """A stored command as one line that a shell would accept."""
    import shlex

    return words if isinstance(words, str) else shlex.join(str(word) for word in words)


def _result_files(folder: Path, planned: Any) -> tuple[list[Path], int]:
    """The results to report, and how many in the folder belong to other studies.

    A study that names its runs owns those alone: the same models trained for another number of
    epochs may lie beside them. Without names every run in the folder counts.
    """
    single, present = folder / RESULT_FILE, sorted((folder / "runs").glob(f"*/{RESULT_FILE}"))
    if isinstance(planned, list):
        owned = [path for path in present if path.parent.name in planned]
        return owned, len(present) - len(owned)
    return ([single] if single.exists() else present), 0


def _study_of_one(runs: tuple[Run, ...]) -> Mapping[str, Any]:
    single = runs[0]
    return {"name": single.id, "command": single.record["command"]} if len(runs) == 1 else {}


def _read_study(folder: Path) -> Mapping[str, Any]:
    path = folder / "study.json"
    if not path.exists():
        return {}
    study = read_json(path, "description of a study")
    if not isinstance(study, Mapping):
        raise TwincodeError(f"{path} does not describe a study; run the study again")
    return study


def _read_run(path: Path) -> Run:
    record = read_json(path, "result of a run")
    run = Run(path.parent, record)
    try:
        stored = record["format"]
        _touch_every_field(run)
    except (KeyError, TypeError, ValueError) as error:
        raise TwincodeError(
            f"{path} is not the result of a finished run (problem: {error!r}); run that run again"
        ) from error
    if stored != RESULT_FORMAT:
        raise TwincodeError(
            f"{path} has format {stored!r}, this version reads {RESULT_FORMAT}; "
            "report it with the version that wrote it"
        )
    return run


def _touch_every_field(run: Run) -> None:
    """Fail here, with the file's name at hand, rather than in the middle of a page."""
    for name in (
        "recipe",
        "config",
        "command",
        "device",
        "threads",
        "versions",
        "commit",
        "started",
    ):
        run.record[name]
    for name in ("origin", "checksum", "n_train", "n_test", "channels", "length", "classes"):
        run.record["dataset"][name]
    int(run.record["parameters"])
    _ = (run.id, run.dataset, run.label, run.seed, run.gamma, run.seconds)
    _ = (run.epochs, run.last_epoch)
    list(_evaluation_rows(run))
    list(_history_rows(run))


def _count(planned: Any) -> int | None:
    return len(set(planned)) if isinstance(planned, list) else planned


def _dataset_order(planned: Iterable[str], runs: tuple[Run, ...]) -> tuple[str, ...]:
    present = sorted({run.dataset for run in runs})
    order = [name for name in planned if name in present]
    return tuple(dict.fromkeys([*order, *present]))


def _value(stored: float | None) -> float:
    return math.nan if stored is None else float(stored)


def _evaluation_rows(run: Run) -> Iterable[tuple[int, str, str, float]]:
    for entry in run.record["evaluations"]:
        yield int(entry["epoch"]), entry["readout"], entry["metric"], _value(entry["value"])


def _history_rows(run: Run) -> Iterable[tuple[int, str, float]]:
    for entry in run.record["history"]:
        epoch = int(entry["epoch"])
        yield epoch, "perplexity", _value(entry.get("perplexity"))
        for name, value in entry["losses"].items():
            yield epoch, name, _value(value)


def _table(study: str, runs: tuple[Run, ...]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (
            *(study, run.id, run.dataset, run.recipe, run.label, run.gamma, run.seed),
            *(*evaluation, run.record["device"], run.record["commit"], run.seconds),
        )
        for run in runs
        for evaluation in _evaluation_rows(run)
    ]
    return pd.DataFrame(rows, columns=_RUN_COLUMNS)


def _history(study: str, runs: tuple[Run, ...]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (study, run.id, run.dataset, run.label, run.seed, *entry)
        for run in runs
        for entry in _history_rows(run)
    ]
    return pd.DataFrame(rows, columns=_HISTORY_COLUMNS)


def _final_values(runs: tuple[Run, ...]) -> FinalValues:
    collected: dict[tuple[str, str, str, str], list[float]] = {}
    for run in runs:
        for (readout, name), value in run.final.items():
            collected.setdefault((run.dataset, run.label, readout, name), []).append(value)
        collected.setdefault((run.dataset, run.label, "", "seconds"), []).append(run.seconds)
    return {key: summarise(values) for key, values in collected.items()}


def file_name(name: str) -> str:
    """``name`` reduced to what every file system and web address accepts."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "unnamed"


def file_names(names: Iterable[str]) -> dict[str, str]:
    """A file name for each of ``names``, all different even on systems that ignore case."""
    chosen: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        stem, candidate, attempt = file_name(name), file_name(name), 1
        while candidate.lower() in taken:
            attempt += 1
            candidate = f"{stem}-{attempt}"
        taken.add(candidate.lower())
        chosen[name] = candidate
    return chosen
