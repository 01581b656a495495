"""One finished run as it was stored, and numbers over several of them."""

from __future__ import annotations

import math
import statistics
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from twincode.errors import TwincodeError
from twincode.files import read_json

Item = TypeVar("Item")

RESULT_FORMAT = 1
RESULT_FILE = "result.json"
EXHIBITS_FILE = "exhibits.npz"
# What a run tells of itself beside its evaluations, under the names tables give it.
CIRCUMSTANCES = ("seconds", "parameters")
_NEEDED = ("recipe", "config", "command", "device", "threads", "versions", "commit", "started")
_NEEDED_OF_DATA = ("origin", "checksum", "n_train", "n_test", "channels", "length", "classes")


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
    def steps(self) -> int:
        """Optimiser steps: one a batch, a last smaller one included."""
        batch = int(self.record["config"]["training"]["batch_size"])
        return self.epochs * math.ceil(int(self.record["dataset"]["n_train"]) / batch)

    @property
    def labelled(self) -> bool:
        """Whether the data set has classes."""
        return bool(self.record["dataset"]["classes"])

    @property
    def versions(self) -> str:
        """The versions of what computed it, in one line."""
        return ", ".join(f"{name} {version}" for name, version in self.record["versions"].items())

    @property
    def last_epoch(self) -> int:
        """The latest epoch with an evaluation."""
        return max((int(entry["epoch"]) for entry in self.record["evaluations"]), default=0)

    @cached_property
    def final(self) -> dict[tuple[str, str], float]:
        """The numbers of the latest evaluation by (readout, metric); NaN where one diverged.

        What the run tells of itself stands among them, under no readout.
        """
        last = self.last_epoch
        told = {("", name): float(self.record[name]) for name in CIRCUMSTANCES}
        return told | {
            (readout, name): value
            for epoch, readout, name, value in self.evaluations()
            if epoch == last
        }

    def evaluations(self) -> Iterable[tuple[int, str, str, float]]:
        """Every measured number as (epoch, readout, metric, value)."""
        for entry in self.record["evaluations"]:
            yield int(entry["epoch"]), entry["readout"], entry["metric"], _value(entry["value"])

    def history(self, most: int | None = None) -> Iterable[tuple[int, str, float]]:
        """The course of the training as (epoch, quantity, value); empty where it was not kept.

        ``most`` asks for that many epochs, evenly chosen, the first and the last among them.
        """
        for entry in evenly(self.record.get("history", ()), most):
            epoch = int(entry["epoch"])
            yield epoch, "perplexity", _value(entry.get("perplexity"))
            for name, value in entry["losses"].items():
                yield epoch, name, _value(value)

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


def evenly(items: Sequence[Item], most: int | None) -> Sequence[Item]:
    """``most`` of the items, evenly chosen, the first and the last among them; all of fewer."""
    if most is None or len(items) <= most:
        return items
    return [items[place] for place in np.linspace(0, len(items) - 1, most).round().astype(int)]


def summarise(values: Iterable[float]) -> Summary:
    """Mean and sample standard deviation of the finite ``values``."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Summary(math.nan, None, 0)
    spread = statistics.stdev(finite) if len(finite) > 1 else None
    return Summary(statistics.fmean(finite), spread, len(finite))


def read_run(path: Path) -> Run:
    """The run whose result lies at ``path``; raises TwincodeError, naming it, for a damaged one."""
    return checked_run(path.parent, read_json(path, "result of a run"), str(path))


def checked_run(folder: Path, record: Any, origin: str) -> Run:
    """A run of a stored record; raises TwincodeError naming ``origin`` where it is none."""
    run = Run(folder, record)
    try:
        stored = record["format"]
        _touch_every_field(run)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TwincodeError(
            f"{origin} is not the result of a finished run (problem: {error!r}); run that run again"
        ) from error
    if stored != RESULT_FORMAT:
        raise TwincodeError(
            f"{origin} has format {stored!r}, this version reads {RESULT_FORMAT}; "
            "report it with the version that wrote it"
        )
    return run


def _touch_every_field(run: Run) -> None:
    """Fail here, with the file's name at hand, rather than in the middle of a page."""
    for name in _NEEDED:
        run.record[name]
    for name in _NEEDED_OF_DATA:
        run.record["dataset"][name]
    int(run.record["parameters"])
    _ = (run.id, run.dataset, run.label, run.seed, run.gamma, run.seconds)
    _ = (run.epochs, run.steps, run.last_epoch, run.versions, run.final)
    for _ in run.history():
        pass


def _value(stored: float | None) -> float:
    return math.nan if stored is None else float(stored)
