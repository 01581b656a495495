"""How well classes can be told from codes where bits are no matter.

    python -m benchmarks.accuracy

Codes are found without labels (``mixture``), decoded, and classified in two ways: MiniROCKET with a
ridge, and a support vector machine on the values. Which of the two, and the machine's settings, is
decided by cross-validation on at most ``CHOSEN_ON`` series of train; test is looked at once. Rows
that are there already are not measured again.
"""

import argparse
import time
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from aeon.classification.convolution_based import MiniRocketClassifier
from sklearn.base import ClassifierMixin
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from benchmarks.tables import RESULTS, measure_missing
from twincode.data import load_dataset
from twincode.evaluate.kernels import nothing_else_moved
from twincode.evaluate.rate import nmse
from twincode.recipes import DEFAULT, recipe
from twincode.train import fit
from twincode.train.result import commit

SETS = "ECG5000,TwoPatterns,ChlorineConcentration,Wafer,ElectricDevices,FordA,FordB"
CHOSEN_ON, FOLDS = 2000, 3
MACHINES = {"svc__kernel": ["poly", "rbf"], "svc__C": [1, 10, 100]}


class Row(NamedTuple):
    """One data set and seed."""

    dataset: str
    seed: int
    bits: float
    bits_per_step: float
    nmse: float
    kernels_on_train: float
    machine_on_train: float
    chosen: str
    accuracy: float
    cpu_seconds: float
    commit: str | None


def measure(name: str, seed: int, bits_per_step: float) -> Row:
    """Codes, both classifiers' cross-validation on train, and the chosen one's accuracy on test."""
    data = load_dataset(name)
    assert data.y_train is not None
    labels = data.y_train
    began = time.process_time()
    bits = round(bits_per_step * data.length * data.channels)
    config = recipe(DEFAULT, bits=bits, seed=seed, evaluations=0)
    model = fit(config, data, device="cpu")
    codes = [model.encode(part) for part in (data.X_train, data.X_test)]
    train, test = (model.decode(part) for part in codes)
    spent = float(model.tokenizer.bits_of(torch.from_numpy(codes[1])).mean())
    some = np.random.default_rng(seed).permutation(len(train))[:CHOSEN_ON]
    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    kernels: ClassifierMixin = MiniRocketClassifier(random_state=seed)
    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    machine = make_pipeline(flat, StandardScaler(), SVC(degree=2, coef0=1))
    search = GridSearchCV(machine, MACHINES, cv=folds, refit=False)
    with nothing_else_moved():
        search.fit(train[some], labels[some])
        machine.set_params(**search.best_params_)
        on_train = {
            "kernels": float(cross_val_score(kernels, train[some], labels[some], cv=folds).mean()),
            "machine": float(search.best_score_),
        }
        chosen = max(on_train, key=lambda name: on_train[name])
        best = {"kernels": kernels, "machine": machine}[chosen].fit(train, labels)
        accuracy = float(best.score(test, data.y_test))
    return Row(
        name, seed, spent, spent / (data.length * data.channels), nmse(data.X_test, test),
        on_train["kernels"], on_train["machine"], chosen, accuracy, time.process_time() - began,
        commit(),
    )  # fmt: skip


def main() -> None:
    """One row after another, kept as it is found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="?", default=SETS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--bits-per-step", type=float, default=6.0)
    parser.add_argument("--out", type=Path, default=RESULTS / "accuracy.csv")
    asked = parser.parse_args()
    default = parser.get_default
    if asked.bits_per_step != default("bits_per_step") and asked.out == default("out"):
        parser.error("another number of bits needs a file of its own: --out FILE")
    torch.set_num_threads(1)
    keys = product(asked.datasets.split(","), range(asked.seeds))
    measure_missing(asked.out, Row, keys, partial(measure, bits_per_step=asked.bits_per_step))


if __name__ == "__main__":
    main()
