"""What all tests share: small real data, one thread, tiny models."""

import os
import sys
from pathlib import Path

# Two processes of tests with two threads each would fight over two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from twincode.data import Dataset, load_dataset
from twincode.recipes import recipe

sys.path.insert(0, str(Path(__file__).parent / "reference"))

settings.register_profile(
    "twincode",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("twincode")
torch.set_num_threads(1)

TINY = {
    "latent_channels": 8,
    "residual_blocks": 1,
    "codebook_size": 6,
    "projector_width": 16,
    "kmeans_fits": 2,
    "evaluations": 2,
    "batch_size": 16,
    "epochs": 4,
}


def tiny(name, **changes):
    """A recipe, small enough for a test; controls keep what makes them controls."""
    keep = {"epochs"} if name in ("raw-series", "random-encoder") else set()
    return recipe(name, **{**{k: v for k, v in TINY.items() if k not in keep}, **changes})


@pytest.fixture(scope="session")
def gunpoint():
    return load_dataset("GunPoint", download=False)


@pytest.fixture(scope="session")
def waves():
    """A made-up set of two classes, 40 + 20 series of 33 steps: slow and fast sines."""
    return make_waves()


def make_waves(n_train=40, n_test=20, channels=1, length=33, seed=0):
    generator = np.random.default_rng(seed)
    y = np.arange(n_train + n_test) % 2
    time = np.linspace(0, 1, length)
    phase = generator.uniform(0, 2 * np.pi, (len(y), channels, 1))
    X = np.sin(2 * np.pi * (2 + 3 * y[:, None, None]) * time + phase)
    X = (X + 0.1 * generator.standard_normal(X.shape)).astype(np.float32)
    return Dataset("Waves", X[:n_train], X[n_train:], y[:n_train], y[n_train:], ("a", "b"), "made")
