import math

import equations
import numpy as np
import pytest
import torch
from conftest import seeded_quantizer
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.quantize.finite_scalar import bound

LEVELS = st.lists(st.integers(2, 9), min_size=1, max_size=3)


def latents(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def quantizer(levels, D=4):
    return seeded_quantizer("fsq", D, fsq_levels=levels)


@given(levels=LEVELS, scale=st.floats(0, 20), seed=st.integers(0, 50))
def test_the_bound_is_the_published_one(levels, scale, seed):
    z = scale * latents(2, len(levels), 3, 2, seed=seed).double()
    found = bound(z, torch.tensor(levels)[:, None, None])
    for b, h, w in np.ndindex(2, 3, 2):
        expected = equations.finite_scalar(z[b, :, h, w].numpy(), levels)
        np.testing.assert_allclose(found[b, :, h, w], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("L", range(2, 12))
def test_rounding_the_bounded_value_gives_every_level_and_no_other(L):
    z = torch.linspace(-20, 20, 4001)[:, None, None, None]
    rounded = bound(z, torch.tensor([[[L]]])).round()
    assert rounded.unique().tolist() == list(range(-(L // 2), L - L // 2))


@given(
    levels=LEVELS,
    grid=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)),
    D=st.integers(1, 4),
)
def test_codes_are_whole_numbers_that_stand_for_the_latents(levels, grid, D):
    B, H, W = grid
    fsq, z = quantizer(levels, D), latents(B, D, H, W)
    z_q, codes, loss = fsq(z)
    assert fsq.layout(W).codebook_sizes == (math.prod(levels),)
    assert codes.shape == grid
    assert codes.dtype == torch.int64
    assert 0 <= codes.min() <= codes.max() < fsq.codebook_size
    torch.testing.assert_close(fsq.lookup(codes), z_q)
    assert loss == 0
    # Code by code: digits in mixed bases, first channel fastest.
    channels = fsq.contract(z).detach()
    for b, h, w in np.ndindex(grid):
        bounded = equations.finite_scalar(channels[b, :, h, w].double().numpy(), levels)
        digits = [round(value) + L // 2 for value, L in zip(bounded, levels, strict=True)]
        places = [math.prod(levels[:i]) for i in range(len(levels))]
        assert codes[b, h, w] == sum(d * p for d, p in zip(digits, places, strict=True))


@given(levels=LEVELS)
def test_every_code_has_a_place_of_its_own(levels):
    fsq = quantizer(levels)
    every = torch.arange(fsq.codebook_size)[None, None]
    assert len(fsq.lookup(every)[0, :, 0].T.unique(dim=0)) == fsq.codebook_size


def test_gradient_passes_straight_through_the_rounding_and_reaches_every_parameter():
    fsq, z = quantizer((5, 4)), latents(2, 4, 3, 5).requires_grad_()
    weights = latents(2, 4, 3, 5, seed=1)
    (fsq(z).latents * weights).sum().backward()
    found = [z.grad.clone(), *(p.grad.clone() for p in fsq.parameters())]
    assert all(gradient.abs().sum() > 0 for gradient in found)
    # With the rounding left out, the gradient that reaches z is the same.
    z.grad = None
    smooth = fsq.expand(bound(fsq.contract(z), fsq.levels) / fsq.half_width)
    (smooth * weights).sum().backward()
    torch.testing.assert_close(found[0], z.grad)


@pytest.mark.parametrize("levels", [(), (1,), (8, 0)])
def test_levels_that_make_no_grid_are_errors(levels):
    with pytest.raises(TwincodeError, match="fsq_levels must be numbers of at least 2"):
        quantizer(levels)


def test_more_codes_than_can_be_counted_are_an_error():
    """8^22 codes would not even have a number each."""
    with pytest.raises(TwincodeError, match="give more than 16777216 codes"):
        quantizer((8,) * 22)
