from math import log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincode.evaluate.codebook import (
    code_counts,
    dead_codes,
    mean_absolute_cosine,
    measure_codes,
    perplexity,
    used_codes,
)
from twincode.quantize import Grid, Layout


@given(
    codes=st.lists(st.integers(0, 6), min_size=1, max_size=30),
    spare=st.integers(0, 3),
)
def test_counts_used_and_dead_codes(codes, spare):
    K = 7 + spare
    counts = code_counts(torch.tensor(codes), K)
    assert counts.tolist() == [codes.count(code) for code in range(K)]
    assert used_codes(counts) == len(set(codes))
    assert used_codes(counts) + dead_codes(counts) == K
    assert 1 <= perplexity(counts) <= len(set(codes)) + 1e-9


def test_several_codebooks_are_measured_one_by_one():
    counts = torch.tensor([5, 5, 0, 7, 0])
    expected = {"perplexity": 1.5, "used_codes": 1.5, "dead_codes": 1.0}
    two = Layout((Grid("top", 4, 3), Grid("bottom", 8, 2)))
    assert measure_codes(counts, two) == pytest.approx(expected)
    one = {"perplexity": perplexity(counts), "used_codes": 3, "dead_codes": 2}
    assert measure_codes(counts, Layout((Grid("", 4, 5),))) == pytest.approx(one)


def test_counts_take_grids():
    assert code_counts(torch.tensor([[[0, 2], [2, 2]]]), 4).tolist() == [1, 0, 3, 0]


def test_perplexity_of_known_distributions():
    assert perplexity(torch.full((32,), 5)) == pytest.approx(32, abs=1e-12)
    assert perplexity(torch.tensor([0, 9, 0])) == 1.0
    entropy = -(0.25 * log(0.25) + 0.75 * log(0.75))
    assert perplexity(torch.tensor([1, 3])) == pytest.approx(np.exp(entropy), abs=1e-12)
    assert perplexity(torch.zeros(3, dtype=torch.int64)) == 0.0


def plain_cosine(codebook):
    values = []
    for i, a in enumerate(codebook):
        for j, b in enumerate(codebook):
            if i != j:
                lengths = np.linalg.norm(a) * np.linalg.norm(b)
                values.append(abs(a @ b) / lengths if lengths else 0.0)
    return np.mean(values) if values else 0.0


@given(K=st.integers(1, 6), D=st.integers(1, 5), seed=st.integers(0, 99), zero=st.booleans())
def test_cosine_equals_its_definition(K, D, seed, zero):
    codebook = np.random.default_rng(seed).normal(size=(K, D))
    codebook[0] *= not zero
    found = mean_absolute_cosine(torch.from_numpy(codebook))
    assert found == pytest.approx(plain_cosine(codebook), abs=1e-12)


def test_cosine_of_known_codebooks():
    assert mean_absolute_cosine(torch.eye(4)) == 0.0
    assert mean_absolute_cosine(torch.tensor([[1.0, 2.0], [-2.0, -4.0]])) == pytest.approx(1.0)
    assert mean_absolute_cosine(torch.ones(1, 3)) == 0.0
    assert mean_absolute_cosine(torch.zeros(3, 3)) == 0.0
