"""What a contrastive VAE finds: gestures drawn over leaf outlines, beside outlines alone.

``python -m benchmarks.contrast`` writes ``results/contrastive.csv``. A target series is a GunPoint
gesture plus a stretch of an OSULeaf outline of equal spread; a background series is a stretch of
an outline. The two kinds of gesture are the classes to tell apart. No model sees them; the
contrastive VAE is told which series are background.
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
COPIES = 4  # of each gesture, each over another outline
SMALL = {"latent_channels": 4, "downsampled_width": 4, "residual_blocks": 2, "batch_size": 64}
METRICS = ("svm_accuracy", "knn1_accuracy", "knn5_accuracy")


def main() -> None:
    """Train both models for every weight and seed, probe, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contrast", description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--kl-weights", default="1,3")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    weights = [float(weight) for weight in arguments.kl_weights.split(",")]
    rows = [
        row
        for seed in range(arguments.seeds)
        for weight in weights
        for row in compare(superpose(seed), weight, seed, arguments.epochs)
    ]
    write_text(arguments.out, pd.DataFrame(rows).to_csv(index=False))
    print(pd.DataFrame(rows).groupby(["kl_weight", "features"])[list(METRICS)].mean().round(3))


def superpose(seed: int) -> Dataset:
    """Gestures over outlines, and outlines alone: as many of each, drawn by ``seed``."""
    gestures, leaves = load_dataset("GunPoint"), load_dataset("OSULeaf")
    generator = np.random.default_rng(seed)
    parts = []
    for X, y, outlines, copies in (
        (gestures.X_train, gestures.y_train, leaves.X_train, COPIES),
        (gestures.X_test, gestures.y_test, leaves.X_test, 1),
    ):
        X, labels = np.concatenate([X] * copies), np.concatenate([np.asarray(y)] * copies)
        over, alone = (stretches(outlines, len(X), X.shape[2], generator) for _ in range(2))
        background = np.full(len(X), len(gestures.classes))
        parts.append((np.concatenate([X + over, alone]), np.concatenate([labels, background])))
    (X_train, y_train), (X_test, y_test) = parts
    classes = (*gestures.classes, BACKGROUND)
    return Dataset("Superposed", X_train, X_test, y_train, y_test, classes, "made")


def stretches(
    X: NDArray[np.float32], n: int, length: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """n stretches (n, 1, length) of series X, each with mean 0 and standard deviation 1."""
    series = generator.integers(len(X), size=n)
    starts = generator.integers(X.shape[2] - length + 1, size=n)
    cut = np.stack([X[i, :, t : t + length] for i, t in zip(series, starts, strict=True)])
    return (cut - cut.mean(axis=2, keepdims=True)) / cut.std(axis=2, keepdims=True)


def compare(data: Dataset, weight: float, seed: int, epochs: int) -> Iterator[dict[str, Any]]:
    """How well each kind of features tells the gestures of the target series apart."""
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
    """The target series of a part, and which gesture each shows."""
    labels = np.asarray(y)
    chosen = labels != data.classes.index(BACKGROUND)
    return X[chosen], labels[chosen]


if __name__ == "__main__":
    main()
