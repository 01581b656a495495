"""Nearest codes, and codes placed by k-means."""

import torch
from torch import Tensor

KMEANS_ITERATIONS = 10


def nearest_codes(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Indices (...) of the codes of a codebook (K, D) that are nearest to vectors (..., D).

    ||z - e||^2 is smallest where z.e - ||e||^2 / 2 is largest. Ties go to the earlier code.
    """
    score = vectors @ codebook.T - codebook.square().sum(1) / 2
    return score.argmax(dim=-1)


def count_and_sum(vectors: Tensor, codes: Tensor, K: int) -> tuple[Tensor, Tensor]:
    """How many vectors (n, D) fell to each of K codes, (K,), and their sums, (K, D)."""
    won = vectors.new_zeros(len(vectors), K).scatter_(1, codes[:, None], 1)
    return won.sum(0), won.T @ vectors


def kmeans(vectors: Tensor, centres: Tensor) -> Tensor:
    """Centres (K, D) after ``KMEANS_ITERATIONS`` rounds of Lloyd's algorithm on vectors (n, D).

    A centre that wins nothing stays where it is, so there may be fewer vectors than centres.
    """
    for _ in range(KMEANS_ITERATIONS):
        counts, sums = count_and_sum(vectors, nearest_codes(vectors, centres), len(centres))
        means = sums / counts.clamp(min=1)[:, None]
        centres = torch.where(counts[:, None] > 0, means, centres)
    return centres
