"""What a contrastive VAE finds: days of power demand hidden under leaf outlines.

``python -m benchmarks.contrast`` writes ``results/contrastive.csv``. A target series is an
ItalyPowerDemand day, drawn out to 96 steps, plus a stretch of an OSULeaf outline of equal spread; a
background series is a stretch of an outline alone. Summer and winter days are the classes to tell
apart. No model sees them; the contrastive VAE is told which series are background.
"""

import argparse
from collections.abc import Iterator
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
LENGTH = 96
COPIES = 4  # of each train day, each under another outline
TEST_DAYS = 400
SMALL = {"latent_channels": 8, "downsampled_width": 1, "residual_blocks": 1, "batch_size": 32}
METRICS = ("svm_accuracy", "knn1_accuracy", "knn5_accuracy")


def main() -> None:
    """Train both models for every weight and seed, probe, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contrast", description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--kl-weights", default="1")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    weights = [float(weight) for weight in arguments.kl_weights.split(",")]
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for weight in weights:
            rows += compare(superpose(seed), weight, seed, arguments.epochs)
            write_text(arguments.out, pd.DataFrame(rows).to_csv(index=False))
    print(pd.DataFrame(rows).groupby(["kl_weight", "features"])[list(METRICS)].mean().round(3))


def superpose(seed: int) -> Dataset:
    """Days under outlines, and outlines alone: as many of each, drawn by ``seed``."""
    days, leaves = load_dataset("ItalyPowerDemand"), load_dataset("OSULeaf")
    generator = np.random.default_rng(seed)
    parts = []
    for X, y, outlines, copies in (
        (days.X_train, days.y_train, leaves.X_train, COPIES),
        (days.X_test[:TEST_DAYS], np.asarray(days.y_test)[:TEST_DAYS], leaves.X_test, 1),
    ):
        drawn = np.concatenate([draw_out(X)] * copies)
        labels = np.concatenate([np.asarray(y)] * copies)
        over, alone = (stretches(outlines, len(drawn), generator) for _ in range(2))
        background = np.full(len(drawn), len(days.classes))
        parts.append((np.concatenate([drawn + over, alone]), np.concatenate([labels, background])))
    (X_train, y_train), (X_test, y_test) = parts
    classes = (*days.classes, BACKGROUND)
    return Dataset("Superposed", X_train, X_test, y_train, y_test, classes, "made")


def draw_out(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Series (n, 1, L) as (n, 1, LENGTH), with straight lines between their steps."""
    steps = np.linspace(0, X.shape[2] - 1, LENGTH)
    drawn = [np.interp(steps, np.arange(X.shape[2]), series[0]) for series in X]
    return np.stack(drawn)[:, None].astype(np.float32)


def stretches(
    X: NDArray[np.float32], n: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """n stretches (n, 1, LENGTH) of series X, each with mean 0 and standard deviation 1."""
    series = generator.integers(len(X), size=n)
    starts = generator.integers(X.shape[2] - LENGTH + 1, size=n)
    cut = np.stack([X[i, :, t : t + LENGTH] for i, t in zip(series, starts, strict=True)])
    return (cut - cut.mean(axis=2, keepdims=True)) / cut.std(axis=2, keepdims=True)


def compare(data: Dataset, weight: float, seed: int, epochs: int) -> Iterator[dict[str, Any]]:
    """How well each kind of features tells summer from winter in the target series."""
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
        scores = probe(of(X_train), y_train, of(X_test), y_test, EvaluationConfig(), 2)
        found = {metric: scores[metric] for metric in METRICS}
        yield {"kl_weight": weight, "seed": seed, "features": name, **found}


def targets(
    data: Dataset, X: NDArray[np.float32], y: NDArray[np.int64] | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The target series of a part, and the season of each."""
    labels = np.asarray(y)
    chosen = labels != data.classes.index(BACKGROUND)
    return X[chosen], labels[chosen]


if __name__ == "__main__":
    main()
