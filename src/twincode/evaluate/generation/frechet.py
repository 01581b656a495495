"""The Fréchet distance between features of two sets (Heusel et al., 2017)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def frechet_distance(a: Floats, b: Floats) -> float:
    """Between Gaussians fitted to features a (n, F) and b (m, F), in float64.

    |mean a - mean b|^2 + tr A + tr B - 2 tr (A^(1/2) B A^(1/2))^(1/2), by eigenvalues clipped at 0.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    A, B = _covariance(a), _covariance(b)
    values, vectors = np.linalg.eigh(A)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ B @ root)
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    distance = shift + np.trace(A) + np.trace(B) - 2 * np.sqrt(inner.clip(0)).sum()
    return max(float(distance), 0.0)


def relative_frechet_distance(samples: Floats, real: Floats) -> float:
    """The same over the real features' total variance, which frees it of their scale."""
    total = float(np.trace(_covariance(np.asarray(real, np.float64))))
    return frechet_distance(samples, real) / total if total > 0 else float("nan")


def _covariance(x: Floats) -> Floats:
    return np.cov(x.T, bias=len(x) < 2).reshape(x.shape[1], x.shape[1])
