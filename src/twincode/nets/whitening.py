"""Iterative normalisation: whitening without an eigenvalue decomposition (Huang et al., 2019)."""

import math

import torch
from torch import Tensor, nn

from twincode.distributed import whole_batch
from twincode.precision import in_full_precision

# Added to each variance.
EPSILON = 1e-5


class IterativeWhitening(nn.Module):
    """Whiten the features of x (B, P), then scale and shift each by what is learnt.

    Features are whitened in groups of ``group_width``, or of its largest common divisor with P,
    by ``iterations`` steps of Newton's method. The statistics are those of the batch in either
    mode: a projector is only used while training.
    """

    def __init__(self, width: int, group_width: int, iterations: int) -> None:
        super().__init__()
        self.group_width = math.gcd(width, group_width)
        self.iterations = iterations
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, views: int = 1) -> Tensor:
        """Whiten x (views * B, P), view by view; the batch is that of all processes."""
        parts = [whiten(view, self.group_width, self.iterations) for view in x.chunk(views)]
        return torch.cat(parts) * self.weight + self.bias


@in_full_precision
def whiten(x: Tensor, group_width: int, iterations: int) -> Tensor:
    """Each group of features of x (B, P) times the inverse root of its covariance, centred.

    The root is found by Newton's iteration R <- (3 R - R^3 S) / 2, where S is the covariance over
    its trace (algorithm 1 of the paper). Few iterations leave weak directions weak; very many let
    rounding errors grow.
    """
    whole = whole_batch(x)
    mean = whole.mean(dim=0)
    centred = _grouped(whole - mean, group_width)
    identity = torch.eye(group_width, dtype=x.dtype, device=x.device)
    covariance = centred.mT @ centred / len(whole) + EPSILON * identity
    trace = covariance.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
    root = identity.expand_as(covariance)
    for _ in range(iterations):
        root = (3 * root - torch.matrix_power(root, 3) @ (covariance / trace)) / 2
    whitened = _grouped(x - mean, group_width) @ (root / trace.sqrt())
    return whitened.transpose(0, 1).flatten(start_dim=1)


def _grouped(x: Tensor, group_width: int) -> Tensor:
    """x (B, P) as (groups, B, group width)."""
    return x.unflatten(1, (-1, group_width)).transpose(0, 1)
