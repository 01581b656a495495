"""Reconstruction error over a whole set of series."""

import torch
from torch import Tensor

from twincode.evaluate.metric import Evaluator, Judged, Metric
from twincode.tokenizers import Tokenizer, batches


class Reconstruction(Evaluator):
    """What is lost on the way through the codes and back: on test, and in time on train too."""

    metrics = (
        Metric("reconstruction", "Reconstruction error", better="lower"),
        Metric("reconstruction_time", "Time error", better="lower"),
        Metric("reconstruction_frequency", "Frequency error", better="lower"),
        Metric("train_reconstruction_time", "Time error, train", better="lower"),
    )

    def measure(self, judged: Judged) -> dict[str, float]:
        """``reconstruction_errors`` of test, and the train part's in time; none without decoder."""
        tokenizer, split = judged.tokenizer, judged.split
        if not tokenizer.has_decoder:
            return {}
        errors = reconstruction_errors(tokenizer, split.x_test)
        on_train = reconstruction_errors(tokenizer, split.x_train)
        return {**errors, "train_reconstruction_time": on_train["reconstruction_time"]}


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
