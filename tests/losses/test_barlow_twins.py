import equations
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincode.losses import barlow_twins_loss
from twincode.losses.correlation import EPSILON


def projections(batch, width, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(batch, width, generator=generator, dtype=dtype)
    return a, 0.7 * a + 0.5 * torch.randn(batch, width, generator=generator, dtype=dtype)


def plain(a, b, weight=0.005):
    """The textbook form, with the P x P matrix in full, differentiable."""
    a = (a - a.mean(0)) / (a.var(0, correction=0) + EPSILON).sqrt()
    b = (b - b.mean(0)) / (b.var(0, correction=0) + EPSILON).sqrt()
    C = a.T @ b / len(a)
    on = (1 - C.diagonal()).square().sum()
    off = C.square().sum() - C.diagonal().square().sum()
    return (on + weight * off) / len(C)


# Both sides of the choice between the B x B and the P x P form.
shapes = st.tuples(st.integers(2, 20), st.integers(1, 40))


@given(shape=shapes, weight=st.floats(0, 1), seed=st.integers(0, 99))
def test_equals_equation_4_17(shape, weight, seed):
    a, b = projections(*shape, seed)
    expected = equations.barlow_twins(a.numpy(), b.numpy(), weight, EPSILON)
    np.testing.assert_allclose(barlow_twins_loss(a, b, weight), expected, rtol=1e-9, atol=1e-12)


@given(shape=shapes, seed=st.integers(0, 99))
def test_gradient_equals_that_of_the_explicit_matrix(shape, seed):
    a, b = (t.float().requires_grad_() for t in projections(*shape, seed))
    c, d = (t.detach().double().requires_grad_() for t in (a, b))
    barlow_twins_loss(a, b).backward()
    plain(c, d).backward()
    for ours, exact in ((a.grad, c.grad), (b.grad, d.grad)):
        # Next to a zero variance the standardisation itself amplifies float32 rounding.
        scale = max(1.0, float(exact.abs().max()))
        torch.testing.assert_close(ours.double(), exact, atol=1e-4 * scale, rtol=1e-3)


@given(shape=shapes, seed=st.integers(0, 99))
def test_symmetric_and_invariant_to_shift_and_scale(shape, seed):
    a, b = projections(*shape, seed)
    loss = barlow_twins_loss(a, b)
    torch.testing.assert_close(barlow_twins_loss(b, a), loss)
    torch.testing.assert_close(barlow_twins_loss(a + 3, b - 1), loss)
    if shape[0] > 3:
        torch.testing.assert_close(barlow_twins_loss(2 * a, b), loss, atol=1e-3, rtol=1e-3)


def test_zero_only_for_decorrelated_equal_views():
    a = torch.linalg.qr(projections(64, 8)[0] - projections(64, 8)[0].mean(0))[0] * 1000
    assert barlow_twins_loss(a, a) < 1e-6
    assert barlow_twins_loss(a, -a) == pytest.approx(4, rel=1e-6)


@pytest.mark.parametrize("width", [3, 50])
def test_constant_features_and_a_batch_of_one_give_numbers(width):
    for batch in (1, 8):
        a = torch.randn(batch, width)
        a[:, 0] = 5.0
        a.requires_grad_()
        loss = barlow_twins_loss(a, a.detach().clone())
        loss.backward()
        assert loss.isfinite()
        assert a.grad.isfinite().all()
    assert barlow_twins_loss(torch.ones(1, 4), torch.ones(1, 4)) == 1.0
