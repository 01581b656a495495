"""Carrying a study out, run by run. What is already there is not run again."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twincode.config import Config
from twincode.data import Dataset, Policy, load_dataset
from twincode.distributed import expected
from twincode.errors import TwincodeError
from twincode.files import make_folder, write_json
from twincode.model import choose_device
from twincode.recipes import label
from twincode.study.plan import Study
from twincode.train import fit, run_id
from twincode.train.log import Record, Watch
from twincode.train.result import RESULT

STUDY = "study.json"
RUNS = "runs"


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study: its place and everything that decides it."""

    dataset: Dataset
    config: Config
    folder: Path

    @property
    def title(self) -> str:
        """What runs, in words."""
        return f"{self.dataset.name}  {label(self.config)}  seed {self.config.training.seed}"

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        return (self.folder / RESULT).exists()


@dataclass
class Outcome:
    """How a study ended: how many runs were done now and before, and what failed, with reasons."""

    trained: int = 0
    present: int = 0
    failed: dict[str, str] = field(default_factory=dict)


WatchRun = Callable[[PlannedRun, Record], None]


def run_study(
    study: Study,
    folder: str | Path,
    data_dir: str | Path | None = None,
    policy: Policy | None = None,
    device: str = "auto",
    watch: WatchRun | None = None,
    announce: Callable[[list[PlannedRun]], None] | None = None,
    command: Sequence[str] | None = None,
) -> Outcome:
    """Train and evaluate every run of ``study`` under ``folder``; one that fails stops no other.

    ``announce`` is given the list of planned runs before the first starts; ``watch`` every log
    record of each. Raises TwincodeError for a data set that cannot be loaded, two different
    ones of one name, a recipe, setting or device that does not exist, and a folder that cannot be
    written.
    """
    configs = study.configs()
    if expected() > 1:
        raise TwincodeError("torchrun trains one model; start a study without it")
    choose_device(device)
    datasets = _load(study, data_dir, policy or Policy())
    place = make_folder(Path(folder))
    runs = [
        PlannedRun(dataset, config, place / RUNS / run_id(config, dataset))
        for dataset in datasets
        for config in configs
    ]
    _describe(place, study, runs, list(command or sys.argv))
    if announce is not None:
        announce(runs)
    outcome = Outcome()
    for run in runs:
        _carry_out(run, outcome, device, watch, command)
    return outcome


def _load(study: Study, data_dir: str | Path | None, policy: Policy) -> list[Dataset]:
    """The data sets, each once; results are told apart by their names."""
    found: dict[str, Dataset] = {}
    for name in study.datasets:
        dataset = load_dataset(name, data_dir, policy)
        if found.setdefault(dataset.name, dataset).checksum != dataset.checksum:
            raise TwincodeError(f"two different data sets are called {dataset.name}; rename one")
    return list(found.values())


def _carry_out(
    run: PlannedRun,
    outcome: Outcome,
    device: str,
    watch: WatchRun | None,
    command: Sequence[str] | None,
) -> None:
    if run.done:
        outcome.present += 1
        return
    try:
        fit(run.config, run.dataset, run.folder, device, _watcher(run, watch), command)
        outcome.trained += 1
    except (TwincodeError, RuntimeError, MemoryError) as error:
        # Torch reports exhausted memory as a RuntimeError of several lines.
        outcome.failed[run.title] = (str(error).splitlines() or [type(error).__name__])[0]


def _watcher(run: PlannedRun, watch: WatchRun | None) -> Watch | None:
    return None if watch is None else lambda record: watch(run, record)


def _describe(place: Path, study: Study, runs: list[PlannedRun], command: list[str]) -> None:
    """Keep what the study is, so that a page can tell what is still missing."""
    write_json(
        place / STUDY,
        {
            "name": place.resolve().name,
            "command": command,
            "datasets": list(dict.fromkeys(run.dataset.name for run in runs)),
            "seeds": list(range(study.seeds)),
            "epochs": max(run.config.training.epochs for run in runs),
            "runs": [run.folder.name for run in runs],
        },
    )
