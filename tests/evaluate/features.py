"""Features to evaluate: clouds of points, one a class, and latents as a quantiser leaves them."""

import numpy as np

from twincode.evaluate import METRICS, Features


def clouds(n_train=40, n_test=60, width=12, classes=3, seed=0, spread=1.0):
    random = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), random.integers(0, classes, n_train + n_test)])
    y = y[: n_train + n_test]
    centres = random.normal(size=(classes, width))
    rows = (centres[y] + spread * random.normal(size=(len(y), width))).astype(np.float32)
    return Features(rows[:n_train], rows[n_train:], y[:n_train], y[n_train:], classes)


def quantised(n=150, K=4, D=6, N=5, seed=0):
    """Flattened z_q: dependent features, and the same grid in several series."""
    random = np.random.default_rng(seed)
    codebook = random.normal(size=(K, D))
    return codebook[random.integers(0, K, (n, N))].reshape(n, N * D)


def measured(name, features, **settings):
    """What the metric ``name`` finds, with some of its settings changed."""
    return METRICS.build(METRICS.choose(name).replace(**settings)).probe(features)
