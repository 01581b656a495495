"""Where a twin loss might pay: few labels, disturbed test series, another data set.

    python -m benchmarks.conditions STUDY

For every finished model of a study a linear SVM is fitted on what the codes of clean train series
stand for and scored on test: with a share of the labels; on test series with noise, or moved in
time; and on the other data sets of the study, resampled to the model's length. Rows that are there
already are not measured again.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.tables import RESULTS, read_rows, write_rows
from twincode.data import Dataset, Policy, apply_policy, load_dataset
from twincode.evaluate.readout import minmax_scale
from twincode.evaluate.separability import SeparabilitySettings, separability
from twincode.model import Model, load_model
from twincode.train.result import RESULT

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]

MOST = 2000  # series of a part
LABELS, NOISE, SHIFT = (1.0, 0.1, 0.01), (0.1, 0.3, 1.0), (0.02, 0.05, 0.1)
DRAWS = 5  # of labels
NAMES = "ECG5000,TwoPatterns,ChlorineConcentration,Wafer,ElectricDevices,FordA,FordB"


class Row(NamedTuple):
    """One accuracy of one model; ``level`` is a share of labels, deviations, a share of length."""

    dataset: str
    recipe: str
    gamma: float
    steps: int
    seed: int
    condition: str
    level: str
    accuracy: float
    commit: str | None

    @property
    def model(self) -> tuple[Any, ...]:
        """What is measured once: a model, under all conditions."""
        return self[:5]


def some(X: Floats, y: Labels, seed: int) -> tuple[Floats, Labels]:
    """At most ``MOST`` series of a part."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(X))[:MOST])
    return X[rows], y[rows]


def few_labels(y: Labels, share: float, seed: int) -> Labels:
    """Rows of which the labels are told: a share of each class, one at least."""
    draw = np.random.default_rng(seed)
    rows = []
    for label in np.unique(y):
        own = draw.permutation(np.flatnonzero(y == label))
        rows.append(own[: max(1, round(share * len(own)))])
    return np.sort(np.concatenate(rows))


def noisy(X: Floats, level: float, deviation: float, seed: int) -> Floats:
    """Series X (n, C, L) with white noise of ``level`` deviations."""
    noise = np.random.default_rng(seed).standard_normal(X.shape)
    return np.asarray(X + level * deviation * noise, X.dtype)


def moved(X: Floats, share: float, seed: int) -> Floats:
    """Series X (n, C, L), each moved by up to a share of L, its end values held."""
    L = X.shape[-1]
    most = round(share * L)
    by = np.random.default_rng(seed).integers(-most, most + 1, size=len(X))
    steps = np.clip(np.arange(L) - by[:, None], 0, L - 1)
    return np.take_along_axis(X, steps[:, None], axis=-1)


def resampled(X: Floats, length: int) -> Floats:
    """Series X (n, C, L) at another length, as a model of that length takes them."""
    return apply_policy(list(X), Policy(lengths="resample"), target_length=length)


def accuracy(train: Floats, y_train: Labels, test: Floats, y_test: Labels) -> float:
    """Of a linear SVM on features (n, features)."""
    points = minmax_scale(train, test)
    own = SeparabilitySettings(neighbours=())
    n = len(train)
    return separability(points[:n], y_train, points[n:], y_test, own)[0]


class Parts(NamedTuple):
    """Some series of both parts of a data set, and their classes."""

    X: Floats
    y: Labels
    X_test: Floats
    y_test: Labels

    @classmethod
    def of(cls, data: Dataset, seed: int, length: int) -> "Parts":
        """Those that are drawn, at the length of a model's."""
        assert data.y_train is not None
        assert data.y_test is not None
        (X, y), (X_test, y_test) = (
            some(*part, seed) for part in ((data.X_train, data.y_train), (data.X_test, data.y_test))
        )
        return cls(resampled(X, length), y, resampled(X_test, length), y_test)


def conditions(
    model: Model, own: Parts, others: Mapping[str, Parts], seed: int
) -> Iterator[tuple[str, str, float]]:
    """Condition, level and accuracy, for everything that is tried."""
    X, y, X_test, y_test = own
    train, test = model.transform(X), model.transform(X_test)
    for share in LABELS:
        told = [few_labels(y, share, draw) for draw in range(DRAWS if share < 1 else 1)]
        found = [accuracy(train[rows], y[rows], test, y_test) for rows in told]
        yield "labels", f"{share:g}", float(np.mean(found))
    for level in NOISE:
        disturbed = noisy(X_test, level, float(X.std()), seed)
        yield "noise", f"{level:g}", accuracy(train, y, model.transform(disturbed), y_test)
    for level in SHIFT:
        disturbed = moved(X_test, level, seed)
        yield "shift", f"{level:g}", accuracy(train, y, model.transform(disturbed), y_test)
    for name, other in others.items():
        train, test = model.transform(other.X), model.transform(other.X_test)
        yield "transfer", name, accuracy(train, other.y, test, other.y_test)


def _set_of(path: Path) -> str:
    """What a run's data set is told by in the name of its folder."""
    return path.parent.name.rpartition("-")[2]


def main() -> None:
    """One model after another, kept as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--datasets", default=NAMES)
    parser.add_argument("--out", type=Path, default=RESULTS / "conditions.csv")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    sets = {name: load_dataset(name) for name in asked.datasets.split(",")}

    @lru_cache(maxsize=3)  # the models of a set follow one another, of three seeds
    def parts(name: str, seed: int) -> dict[str, Parts]:
        return {each: Parts.of(sets[each], seed, sets[name].length) for each in sets}

    found = read_rows(asked.out, Row)
    done = {row.model for row in found}
    for path in sorted(asked.study.glob(f"runs/*/{RESULT}"), key=_set_of):
        record = json.loads(path.read_text(encoding="utf-8"))
        name, training = record["dataset"]["name"], record["config"]["training"]
        twin = record["config"]["twin_loss"]
        gamma = float(twin["gamma"]) if twin else 0.0
        seed = training["seed"]
        own = (name, record["recipe"], gamma, training["steps"], seed)
        if own in done or name not in sets:
            continue
        others = dict(parts(name, seed))
        drawn = others.pop(name)
        for told in conditions(load_model(path.parent), drawn, others, seed):
            found.append(Row(*own, *told, record["commit"]))
            print(*found[-1])
        write_rows(asked.out, found)


if __name__ == "__main__":
    main()
