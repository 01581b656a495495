"""How often each code stands at each place, over all series and in each class."""

import torch
from torch import Tensor

from twincode.priors.grids import Grids


def log_frequencies(
    tokens: Tensor, y: Tensor, grids: Grids, classes: int, smoothing: float
) -> Tensor:
    """log of the smoothed shares (classes + 1, N, K) of every code at each place of tokens (n, N).

    The last are those over all series, whatever their labels y (n,); those of a class are smoothed
    towards them. Codes that a place's codebook has not are minus infinity.
    """
    K, size = grids.largest_codebook, grids.places().size.to(tokens.device)[:, None]
    counts = _counts(tokens, K) + smoothing
    counts[torch.arange(K, device=tokens.device) >= size] = 0
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
