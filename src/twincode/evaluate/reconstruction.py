"""Reconstruction error over a whole set of series."""

from collections.abc import Iterator
from itertools import repeat

import torch
from torch import Tensor

from twincode.evaluate.metric import Evaluator, Judged, Metric
from twincode.tokenizers import Pairs, Tokenizer

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
        errors = reconstruction_errors(tokenizer, split.x_test, judged.test.latents)
        on_train = reconstruction_errors(tokenizer, split.x_train, judged.train.latents)
        errors["train_reconstruction_time"] = on_train["reconstruction_time"]
        variance = split.x_test.double().var(correction=0).item()
        if variance > 0:
            errors[NMSE] = errors["reconstruction_time"] / variance
        return errors


def reconstruction_errors(
    tokenizer: Tokenizer, x: Tensor, latents: Tensor | None = None
) -> dict[str, float]:
    """Mean squared error of each pair the tokenizer compares, and their sum (eq. 4.12).

    x is (n, C, L), scaled; ``latents`` are those quantised of x, where they are known. Keys:
    ``reconstruction_time``, ``reconstruction_frequency`` (as far as the tokenizer has them) and
    ``reconstruction``.
    """
    squares: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for pairs in _reconstructed(tokenizer, x, latents):
        for name, (target, reconstruction) in pairs.items():
            error = (reconstruction - target).double().square().sum().item()
            squares[name] = squares.get(name, 0.0) + error
            sizes[name] = sizes.get(name, 0) + target.numel()
    errors = {f"reconstruction_{name}": squares[name] / sizes[name] for name in squares}
    return {**errors, "reconstruction": sum(errors.values())}


def decoded_series(tokenizer: Tokenizer, x: Tensor, latents: Tensor | None = None) -> Tensor:
    """x (n, C, L) through the codes and back, on the CPU."""
    found = _reconstructed(tokenizer, x, latents)
    return torch.cat([pairs["time"][1].cpu() for pairs in found])


def series_errors(tokenizer: Tokenizer, x: Tensor, latents: Tensor | None = None) -> Tensor:
    """Mean squared error in time of each series of x (n, C, L): shape (n,), on the CPU."""
    found = (pairs["time"] for pairs in _reconstructed(tokenizer, x, latents))
    return torch.cat([(x_hat - part).square().mean(dim=(1, 2)).cpu() for part, x_hat in found])


def _reconstructed(tokenizer: Tokenizer, x: Tensor, latents: Tensor | None) -> Iterator[Pairs]:
    known = repeat(None) if latents is None else tokenizer.batches(latents)
    for batch, own in zip(tokenizer.batches(x), known, strict=False):
        yield tokenizer.reconstruct(batch, None if own is None else own.to(x.device))
