"""Tests of whether two sets are draws of one distribution."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twincode.evaluate.kernels import PENALTIES, fitted_minirocket

Floats = NDArray[np.floating]

MOST_SERIES = 2000  # of each set that are compared
KERNELS = 1000
WINDOW = 24
PENALTY = 1.0  # of the ridge's weights
MOST_NUMBERS = 1 << 22  # of windows that are held at once


def maximum_mean_discrepancy(samples: Floats, real: Floats, scale: float) -> float:
    """The unbiased squared MMD of features under exp(-d^2 / (2 scale^2)) (Gretton et al., 2012)."""
    from sklearn.metrics.pairwise import rbf_kernel

    n, m = len(samples), len(real)
    samples, real = np.asarray(samples, np.float64), np.asarray(real, np.float64)
    gamma = 1 / (2 * scale**2)
    within = (rbf_kernel(samples, gamma=gamma).sum() - n) / (n * (n - 1))
    of_real = (rbf_kernel(real, gamma=gamma).sum() - m) / (m * (m - 1))
    return float(within + of_real - 2 * rbf_kernel(samples, real, gamma=gamma).mean())


def median_distance(x: Floats) -> float:
    """The median distance between features (n, F); 1 where all are one point."""
    from scipy.spatial.distance import pdist

    return float(np.median(pdist(np.asarray(x, np.float64)))) or 1.0


def discriminative(samples: Floats, real: Floats, seed: int = 0) -> dict[str, float]:
    """How well ridge on random-convolution features tells samples from real series (n, C, L).

    Half of both, of at most 2000 each, is fitted, half is scored: |accuracy - 1/2|, and the area
    under the ROC curve.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    draw, n = np.random.default_rng(seed), min(len(samples), len(real), MOST_SERIES)
    chosen = [part[draw.permutation(len(part))[:n]] for part in (real, samples)]
    half = n // 2
    fitted = np.concatenate([part[:half] for part in chosen])
    scored = np.concatenate([part[half:] for part in chosen])
    y_fitted, y_scored = np.repeat([0, 1], half), np.repeat([0, 1], n - half)
    features = fitted_minirocket(fitted, seed, KERNELS)
    ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=PENALTIES))
    ridge.fit(features(fitted), y_fitted)
    decided = ridge.decision_function(features(scored))
    accuracy = float(((decided > 0) == y_scored).mean())
    return {
        "discriminative": abs(accuracy - 0.5),
        "discriminative_auc": float(roc_auc_score(y_scored, decided)),
    }


def forecast_errors(x: Floats, test: Floats) -> Floats:
    """MAE (2,) on test of linear forecasts learnt from x, 1 and L / 8 steps ahead.

    Ridge on the last min(24, L / 4) steps of all channels.
    """
    L = test.shape[2]
    window = max(1, min(WINDOW, L // 4))
    return np.array([_forecast_error(x, test, window, ahead) for ahead in (1, max(1, L // 8))])


def predictive(errors: Floats, usual: Floats) -> float:
    """``forecast_errors`` of samples over those of train, the mean of both ratios."""
    return float((errors / usual).mean())


def _forecast_error(x: Floats, test: Floats, window: int, ahead: int) -> float:
    C = x.shape[1]
    count, total = 0, np.zeros(C * (window + 1))
    products = np.zeros((len(total), len(total)))
    for past, future in _windows(x, window, ahead):
        both = np.concatenate([past, future], axis=1)
        count, total, products = count + len(both), total + both.sum(0), products + both.T @ both
    mean = total / count
    products -= count * np.outer(mean, mean)
    inputs = slice(0, C * window)
    learnt = products[inputs, inputs] + PENALTY * np.eye(C * window)
    weights = np.linalg.solve(learnt, products[inputs, C * window :])
    missed, places = 0.0, 0
    for past, future in _windows(test, window, ahead):
        guess = mean[C * window :] + (past - mean[inputs]) @ weights
        missed, places = missed + float(np.abs(guess - future).sum()), places + future.size
    return max(missed / places, 1e-12)


def _windows(x: Floats, window: int, ahead: int) -> Iterator[tuple[Floats, Floats]]:
    """Windows as rows (m, C * window), and the values (m, C) so many steps ahead of them."""
    n, C, L = x.shape
    at_once = max(1, MOST_NUMBERS // (L * C * window))
    for first in range(0, n, at_once):
        # Steps of smooth series are too much alike for float32.
        part = x[first : first + at_once].astype(np.float64)
        past = np.lib.stride_tricks.sliding_window_view(part, window, axis=2)[:, :, :-ahead]
        future = part[:, :, window - 1 + ahead :]
        rows = past.transpose(0, 2, 1, 3).reshape(-1, C * window)
        yield rows, future.transpose(0, 2, 1).reshape(-1, C)
