"""Which tokens of a code share a codebook."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch


class Book(NamedTuple):
    """A codebook of ``size`` codes and the ``tokens`` in a row that it is for.

    A series fills ``filled`` of these in time, if not all: the window of the last is cut off.
    """

    name: str
    tokens: int
    size: int
    filled: float = 0.0


def token_sizes(books: Iterable[Book]) -> tuple[int, ...]:
    """Number of codes of each token."""
    return tuple(book.size for book in books for _ in range(book.tokens))


def fixed_bits(books: Iterable[Book]) -> float:
    """Bits of a series whose tokens are all stored at a fixed length."""
    return math.fsum(book.tokens * math.log2(book.size) for book in books)


def fixed_bits_of(codes: torch.Tensor, books: Iterable[Book]) -> torch.Tensor:
    """``fixed_bits`` for each row of ``codes`` (n, tokens): (n,)."""
    return torch.full((len(codes),), fixed_bits(books))
