"""Attention says the same however it is computed."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincode.nets.transformer import Attention, _attend


@given(
    B=st.integers(1, 3),
    heads=st.integers(1, 3),
    N=st.integers(1, 9),
    d=st.integers(1, 8),
    causal=st.booleans(),
    seed=st.integers(0, 9),
)
def test_written_out_it_is_the_equation(B, heads, N, d, causal, seed):
    noise = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, B, heads, N, d, generator=noise, dtype=torch.float64)
    found = _attend(q, k, v, causal)
    for place in range(N):
        seen = place + 1 if causal else N
        weights = torch.einsum("bhd,bhnd->bhn", q[:, :, place], k[:, :, :seen]) / math.sqrt(d)
        expected = torch.einsum("bhn,bhnd->bhd", weights.softmax(-1), v[:, :, :seen])
        assert torch.allclose(found[:, :, place], expected)


@pytest.mark.parametrize("causal", [False, True])
def test_in_bfloat16_it_is_the_same_to_rounding(causal):
    torch.manual_seed(0)
    layer, x = Attention(32, 2), torch.randn(4, 11, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = layer(x, causal)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), layer(x, causal), atol=0.03)
