"""What can be told from the series themselves, (n, C, L), without any features."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]

FEWEST_OF_A_CLASS = 20


def spread(
    samples: Floats, real: Floats, y: Labels | None = None, y_real: Labels | None = None
) -> float:
    """Variance within a class, a mean over steps, of samples over that of real series, unbiased.

    The geometric mean over classes with 20 real series; where there are none, and without labels,
    all are of one class. What looks like one curve has 0, as has a class that was never drawn, and
    what varies as the real series do 1; of one sample nothing is known. NaN where nothing is, or
    the real series do not vary.
    """
    parts = [(samples, real)]
    if y is not None and y_real is not None:
        each = [(samples[y == label], real[y_real == label]) for label in np.unique(y_real)]
        parts = [(a, b) for a, b in each if len(b) >= FEWEST_OF_A_CLASS] or parts
    ratios = []
    for own, expected in parts:
        # Few series vary less around their own mean than around that of their class.
        if len(own) != 1 and len(expected) > 1 and (real_variance := _variance(expected)) > 0:
            ratios.append(_variance(own) / real_variance if len(own) else 0.0)
    if not ratios:
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(ratios).mean()))


def _variance(x: Floats) -> float:
    return float(x.var(0, ddof=1).mean())


def marginal_distance(samples: Floats, real: Floats, deviation: Floats) -> float:
    """Wasserstein-1 between all values, in deviations (C,) of train, a mean over channels."""
    from scipy.stats import wasserstein_distance

    return float(
        np.mean(
            [
                wasserstein_distance(samples[:, c].ravel(), real[:, c].ravel()) / deviation[c]
                for c in range(real.shape[1])
            ]
        )
    )


def autocorrelation_difference(samples: Floats, real: Floats) -> float:
    """Mean absolute difference of mean autocorrelations, over lags 1 .. L / 2 and channels."""
    difference = mean_autocorrelation(samples) - mean_autocorrelation(real)
    return float(np.abs(difference[:, 1 : real.shape[2] // 2 + 1]).mean())


def mean_autocorrelation(x: Floats) -> Floats:
    """The mean over series of autocorrelations (C, L), each series centred, lag 0 = 1.

    A constant series has none: 0.
    """
    centred = x - x.mean(2, keepdims=True, dtype=np.float64)
    spectrum = np.fft.rfft(centred, 2 * x.shape[2])
    products = np.fft.irfft(np.abs(spectrum) ** 2, 2 * x.shape[2])[:, :, : x.shape[2]]
    power = products[:, :, :1]
    safe = np.where(power > 1e-12, power, 1.0)
    mean: Floats = np.where(power > 1e-12, products / safe, 0.0).mean(0)
    return mean
