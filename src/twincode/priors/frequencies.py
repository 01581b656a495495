"""How often each code stands at each place."""

import torch
from torch import Tensor

from twincode.priors.grids import Grids


def log_frequencies(tokens: Tensor, grids: Grids, smoothing: float) -> Tensor:
    """log of the smoothed shares (N, K) of every code at each place of tokens (n, N).

    Codes that a place's codebook has not are minus infinity.
    """
    K, size = grids.largest_codebook, grids.places().size.to(tokens.device)
    counts = torch.zeros(tokens.shape[1], K, dtype=torch.float64, device=tokens.device)
    counts.scatter_add_(1, tokens.T, torch.ones_like(tokens.T, dtype=torch.float64))
    counts += smoothing
    counts[torch.arange(K, device=tokens.device) >= size[:, None]] = 0
    return (counts / counts.sum(1, keepdim=True)).log()
