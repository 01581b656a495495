"""What a contrastive VAE finds: classes of series hidden under series that vary more.

``python -m benchmarks.contrast`` writes ``results/contrastive.csv``. A target series is one of an
archive set (seasons of ItalyPowerDemand and of PowerCons, kinds of chart of SyntheticControl) plus
a GunPoint series of twice its spread; a background series is a GunPoint series alone. All are drawn
out to 96 steps. Probed are the classes that are hidden, which the salient latents should hold, and
those of the GunPoint series above them, which the shared ones should hold. No model sees either;
the contrastive VAE is told which series are background. Spread, KL weight and steps were chosen on
PowerCons with seed 0; nothing was chosen on the other two.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twincode.data import Dataset, load_dataset
from twincode.evaluate import METRICS, Features
from twincode.files import write_text
from twincode.recipes import recipe
from twincode.train import fit

RESULTS = Path("results/contrastive.csv")
COVER, COVER_STD = "GunPoint", 2.0
HIDDEN = ("ItalyPowerDemand", "SyntheticControl", "PowerCons")
BACKGROUND = "cover"
LENGTH = 96
COPIES = 4  # of each hidden series, each under another cover
TEST_SERIES = 300
SETTINGS: dict[str, Any] = {
    **{"latent_channels": 8, "downsampled_width": 1, "residual_blocks": 1, "batch_size": 32},
    **{"steps": 1100, "kl_weight": 0.02, "evaluations": 0},
}
METRIC_NAMES = ("svm_accuracy", "knn1_accuracy", "knn5_accuracy")

Series = NDArray[np.float32]
Labels = NDArray[np.int64]


class Part(NamedTuple):
    """Series under covers, then covers alone; the classes of both, for the first of them."""

    X: Series
    hidden: Labels
    cover: Labels

    @property
    def targets(self) -> Series:
        """The series under covers."""
        return self.X[: len(self.hidden)]


class Superposed(NamedTuple):
    """A target and a background group; ``data`` is what models are trained on."""

    data: Dataset
    train: Part
    test: Part


def main() -> None:
    """Train both models on every set for every seed, probe, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contrast", description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for hidden in HIDDEN:
            rows += compare(superpose(hidden, seed), seed=seed)
            write_text(arguments.out, pd.DataFrame(rows).to_csv(index=False, float_format="%.4f"))
    groups = pd.DataFrame(rows).groupby(["set", "classes", "features"], sort=False)
    print(groups[list(METRIC_NAMES)].agg(["mean", "std"]).round(3).to_string())


def superpose(hidden: str, seed: int) -> Superposed:
    """Series of a set under covers, and covers alone: as many of each, drawn by ``seed``."""
    shown, cover = load_dataset(hidden), load_dataset(COVER)
    generator = np.random.default_rng(seed)
    train = cover_up(shown.X_train, shown.y_train, cover.X_train, cover.y_train, generator)
    X, y = shown.X_test[:TEST_SERIES], np.asarray(shown.y_test)[:TEST_SERIES]
    test = cover_up(X, y, cover.X_test, cover.y_test, generator)
    y_train, y_test = (
        np.append(part.hidden, np.full(len(part.hidden), len(shown.classes)))
        for part in (train, test)
    )
    classes = (*shown.classes, BACKGROUND)
    data = Dataset(hidden, train.X, test.X, y_train, y_test, classes, "made")
    return Superposed(data, train, test)


def cover_up(
    X: Series,
    y: Labels | None,
    covers: Series,
    y_covers: Labels | None,
    generator: np.random.Generator,
) -> Part:
    """``COPIES`` of each series, each under a cover of its own, and as many covers alone."""
    shown = np.concatenate([draw_out(X)] * COPIES)
    above = COVER_STD * draw_out(covers)
    first, second = (generator.integers(len(above), size=len(shown)) for _ in range(2))
    hidden = np.concatenate([np.asarray(y)] * COPIES)
    X_all = np.concatenate([shown + above[first], above[second]])
    return Part(X_all, hidden, np.asarray(y_covers)[first])


def draw_out(X: Series) -> Series:
    """Series (n, 1, L) as (n, 1, LENGTH), straight lines between steps, mean 0, deviation 1."""
    steps = np.linspace(0, X.shape[2] - 1, LENGTH)
    drawn = np.stack([np.interp(steps, np.arange(X.shape[2]), series[0]) for series in X])[:, None]
    drawn -= drawn.mean(axis=2, keepdims=True)
    return (drawn / drawn.std(axis=2, keepdims=True)).astype(np.float32)


def compare(made: Superposed, **settings: Any) -> Iterator[dict[str, Any]]:
    """How well each kind of features tells the hidden classes, and those of the covers, apart."""
    plain = fit(recipe("vae", **{**SETTINGS, **settings}), made.data)
    told = {**SETTINGS, "background_classes": BACKGROUND, **settings}
    contrastive = fit(recipe("contrastive-vae", **told), made.data)
    features: dict[str, Callable[[Series], Series]] = {
        "series": lambda X: X[:, 0],
        "vae": plain.transform,
        "shared": lambda X: contrastive.transform(X, region="shared"),
        "salient": lambda X: contrastive.transform(X, region="salient"),
    }
    separability = METRICS.build(METRICS.choose("separability"))
    for name, of in features.items():
        train, test = of(made.train.targets), of(made.test.targets)
        for classes in ("hidden", "cover"):
            y_train, y_test = getattr(made.train, classes), getattr(made.test, classes)
            n_classes = int(y_train.max()) + 1
            scores = separability.probe(Features(train, test, y_train, y_test, n_classes))
            yield {
                **{"set": made.data.name, "seed": plain.config.training.seed},
                **{"features": name, "classes": classes},
                **{metric: scores[metric] for metric in METRIC_NAMES},
            }


if __name__ == "__main__":
    main()
