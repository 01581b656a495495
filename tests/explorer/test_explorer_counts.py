"""Counts and statistics of codes, against plain restatements in float64."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from twincode.explorer.counts import (
    FEWEST_SERIES,
    LONGEST,
    along_time,
    chi2,
    has_ngram,
    lift,
    residuals,
    series_by_class,
    telling_ngrams,
)

K, CLASSES = 4, 3


@st.composite
def coded(draw):
    """Codes (n, W) below K, and labels (n,) below CLASSES."""
    n, W, used = draw(st.integers(1, 12)), draw(st.integers(1, 6)), draw(st.integers(1, K))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return generator.integers(0, used, (n, W)), generator.integers(0, CLASSES, n)


@st.composite
def tables(draw):
    """Series with each of five codes by class (5, C), and all series by class (C,)."""
    sizes = draw(st.lists(st.integers(0, 9), min_size=2, max_size=4).filter(any))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return generator.integers(0, np.array(sizes) + 1, (5, len(sizes))), np.array(sizes)


def plain_chi2(row, sizes):
    n, with_it = float(sum(sizes)), float(sum(row))
    total = 0.0
    for count, size in zip(row, sizes, strict=True):
        for observed, of in ((count, with_it), (size - count, n - with_it)):
            expected = of * size / n
            total += (observed - expected) ** 2 / expected if expected else 0.0
    return total


@given(coded())
def test_codes_are_counted_by_column_and_by_class(given_codes):
    codes, labels = given_codes
    along, by_class = along_time(codes, K), series_by_class(codes, labels, (K, CLASSES))
    for k in range(K):
        for w in range(codes.shape[1]):
            assert along[k, w] == sum(row[w] == k for row in codes)
        for c in range(CLASSES):
            own = [row for row, label in zip(codes, labels, strict=True) if label == c]
            assert by_class[k, c] == sum(k in row for row in own)


@given(tables())
def test_the_statistics_are_those_of_the_table(table):
    counts, sizes = table
    n = float(sizes.sum())
    found, left, lifted = chi2(counts, sizes), residuals(counts, sizes), lift(counts, sizes)
    for row, own, own_left, own_lift in zip(counts, found, left, lifted, strict=True):
        assert own == pytest.approx(plain_chi2(row.tolist(), sizes.tolist()), abs=1e-9)
        share = row.sum() / n
        for c, size in enumerate(sizes):
            expected = share * size
            variance = expected * (1 - share) * (1 - size / n)
            residual = (row[c] - expected) / math.sqrt(variance) if variance > 1e-12 else 0.0
            assert own_left[c] == pytest.approx(residual, abs=1e-9)
            assert own_lift[c] == pytest.approx(
                (row[c] / size) / share if row.sum() and size else 0.0
            )


@given(tables())
def test_chi2_is_that_of_scipy_and_of_two_classes_the_squared_residual(table):
    counts, sizes = table
    for row, own in zip(counts, chi2(counts, sizes), strict=True):
        if (sizes > 0).all() and 0 < row.sum() < sizes.sum():
            theirs = chi2_contingency(np.stack([row, sizes - row]), correction=False).statistic
            assert own == pytest.approx(theirs)
    if len(sizes) == 2:
        squared = residuals(counts, sizes)[:, 0] ** 2
        assert np.allclose(squared, chi2(counts, sizes))


def occurs(ngram, row):
    N = len(ngram)
    return any(tuple(row[w : w + N]) == ngram for w in range(len(row) - N + 1))


def few_codes(seed):
    """Series of two codes, as in which a trigram may tell more than its pairs, not its codes."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 2, (12, 5)), generator.integers(0, CLASSES, 12)


@given(coded())
@example(few_codes(391))
@example(few_codes(394))
def test_ngrams_are_all_that_tell_more_than_their_parts(given_codes):
    codes, labels = given_codes
    sizes = np.bincount(labels, minlength=CLASSES)
    rows = codes.tolist()
    told, counted, tried = {}, {}, 0
    for N in range(1, min(LONGEST, codes.shape[1]) + 1):
        for ngram in product(range(K), repeat=N):
            with_it = [label for row, label in zip(rows, labels, strict=True) if occurs(ngram, row)]
            if with_it:
                tried += 1
                counted[ngram] = np.bincount(with_it, minlength=CLASSES).tolist()
                told[ngram] = plain_chi2(counted[ngram], sizes.tolist())
    found = telling_ngrams(codes, labels, sizes, K)
    assert sum(each.tried for each in found) == tried
    listed = {
        tuple(gram): (count, value)
        for each in found
        for gram, count, value in zip(
            each.codes.tolist(), each.counts.tolist(), each.chi2.tolist(), strict=True
        )
    }
    for ngram, value in told.items():
        N = len(ngram)
        parts = [ngram[a:b] for a in range(N) for b in range(a + 1, N + 1) if b - a < N]
        margin = value - max([0.0, *(told[part] for part in parts)])
        if sum(counted[ngram]) >= FEWEST_SERIES and margin > 1e-9:
            assert listed.pop(ngram) == (counted[ngram], pytest.approx(value))
        elif margin < -1e-9:
            assert ngram not in listed
    # What is left are ties, which rounding decides.
    assert all(sum(counted[gram]) >= FEWEST_SERIES for gram in listed)


@given(coded(), st.lists(st.integers(0, K - 1), min_size=1, max_size=3))
def test_an_ngram_occurs_where_its_codes_follow_each_other(given_codes, ngram):
    codes, _ = given_codes
    expected = [occurs(tuple(ngram), row) for row in codes.tolist()]
    assert has_ngram(codes, np.array(ngram)).tolist() == expected
