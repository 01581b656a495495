"""What priors over codes are worth for gaps, forecasts and odd series, beside plain ways.

    python -m benchmarks.uses GunPoint,ECG5000 --steps 300 --prior-steps 300

For each set a VQ-VAE and its priors are trained with this budget, and a tree is fitted to codes of
``mixture``. Of some test series the middle fifth is filled, or the last quarter continued: by the
median of draws from a prior, by linear interpolation or the last value, and by the train series
nearest in the observed values. For surprise both stages see the largest class alone; it is asked
how well the others can be told by it, by the reconstruction error and by the distance to the
nearest train series. Sets that are there already are not measured again.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.tables import RESULTS, read_rows, write_rows
from twincode.data import Dataset, load_dataset
from twincode.evaluate.generation.memory import nearest_distances
from twincode.generate.gaps import interpolated
from twincode.model import Model
from twincode.priors import prior
from twincode.recipes import recipe
from twincode.train import fit, fit_prior
from twincode.train.result import commit

Floats = NDArray[np.floating]

GAP, HORIZON = (0.4, 0.6), 0.25  # parts of a series
INTERVAL = (0.05, 0.95)
AUTOREGRESSIVE, MASKED, TREE = "autoregressive", "masked", "tree"
CLOSED = "tree over mixture"
SURPRISE = {MASKED: "surprise", TREE: "surprise, tree"}


class Budget(NamedTuple):
    """How much is spent on each set."""

    steps: int
    prior_steps: int
    series: int
    draws: int
    seed: int


class Row(NamedTuple):
    """One number of one way on one data set; NaN where a way has none."""

    dataset: str
    task: str
    way: str
    mae: float = float("nan")
    crps: float = float("nan")
    coverage: float = float("nan")
    auroc: float = float("nan")


class Kept(NamedTuple):
    """A row as it is stored: with its budget and its commit."""

    dataset: str
    task: str
    way: str
    mae: float
    crps: float
    coverage: float
    auroc: float
    steps: int
    prior_steps: int
    series: int
    draws: int
    seed: int
    commit: str | None

    @property
    def key(self) -> tuple[Any, ...]:
        """What is measured once: a set with a budget."""
        return (self.dataset, *self[len(Row._fields) : -1])


def crps(draws: Floats, x: Floats) -> float:
    """The continuous ranked probability score of draws (m, ...) of values x (...), their mean.

    E|X - x| - E|X - X'| / 2 over all pairs of draws (Gneiting and Raftery, 2007, equation 21).
    """
    m, ordered = len(draws), np.sort(draws, axis=0)
    weights = (2 * np.arange(1, m + 1) - m - 1).reshape(-1, *(1,) * x.ndim)
    apart = 2 * (weights * ordered).sum(0) / m**2
    return float((np.abs(draws - x).mean(0) - apart / 2).mean())


def coverage(draws: Floats, x: Floats) -> float:
    """The share of values x (...) that lie in the middle 90 % of draws (m, ...).

    Of right draws it is 0.9 for many and 0.82 for twenty, whose quantiles lie further inside.
    """
    low, high = np.quantile(draws, INTERVAL, axis=0)
    return float(((low <= x) & (x <= high)).mean())


def nearest_series(x: Floats, train: Floats) -> Floats:
    """For each of x (n, C, L), with gaps, the train series nearest in the observed values."""
    found = []
    for each in x:
        misses = np.nansum(np.square(train - each), axis=(1, 2))
        found.append(train[misses.argmin()])
    return np.stack(found)


def last_value(x: Floats) -> Floats:
    """Series x (n, C, L) that lack their end, continued by the last value observed."""
    last = np.flatnonzero((~np.isnan(x)).any((0, 1)))[-1]
    return np.where(np.isnan(x), x[:, :, last : last + 1], x)


def score(dataset: str, task: str, way: str, guess: Floats, x: Floats, gaps: Floats) -> Row:
    """Scores in the gaps; guesses (draws, n, C, L), of which one alone has no spread to judge."""
    scale = x.std()
    draws, truth = guess[:, gaps] / scale, x[gaps] / scale
    mae = float(np.abs(np.median(draws, axis=0) - truth).mean())
    if len(draws) == 1:
        return Row(dataset, task, way, mae, mae)  # of one guess the score is its error
    return Row(dataset, task, way, mae, crps(draws, truth), coverage(draws, truth))


def filled(data: Dataset, models: dict[str, Model], budget: Budget) -> Iterator[Row]:
    """Gaps, then forecasts. Errors are in standard deviations of the test series shown."""
    x = data.X_test[np.random.default_rng(budget.seed).permutation(len(data.X_test))]
    x = x[: budget.series]
    L, draws, seed = data.length, budget.draws, budget.seed
    middle = slice(*(round(part * L) for part in GAP))
    end = slice(L - round(HORIZON * L), L)
    for task, where in (("impute", middle), ("forecast", end)):
        gappy = x.copy()
        gappy[:, :, where] = np.nan
        gaps = np.isnan(gappy)
        guesses = {kind: models[kind].impute(gappy, draws, seed) for kind in (MASKED, TREE, CLOSED)}
        if task == "forecast":
            guesses[AUTOREGRESSIVE] = models[AUTOREGRESSIVE].impute(
                gappy, draws, seed, refinements=1
            )
            guesses["last value"] = last_value(gappy)[None]
        else:
            guesses["linear"] = interpolated(torch.from_numpy(gappy)).numpy()[None]
        guesses["nearest of train"] = nearest_series(gappy, data.X_train)[None]
        for way, guess in guesses.items():
            yield score(data.name, task, way, guess, x, gaps)


def told_apart(data: Dataset, budget: Budget) -> Iterator[Row]:
    """How well series of other classes are told from those of the largest."""
    assert data.y_train is not None
    assert data.y_test is not None
    usual = np.bincount(data.y_train).argmax()
    normal = Dataset.from_arrays(data.X_train[data.y_train == usual])
    models = trained(normal, budget, *SURPRISE)
    draw = np.random.default_rng(budget.seed)
    rows = draw.permutation(len(data.X_test))[: 4 * budget.series]
    x, odd = data.X_test[rows], data.y_test[rows] != usual
    decoded = models[MASKED].decode(models[MASKED].encode(x))
    ways = {
        **{way: models[kind].surprise(x).sum(1).mean(1) for kind, way in SURPRISE.items()},
        "reconstruction error": np.square(decoded - x).mean((1, 2)),
        "nearest of train": nearest_distances(x, normal.X_train),
    }
    for way, values in ways.items():
        yield Row(data.name, "surprise", way, auroc=float(roc_auc_score(odd, values)))


def trained(data: Dataset, budget: Budget, *kinds: str) -> dict[str, Model]:
    """A VQ-VAE beside each of the priors."""
    config = recipe("vqvae", steps=budget.steps, batch_size=64, seed=budget.seed, evaluations=0)
    model = fit(config, data, device="cpu")
    found = {}
    for kind in kinds:
        steps = {} if kind == TREE else {"steps": budget.prior_steps}
        found[kind] = fit_prior(prior(kind, seed=budget.seed, **steps), model, data)
    return found


def closed_form(data: Dataset, seed: int) -> Model:
    """Both stages without training."""
    return fit_prior(prior(TREE, seed=seed), fit(recipe("mixture", seed=seed), data), data)


def measure(data: Dataset, budget: Budget) -> Iterator[Row]:
    """All tasks on one set; telling classes apart where there are several."""
    models = trained(data, budget, MASKED, AUTOREGRESSIVE, TREE)
    yield from filled(data, {**models, CLOSED: closed_form(data, budget.seed)}, budget)
    if len(data.classes) > 1:
        yield from told_apart(data, budget)


def main() -> None:
    """One set after another, kept as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets")
    for name, default in Budget(300, 300, 50, 20, 0)._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--out", type=Path, default=RESULTS / "uses.csv")
    asked = vars(parser.parse_args())
    torch.set_num_threads(1)
    out, names = asked.pop("out"), asked.pop("datasets").split(",")
    budget = Budget(**asked)
    kept = read_rows(out, Kept)
    done = {row.key for row in kept}
    for name in names:
        if (name, *budget) in done:
            continue
        for row in measure(load_dataset(name), budget):
            print(*row)
            kept.append(Kept(*row, *budget, commit()))
        write_rows(out, kept)


if __name__ == "__main__":
    main()
