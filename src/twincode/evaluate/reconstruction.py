"""Reconstruction error over a whole set of series."""

import torch
from torch import Tensor

from twincode.evaluate.metric import Evaluator, Judged, Metric
from twincode.tokenizers import Tokenizer, batches

NMSE = "nmse"


class Reconstruction(Evaluator):
    """What is lost on the way through the codes and back: on test, and in time on train too.

    The error in time as a part of the variance comes first: the sum with the plane's error, what
    training minimises, mostly tells of the plane.
    """

    metrics = (
        Metric(NMSE, "NMSE", better="lower"),
        Metric("reconstruction_time", "Time error"),
        Metric("train_reconstruction_time", "Time error, train"),
        Metric("reconstruction_frequency", "Frequency error"),
        Metric("reconstruction", "Reconstruction error"),
    )

    def measure(self, judged: Judged) -> dict[str, float]:
        """``nmse`` and ``reconstruction_errors`` of test, the train part's in time; none without
        a decoder, and no ``nmse`` of constant series.
        """
        tokenizer, split = judged.tokenizer, judged.split
        if not tokenizer.has_decoder:
            return {}
        errors = reconstruction_errors(tokenizer, split.x_test)
        on_train = reconstruction_errors(tokenizer, split.x_train)
        errors["train_reconstruction_time"] = on_train["reconstruction_time"]
        variance = split.x_test.double().var(correction=0).item()
        if variance > 0:
            errors[NMSE] = errors["reconstruction_time"] / variance
        return errors


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


def decoded_series(tokenizer: Tokenizer, x: Tensor) -> Tensor:
    """x (n, C, L) through the codes and back, on the CPU."""
    return torch.cat([tokenizer.reconstruct(batch)["time"][1].cpu() for batch in batches(x)])


def series_errors(tokenizer: Tokenizer, x: Tensor) -> Tensor:
    """Mean squared error in time of each series of x (n, C, L): shape (n,), on the CPU."""
    parts = []
    for batch in batches(x):
        target, reconstruction = tokenizer.reconstruct(batch)["time"]
        parts.append((reconstruction - target).square().mean(dim=(1, 2)).cpu())
    return torch.cat(parts)
