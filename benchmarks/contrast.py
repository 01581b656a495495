"""What a contrastive VAE finds: classes of series hidden under leaf outlines.

``python -m benchmarks.contrast`` writes ``results/contrastive.csv``. A target series is one of an
archive set, drawn out to 96 steps, plus a stretch of an OSULeaf outline of twice its spread; a
background series is a stretch of an outline alone. What is to be told apart are the classes of the
set: summer and winter days of ItalyPowerDemand, the six kinds of chart of SyntheticControl. No
model sees them; the contrastive VAE is told which series are background.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twincode.config import EvaluationConfig
from twincode.data import Dataset, load_dataset
from twincode.evaluate.probes import probe
from twincode.files import write_text
from twincode.recipes import recipe
from twincode.train import fit

RESULTS = Path("results/contrastive.csv")
BACKGROUND = "outline"
OUTLINE_STD = 2.0
LENGTH = 96
# Sets, and under how many outlines each of their train series stands.
HIDDEN = {"ItalyPowerDemand": 4, "SyntheticControl": 2}
TEST_SERIES = 400
SMALL = {"latent_channels": 8, "downsampled_width": 1, "residual_blocks": 1, "batch_size": 32}
METRICS = ("svm_accuracy", "knn1_accuracy", "knn5_accuracy")


def main() -> None:
    """Train both models on every set for every weight and seed, probe, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contrast", description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--kl-weights", default="0.1")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    weights = [float(weight) for weight in arguments.kl_weights.split(",")]
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for hidden, weight in product(HIDDEN, weights):
            rows += compare(superpose(hidden, seed), weight, seed, arguments.epochs)
            write_text(arguments.out, pd.DataFrame(rows).to_csv(index=False))
    groups = pd.DataFrame(rows).groupby(["hidden", "kl_weight", "features"], sort=False)
    print(groups[list(METRICS)].agg(["mean", "std"]).round(3).to_string())


def superpose(hidden: str, seed: int) -> Dataset:
    """Series of a set under outlines, and outlines alone: as many of each, drawn by ``seed``."""
    shown, leaves = load_dataset(hidden), load_dataset("OSULeaf")
    generator = np.random.default_rng(seed)
    parts = []
    for X, y, outlines, copies in (
        (shown.X_train, shown.y_train, leaves.X_train, HIDDEN[hidden]),
        (shown.X_test[:TEST_SERIES], np.asarray(shown.y_test)[:TEST_SERIES], leaves.X_test, 1),
    ):
        drawn = np.concatenate([draw_out(X)] * copies)
        labels = np.concatenate([np.asarray(y)] * copies)
        over, alone = (stretches(outlines, len(drawn), generator) for _ in range(2))
        background = np.full(len(drawn), len(shown.classes))
        parts.append((np.concatenate([drawn + over, alone]), np.concatenate([labels, background])))
    (X_train, y_train), (X_test, y_test) = parts
    classes = (*shown.classes, BACKGROUND)
    return Dataset(hidden, X_train, X_test, y_train, y_test, classes, "made")


def draw_out(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Series (n, 1, L) as (n, 1, LENGTH), with straight lines between their steps."""
    steps = np.linspace(0, X.shape[2] - 1, LENGTH)
    drawn = [np.interp(steps, np.arange(X.shape[2]), series[0]) for series in X]
    return np.stack(drawn)[:, None].astype(np.float32)


def stretches(
    X: NDArray[np.float32], n: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """n stretches (n, 1, LENGTH) of series X, each with mean 0 and the same spread."""
    series = generator.integers(len(X), size=n)
    starts = generator.integers(X.shape[2] - LENGTH + 1, size=n)
    cut = np.stack([X[i, :, t : t + LENGTH] for i, t in zip(series, starts, strict=True)])
    return OUTLINE_STD * (cut - cut.mean(axis=2, keepdims=True)) / cut.std(axis=2, keepdims=True)


def compare(data: Dataset, weight: float, seed: int, epochs: int) -> Iterator[dict[str, Any]]:
    """How well each kind of features tells the classes of the target series apart."""
    settings: dict[str, Any] = {**SMALL, "kl_weight": weight, "seed": seed, "epochs": epochs}
    settings |= {"evaluations": 1, "kmeans_fits": 1}
    plain = fit(recipe("vae", **settings), data)
    contrastive = fit(recipe("contrastive-vae", background_classes=BACKGROUND, **settings), data)
    X_train, y_train = targets(data, data.X_train, data.y_train)
    X_test, y_test = targets(data, data.X_test, data.y_test)
    features = {
        "series": lambda X: X[:, 0],
        "vae": plain.transform,
        "shared": lambda X: contrastive.transform(X, region="shared"),
        "salient": lambda X: contrastive.transform(X, region="salient"),
    }
    for name, of in features.items():
        classes = len(data.classes) - 1
        scores = probe(of(X_train), y_train, of(X_test), y_test, EvaluationConfig(), classes)
        found = {metric: scores[metric] for metric in METRICS}
        yield {"hidden": data.name, "kl_weight": weight, "seed": seed, "features": name, **found}


def targets(
    data: Dataset, X: NDArray[np.float32], y: NDArray[np.int64] | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The target series of a part, and the class of each."""
    labels = np.asarray(y)
    chosen = labels != data.classes.index(BACKGROUND)
    return X[chosen], labels[chosen]


if __name__ == "__main__":
    main()
