"""Reconstruction error over a whole set of series."""

from collections.abc import Iterator

import torch
from torch import Tensor

from twincode.tokenizers import Tokenizer

# Large enough to keep the cores busy, small enough for long series in little memory.
BATCH = 256


def batches(x: Tensor) -> Iterator[Tensor]:
    """Consecutive parts of x, each at most ``BATCH`` series."""
    return iter(x.split(BATCH))


def reconstruction_errors(tokenizer: Tokenizer, x: Tensor) -> dict[str, float]:
    """Mean squared error of each pair the tokenizer compares, and their sum (eq. 4.12).

    x is (n, C, L), scaled. Keys: ``reconstruction_time``, ``reconstruction_frequency`` (as far as
    the tokenizer has them) and ``reconstruction``.
    """
    squares: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for batch in batches(x):
        for name, (target, reconstruction) in tokenizer.reconstruct(batch).items():
            error = (reconstruction - target).double().square().sum().item()
            squares[name] = squares.get(name, 0.0) + error
            sizes[name] = sizes.get(name, 0) + target.numel()
    errors = {f"reconstruction_{name}": squares[name] / sizes[name] for name in squares}
    return {**errors, "reconstruction": sum(errors.values())}


def series_errors(tokenizer: Tokenizer, x: Tensor) -> Tensor:
    """Mean squared error in time of each series of x (n, C, L): shape (n,), on the CPU."""
    parts = []
    for batch in batches(x):
        target, reconstruction = tokenizer.reconstruct(batch)["time"]
        parts.append((reconstruction - target).square().mean(dim=(1, 2)).cpu())
    return torch.cat(parts)
