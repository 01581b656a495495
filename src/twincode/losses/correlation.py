"""Batch statistics that several twin losses share."""

import torch
from torch import Tensor

# Added to each variance, as batch normalisation does, so that a constant feature counts as
# uncorrelated with everything instead of dividing by zero.
EPSILON = 1e-5


def standardise(a: Tensor) -> Tensor:
    """Each feature of a (B, P) with mean 0 and (up to ``EPSILON``) variance 1 over the batch."""
    variance, mean = torch.var_mean(a, dim=0, correction=0)
    return (a - mean) * torch.rsqrt(variance + EPSILON)


def sum_of_squares(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """The sum over all entries of (a'b / scale)^2 for a, b (B, P).

    The P x P matrix itself is formed only where that is the cheaper way: the sum is also
    <aa', bb'> / scale^2, which needs two B x B matrices instead, and one where a is b.
    """
    batch, width = a.shape
    if width <= batch:
        return ((a.T @ b) / scale).square().sum()
    gram = a @ a.T
    return (gram * (gram if b is a else b @ b.T)).sum() / scale**2
