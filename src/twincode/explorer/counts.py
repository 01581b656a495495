"""How often codes and n-grams of codes occur, and in which classes more than by chance.

What is counted over classes is series, each once, since places of one series are not independent.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twincode.explorer.rows import Codes, Counts, Floats

LONGEST = 3  # n-grams
FEWEST_SERIES = 2  # of train, that an n-gram must occur in


def along_time(codes: Codes, codebook_size: int) -> Counts:
    """How often each code stands in each column, (K, W), of codes (n, W)."""
    width = codes.shape[1]
    places = codes * width + np.arange(width)
    return np.bincount(places.ravel(), minlength=codebook_size * width).reshape(-1, width)


def series_by_class(codes: Codes, labels: Counts, shape: tuple[int, int]) -> Counts:
    """In how many series of each class each code occurs: (K, C), the ``shape``.

    ``codes`` are (n, W), and ``labels`` (n,) places of classes.
    """
    found = np.unique(codes + np.arange(len(codes))[:, None] * shape[0])
    series, code = np.divmod(found, shape[0])
    both = code * shape[1] + labels[series]
    return np.bincount(both, minlength=shape[0] * shape[1]).reshape(shape)


def chi2(counts: Counts, sizes: Counts) -> Floats:
    """Pearson's chi2 (m,) of classes against whether a series has a code or not.

    ``counts`` (m, C) are series with it, ``sizes`` (C,) all series. It is 0 where all or none have
    it.
    """
    with_it, expected = _expected(counts, sizes)
    n = sizes.sum()
    # The cells without it differ from what is expected by as much, the other way.
    share = np.divide(with_it, n)[:, None]
    scale = expected * (1 - share)
    return np.divide(
        np.square(counts - expected), scale, out=np.zeros(expected.shape), where=scale > 0
    ).sum(1)


def residuals(counts: Counts, sizes: Counts) -> Floats:
    """Adjusted residuals (m, C) of the same tables (Haberman, 1973).

    Were classes and codes independent, each would be about standard normal: (observed - expected) /
    sqrt(expected (1 - share of series with it) (1 - share of the class)). 0 where undefined.
    """
    with_it, expected = _expected(counts, sizes)
    n = sizes.sum()
    variance = expected * (1 - with_it / n)[:, None] * (1 - sizes / n)
    return np.divide(
        counts - expected, np.sqrt(variance), out=np.zeros(expected.shape), where=variance > 0
    )


def lift(counts: Counts, sizes: Counts) -> Floats:
    """Share of the series of a class with a code over that of all series: (m, C), 0 where none."""
    expected = _expected(counts, sizes)[1]
    return np.divide(counts, expected, out=np.zeros(expected.shape), where=expected > 0)


def _expected(counts: Counts, sizes: Counts) -> tuple[Floats, Floats]:
    """Series with it (m,), and how many of each class are expected to be (m, C)."""
    with_it = counts.sum(1).astype(np.float64)
    return with_it, with_it[:, None] * sizes / sizes.sum()


class Ngrams(NamedTuple):
    """Codes in a row (m, N), of one row of codes; in how many series by class (m, C); their chi2.

    ``tried`` is how many were looked at.
    """

    codes: Codes
    counts: Counts
    chi2: Floats
    tried: int


def telling_ngrams(codes: Codes, labels: Counts, sizes: Counts, codebook_size: int) -> list[Ngrams]:
    """n-grams along time of 1 to ``LONGEST`` codes (n, W), of any chi2 above 0, by their length.

    A longer one is kept only where it tells more than every shorter one in it. Those in fewer than
    ``FEWEST_SERIES`` series are left out.
    """
    found: list[Ngrams] = []
    shorter, best = np.zeros(0, dtype=np.int64), np.zeros(0)
    for N in range(1, min(LONGEST, codes.shape[1]) + 1):
        keys = _keys(codes, codebook_size, N)
        known, places = np.unique(keys, return_inverse=True)
        counts = series_by_class(places.reshape(keys.shape), labels, (len(known), len(sizes)))
        told = chi2(counts, sizes)
        within = np.zeros(len(known))
        if N > 1:
            front, back = known // codebook_size, known % codebook_size ** (N - 1)
            within = np.maximum(*(best[np.searchsorted(shorter, part)] for part in (front, back)))
        kept = (told > within) & (counts.sum(1) >= FEWEST_SERIES)
        powers = codebook_size ** np.arange(N - 1, -1, -1)
        grams = known[kept, None] // powers % codebook_size
        found.append(Ngrams(grams, counts[kept], told[kept], len(known)))
        shorter, best = known, np.maximum(told, within)
    return found


def has_ngram(codes: Codes, ngram: Codes) -> NDArray[np.bool_]:
    """In which of the series (n,) with codes (n, W) an n-gram (N,) occurs."""
    if codes.shape[1] < len(ngram):
        return np.zeros(len(codes), dtype=np.bool_)
    windows = np.lib.stride_tricks.sliding_window_view(codes, len(ngram), axis=1)
    return (windows == ngram).all(2).any(1)


def _keys(codes: Codes, codebook_size: int, N: int) -> Codes:
    """One number (n, W - N + 1) for every N codes in a row."""
    windows = np.lib.stride_tricks.sliding_window_view(codes, N, axis=1)
    return windows @ codebook_size ** np.arange(N - 1, -1, -1)
