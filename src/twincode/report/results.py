"""Reading the stored results of a study, or of one run, into tidy tables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twincode.errors import TwincodeError
from twincode.files import read_json
from twincode.report.models import Model, models_of
from twincode.report.runs import (
    CIRCUMSTANCES,
    RESULT_FILE,
    Run,
    Summary,
    checked_run,
    read_run,
    summarise,
)

if TYPE_CHECKING:
    import pandas as pd

STUDY_FILE = "study.json"
RECORDS_FILE = "runs.jsonl"
_RUN_COLUMNS = [
    *("study", "run", "dataset", "recipe", "label", "gamma", "seed", "epoch", "readout"),
    *("metric", "value", "device", "commit", "versions", "seconds"),
]
_HISTORY_NAMES = ("study", "run", "dataset", "label", "seed")
_HISTORY_MEASURES = ("epoch", "quantity", "value")

# (data set, label, readout, metric) -> number over seeds
FinalValues = dict[tuple[str, str, str, str], Summary]


@dataclass(frozen=True, eq=False)
class Results:
    """Everything a report needs.

    ``planned`` is the number of runs the study set out to do; ``left_out`` counts the runs beside
    them in the folder that belong to other studies.
    """

    folder: Path
    name: str
    command: str
    planned: int | None
    left_out: int
    datasets: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def missing(self) -> int:
        """How many planned runs have no result yet."""
        return max(0, (self.planned or 0) - len(self.runs))

    def of_dataset(self, dataset: str) -> list[Run]:
        """The runs on one data set."""
        return self._by_dataset.get(dataset, [])

    def of_label(self, label: str) -> list[Run]:
        """The runs of one model."""
        return self._by_label.get(label, [])

    @cached_property
    def _by_dataset(self) -> dict[str, list[Run]]:
        return _grouped(self.runs, lambda run: run.dataset)

    @cached_property
    def _by_label(self) -> dict[str, list[Run]]:
        return _grouped(self.runs, lambda run: run.label)

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """Every model in one order, each with one colour and marker wherever it appears."""
        return models_of(self.runs)

    def models_on(self, dataset: str) -> tuple[Model, ...]:
        """The models that were run on a data set."""
        present = {run.label for run in self.of_dataset(dataset)}
        return tuple(model for model in self.models if model.label in present)

    def of_method(self, method: str) -> Model | None:
        """The first model of a method, None where there is none."""
        return next((model for model in self.models if model.method == method), None)

    @cached_property
    def final(self) -> FinalValues:
        """Every metric at the last evaluation of each run, over seeds, and its circumstances."""
        collected: dict[tuple[str, str, str, str], list[float]] = {}
        for run in self.runs:
            for (readout, name), value in run.final.items():
                collected.setdefault((run.dataset, run.label, readout, name), []).append(value)
        return {key: summarise(values) for key, values in collected.items()}

    @cached_property
    def measures(self) -> tuple[tuple[str, str], ...]:
        """Every (readout, metric) that was measured anywhere, in alphabetical order."""
        found = {key[2:] for key, summary in self.final.items() if summary.count}
        return tuple(sorted(key for key in found if key[1] not in CIRCUMSTANCES))

    @cached_property
    def table(self) -> pd.DataFrame:
        """Tidy: one row per run, epoch, readout and metric."""
        import pandas as pd

        rows = [
            (
                *(self.name, run.id, run.dataset, run.recipe, run.label, run.gamma, run.seed),
                *(*evaluation, run.record["device"], run.record["commit"]),
                *(run.versions, run.seconds),
            )
            for run in self.runs
            for evaluation in run.evaluations()
        ]
        return pd.DataFrame(rows, columns=_RUN_COLUMNS)

    @property
    def history(self) -> pd.DataFrame:
        """Tidy: one row per run, epoch and training loss or perplexity."""
        import pandas as pd

        measured: dict[str, list[Any]] = {name: [] for name in _HISTORY_MEASURES}
        lengths = []
        for run in self.runs:
            rows = list(run.history())
            lengths.append(len(rows))
            for name, values in zip(_HISTORY_MEASURES, zip(*rows, strict=True), strict=False):
                measured[name].extend(values)
        names = {
            name: pd.Categorical([self._told(run, name) for run in self.runs]).repeat(lengths)
            for name in _HISTORY_NAMES
        }
        return pd.DataFrame({**names, **measured})

    def _told(self, run: Run, name: str) -> object:
        return self.name if name == "study" else getattr(run, "id" if name == "run" else name)


def load_results(folder: Path) -> Results:
    """Read a study's folder, the folder of a single run, or a study kept as ``runs.jsonl`` alone.

    Raises TwincodeError where there is no finished run, and names the file where one is damaged.
    """
    folder = Path(folder)
    study = _read_study(folder)
    runs, left_out = _runs(folder, study.get("runs"))
    if not runs:
        others = f" but {left_out} of other studies" if left_out else ""
        raise TwincodeError(
            f"no finished runs in {folder}{others}; "
            "give the folder of a study or of a run that has ended"
        )
    study = study or _study_of_one(runs)
    return Results(
        folder=folder,
        name=str(study.get("name") or folder.resolve().name),
        command=command_line(study.get("command") or ()),
        planned=_count(study.get("runs")),
        left_out=left_out,
        datasets=_dataset_order(study.get("datasets") or (), runs),
        runs=runs,
    )


def records_text(results: Results) -> str:
    """The runs as JSON lines, without histories and earlier evaluations: small enough to keep.

    A folder with ``study.json`` and this text as ``runs.jsonl`` gives the same final numbers.
    """
    return "".join(json.dumps(_kept(run)) + "\n" for run in results.runs)


def command_line(words: Iterable[str] | str) -> str:
    """A stored command as one line that a shell would accept."""
    import shlex

    return words if isinstance(words, str) else shlex.join(str(word) for word in words)


def _grouped(runs: Iterable[Run], key: Callable[[Run], str]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(key(run), []).append(run)
    return found


def _kept(run: Run) -> dict[str, Any]:
    last = [entry for entry in run.record["evaluations"] if entry["epoch"] == run.last_epoch]
    return {**run.record, "history": [], "evaluations": last}


def _runs(folder: Path, planned: Any) -> tuple[tuple[Run, ...], int]:
    """The runs to report, and how many in the folder belong to other studies."""
    found, left_out = _result_files(folder, planned)
    records = folder / RECORDS_FILE
    # Beside a folder of runs they are an earlier report's, and may be out of date.
    if found or (folder / "runs").exists() or not records.exists():
        return tuple(read_run(path) for path in found), left_out
    return _read_records(records), 0


def _read_records(path: Path) -> tuple[Run, ...]:
    runs = []
    for place, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise TwincodeError(f"line {place} of {path} is not JSON: {error}") from None
        runs.append(checked_run(path.parent, record, f"line {place} of {path}"))
    return tuple(runs)


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
    path = folder / STUDY_FILE
    if not path.exists():
        return {}
    study = read_json(path, "description of a study")
    if not isinstance(study, Mapping):
        raise TwincodeError(f"{path} does not describe a study; run the study again")
    return study


def _count(planned: Any) -> int | None:
    return len(set(planned)) if isinstance(planned, list) else planned


def _dataset_order(planned: Iterable[str], runs: tuple[Run, ...]) -> tuple[str, ...]:
    present = sorted({run.dataset for run in runs})
    order = [name for name in planned if name in present]
    return tuple(dict.fromkeys([*order, *present]))


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
