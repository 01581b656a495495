"""The runs of a study, as the driver plans them and a worker is told of them: small, picklable."""

import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from twincode.config import Config
from twincode.data import Dataset, Policy, load_dataset
from twincode.data.archive import is_path
from twincode.data.sources import DATA_VARIABLE
from twincode.errors import TwincodeError
from twincode.recipes import label
from twincode.train.result import RESULT


@dataclass(frozen=True)
class DataReference:
    """Where a data set lies, and what it was when the study was planned.

    ``values`` is the number of values one pass over the train part goes through.
    """

    where: str
    data_dir: str | None
    policy: Policy
    name: str
    checksum: str
    n_train: int
    values: int

    @classmethod
    def find(cls, where: str, data_dir: str | Path | None, policy: Policy) -> "DataReference":
        """Load a data set once to know it. Raises TwincodeError where that is impossible."""
        dataset = load_dataset(where, data_dir, policy)
        folder = str(data_dir or "") or os.environ.get(DATA_VARIABLE, "")
        return cls(
            where=_absolute(where) if is_path(where) else where,
            data_dir=_absolute(folder) if folder else None,
            policy=policy,
            name=dataset.name,
            checksum=dataset.checksum,
            n_train=len(dataset.X_train),
            values=dataset.X_train.size,
        )

    def load(self) -> Dataset:
        """The data set itself. Raises TwincodeError if it has changed or gone."""
        dataset = _load(self.where, self.data_dir, self.policy)
        if dataset.checksum != self.checksum:
            raise TwincodeError(f"{self.name} has changed since the study began; start it again")
        return dataset


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study: its place and everything that decides it."""

    data: DataReference
    config: Config
    folder: Path

    @property
    def name(self) -> str:
        """The run's name, unique within a study."""
        return self.folder.name

    @cached_property
    def title(self) -> str:
        """What runs, in words."""
        return f"{self.data.name}  {label(self.config)}  seed {self.config.training.seed}"

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        return (self.folder / RESULT).exists()


# The runs of a data set follow one another, so one set at a time is enough.
@lru_cache(maxsize=1)
def _load(where: str, data_dir: str | None, policy: Policy) -> Dataset:
    return load_dataset(where, data_dir, policy)


def _absolute(path: str) -> str:
    """Workers may have another working folder."""
    return str(Path(path).expanduser().resolve())
