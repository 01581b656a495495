"""A small pre-norm transformer (Vaswani et al., 2017; Xiong et al., 2020)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cache = list[tuple[Tensor, Tensor]]


class Attention(nn.Module):
    """Multi-head self-attention of x (B, N, d)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        """Every place sees all; with ``causal`` those up to itself."""
        q, k, v = self._heads(x)
        # There torch's fused attention is slower in bfloat16 than in float32, backward above all.
        if q.dtype is torch.bfloat16 and q.device.type == "cpu":
            return self._join(_attend(q, k, v, causal))
        return self._join(F.scaled_dot_product_attention(q, k, v, is_causal=causal))

    def step(self, x: Tensor, place: int, keys: Tensor, values: Tensor) -> Tensor:
        """The one place x (B, 1, d), which sees those before it by what the cache holds of them.

        ``keys`` and ``values`` (B, heads, N, d / heads) take in its own.
        """
        q, k, v = self._heads(x)
        keys[:, :, place : place + 1], values[:, :, place : place + 1] = k, v
        seen = slice(0, place + 1)
        return self._join(F.scaled_dot_product_attention(q, keys[:, :, seen], values[:, :, seen]))

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        B, N, _ = x.shape
        return self.project(x).view(B, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def _join(self, x: Tensor) -> Tensor:
        joined: Tensor = self.out(x.transpose(1, 2).flatten(2))
        return joined


class Block(nn.Module):
    """Attention and a perceptron, each on what is normalised and added to what was there."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.second_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        """One pass over x (B, N, d)."""
        return self._perceive(x + self.attention(self.first_norm(x), causal))

    def step(self, x: Tensor, place: int, keys: Tensor, values: Tensor) -> Tensor:
        """One place x (B, 1, d); see ``Attention.step``."""
        return self._perceive(x + self.attention.step(self.first_norm(x), place, keys, values))

    def _perceive(self, x: Tensor) -> Tensor:
        return x + self.narrow(F.gelu(self.widen(self.second_norm(x))))


class Transformer(nn.Module):
    """Blocks, and a last normalisation: x (B, N, d) -> (B, N, d)."""

    def __init__(self, width: int, layers: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        """One pass over all places."""
        for block in self.blocks:
            x = block(x, causal)
        return self.norm(x)

    def cache(self, x: Tensor, places: int) -> Cache:
        """Room for the keys and values of so many places, for a batch like x (B, N, d)."""
        shape = (len(x), self.heads, places, x.shape[2] // self.heads)
        return [(x.new_empty(shape), x.new_empty(shape)) for _ in self.blocks]

    def step(self, x: Tensor, place: int, cache: Cache) -> Tensor:
        """A causal pass over one more place x (B, 1, d): what ``forward`` gives there."""
        for block, (keys, values) in zip(self.blocks, cache, strict=True):
            assert isinstance(block, Block)
            x = block.step(x, place, keys, values)
        return self.norm(x)


def _attend(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """softmax(q k^T / sqrt(d)) v of (B, heads, N, d), written out."""
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(-1).to(v.dtype) @ v


def sinusoid(position: Tensor, width: int, columns: int) -> Tensor:
    """Sines and cosines (N, ``width``) of positions (N,) in [0, 1], evenly spaced in log frequency.

    From half a turn over the whole range to half a turn from one of so many ``columns`` to the
    next; anything faster would not tell them apart better.
    """
    fastest = max(columns, 2) / 2
    turns = torch.logspace(-1, math.log2(fastest), width // 2, base=2, dtype=torch.float64)
    angle = 2 * math.pi * position.double()[:, None] * turns
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()
