"""How often each code stands at each place, over all series and in each class."""

import math

import torch
from torch import Tensor

from twincode.priors.grids import Grids


def log_frequencies(
    tokens: Tensor,
    y: Tensor,
    grids: Grids,
    classes: int,
    smoothing: float,
    expected: Tensor | None = None,
) -> Tensor:
    """log of the smoothed shares (classes + 1, N, K) of every code at each place of tokens (n, N).

    The last are those over all series, whatever their labels y (n,): ``smoothing`` is added to
    every count or, where shares (N, K) are ``expected``, sqrt(n) times as many series in those
    shares. Shares of a class are smoothed towards them. Codes that a place's codebook has not are
    minus infinity.
    """
    K, size = grids.largest_codebook, grids.places().size.to(tokens.device)[:, None]
    counts = _counts(tokens, K)
    if expected is None:
        counts += smoothing
        counts[torch.arange(K, device=tokens.device) >= size] = 0
    else:
        # In proportion to sqrt(n), the squared error is least in the worst case (Trybula, 1958).
        counts += smoothing * math.sqrt(len(tokens)) * expected.to(counts)
    overall = counts / counts.sum(1, keepdim=True)
    shares = []
    for label in range(classes):
        own = tokens[y == label]
        # As many series are lent as there are codes times ``smoothing``.
        shares.append(
            (_counts(own, K) + smoothing * size * overall) / (len(own) + smoothing * size)
        )
    return torch.stack([*shares, overall]).log()


def _counts(tokens: Tensor, K: int) -> Tensor:
    counts = torch.zeros(tokens.shape[1], K, dtype=torch.float64, device=tokens.device)
    return counts.scatter_add_(1, tokens.T, torch.ones_like(tokens.T, dtype=torch.float64))
