"""The runs of a study, as the driver plans them and a worker is told of them: small, picklable."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from twincode.config import Config
from twincode.data import Columns, Dataset, Policy, load_dataset
from twincode.data.archive import is_path
from twincode.data.sources import DATA_VARIABLE
from twincode.errors import TwincodeError
from twincode.files import expanded
from twincode.labels import labels
from twincode.recipes import title
from twincode.study.plan import Study
from twincode.study.second_stage import SecondStage
from twincode.train import run_id
from twincode.train.result import RESULT

RUNS = "runs"


@dataclass(frozen=True)
class DataReference:
    """Where a data set lies, and what it was when the study was planned.

    ``values`` is the number of values one pass over the train part goes through.
    """

    where: str
    data_dir: str | None
    policy: Policy
    columns: Columns
    name: str
    checksum: str
    n_train: int
    values: int

    @classmethod
    def find(
        cls, where: str, data_dir: str | Path | None, policy: Policy, columns: Columns
    ) -> "DataReference":
        """Load a data set once to know it; only files have columns to be told of.

        Raises TwincodeError where that is impossible.
        """
        columns = columns if is_path(where) else Columns()
        dataset = load_dataset(where, data_dir, policy, columns=columns)
        folder = str(data_dir or "") or os.environ.get(DATA_VARIABLE, "")
        return cls(
            where=_absolute(where) if is_path(where) else where,
            data_dir=_absolute(folder) if folder else None,
            policy=policy,
            columns=columns,
            name=dataset.name,
            checksum=dataset.checksum,
            n_train=len(dataset.X_train),
            values=dataset.X_train.size,
        )

    def load(self) -> Dataset:
        """The data set itself. Raises TwincodeError if it has changed or gone."""
        dataset = _load(self.where, self.data_dir, self.policy, self.columns, self.checksum)
        if dataset.checksum != self.checksum:
            raise TwincodeError(f"{self.name} has changed since the study began; start it again")
        return dataset


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study: its place, what it is called, and everything that decides it."""

    data: DataReference
    config: Config
    folder: Path
    title: str
    second_stage: SecondStage | None = None

    @property
    def name(self) -> str:
        """The run's name, unique within a study."""
        return self.folder.name

    @property
    def result(self) -> str:
        """What marks it as done, seen from its folder."""
        return RESULT if self.second_stage is None else self.second_stage.result


def plan_runs(
    study: Study, place: Path, data_dir: str | Path | None, policy: Policy, columns: Columns
) -> list[PlannedRun]:
    """Every run of ``study``, data set by data set.

    Raises TwincodeError for data that cannot be loaded and for two data sets of one name.
    """
    configs = study.configs()
    called = labels([(title(config), config.to_dict()) for config in configs], study.axes)
    return [
        PlannedRun(
            data,
            config,
            place / RUNS / run_id(config, data),
            f"{data.name}  {label}  seed {config.training.seed}",
            study.second_stage(config),
        )
        for data in _find_data(study, data_dir, policy, columns)
        for config, label in zip(configs, called, strict=True)
    ]


def _find_data(
    study: Study, data_dir: str | Path | None, policy: Policy, columns: Columns
) -> list[DataReference]:
    """The data sets, each once; results are told apart by their names, and runs by their values."""
    found: dict[str, DataReference] = {}
    for name in study.datasets:
        data = DataReference.find(name, data_dir, policy, columns)
        if found.setdefault(data.name, data).checksum != data.checksum:
            raise TwincodeError(f"two different data sets are called {data.name}; rename one")
    names: dict[str, str] = {}
    for data in found.values():
        if (other := names.setdefault(data.checksum, data.name)) != data.name:
            raise TwincodeError(f"{other} and {data.name} are the same data; leave one out")
    return list(found.values())


# The runs of a data set follow one another, so one set at a time is enough.
@lru_cache(maxsize=1)
def _load(
    where: str, data_dir: str | None, policy: Policy, columns: Columns, _checksum: str
) -> Dataset:
    return load_dataset(where, data_dir, policy, columns=columns)


def _absolute(path: str) -> str:
    """Workers may have another working folder; a link is what was named, not what it leads to."""
    return str(expanded(path).absolute())
