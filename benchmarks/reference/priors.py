"""A textbook prior over codes: torch's encoder, dropout, all logits, masks series by series."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F


class Prior(nn.Module):
    """Logits (B, N, K) of tokens (B, N), in which K stands for the mask, and labels (B,)."""

    def __init__(
        self, N: int, K: int, classes: int, layers: int = 3, width: int = 64, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.mask, self.none = K, classes
        self.codes = nn.Embedding(K + 1, width)
        self.places = nn.Parameter(torch.randn(N, width))
        self.classes = nn.Embedding(classes + 1, width)
        layer = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(width)
        self.encoder = nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False)
        self.head = nn.Linear(width, K, bias=False)
        self.bias = nn.Parameter(torch.zeros(N, K))

    def forward(self, tokens: Tensor, y: Tensor) -> Tensor:
        x = torch.cat([self.classes(y)[:, None], self.codes(tokens) + self.places], dim=1)
        logits: Tensor = self.head(self.encoder(x)[:, 1:]) + self.bias
        return logits


def masked(tokens: Tensor, mask: int) -> Tensor:
    """Tokens (B, N) with ceil(N cos(pi u / 2)) of each series masked."""
    found = tokens.clone()
    for row in found:
        count = math.ceil(len(row) * math.cos(math.pi / 2 * torch.rand(()).item()))
        row[torch.randperm(len(row))[:count]] = mask
    return found


def prior_loss(prior: Prior, tokens: Tensor, seen: Tensor, y: Tensor) -> Tensor:
    """The mean of -log p over the masked tokens, of the logits of all."""
    logits, hidden = prior(seen, y), seen == prior.mask
    return F.cross_entropy(logits[hidden], tokens[hidden])


@torch.no_grad()
def sample(prior: Prior, y: Tensor, steps: int, temperature: float) -> Tensor:
    """Iterative decoding with guidance 1, which public code spends a second pass on."""
    N = len(prior.places)
    tokens = torch.full((len(y), N), prior.mask)
    for t in range(1, steps + 1):
        blind = prior(tokens, torch.full_like(y, prior.none))
        logits = blind + 1.0 * (prior(tokens, y) - blind)
        drawn = torch.distributions.Categorical(logits=logits).sample()
        hidden = tokens == prior.mask
        tokens = torch.where(hidden, drawn, tokens)
        chosen = logits.softmax(-1).gather(-1, tokens[..., None])[..., 0]
        noise = -torch.log(-torch.log(torch.rand(tokens.shape)))
        sure = chosen.log() + temperature * (1 - t / steps) * noise
        sure = sure.masked_fill(~hidden, torch.inf)
        count = math.floor(N * math.cos(math.pi * t / (2 * steps)))
        for row, own in zip(tokens, sure, strict=True):
            row[own.topk(count, largest=False).indices] = prior.mask
    return tokens


@torch.no_grad()
def continue_without_cache(logits: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
    """Tokens (B, N) one after another, each by a whole pass, drawn by uniform numbers u (B, N)."""
    tokens = torch.zeros(u.shape, dtype=torch.long)
    for place in range(u.shape[1]):
        reached = logits(tokens)[:, place].softmax(-1).cumsum(-1)
        tokens[:, place] = (reached <= u[:, place, None]).sum(-1)
    return tokens


def frechet_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """By SciPy's root of a product of covariances."""
    from scipy.linalg import sqrtm

    A, B = np.cov(a.T), np.cov(b.T)
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    return float(shift + np.trace(A + B - 2 * sqrtm(A @ B).real))
