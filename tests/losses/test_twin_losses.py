"""Every twin loss against its equation: value, gradient, what it does not notice, hard cases."""

import equations
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F

from twincode.losses import (
    barlow_twins_loss,
    byol_loss,
    info_nce_loss,
    nt_xent_loss,
    vibcreg_loss,
    vicreg_loss,
)
from twincode.losses.correlation import EPSILON, sum_of_squares
from twincode.losses.vibcreg import correlation_term
from twincode.losses.vicreg import covariance_term

WEIGHTS = (2.0, 3.0, 5.0)
STEP = 1e-6
# A queue of four unit vectors, wide enough for the widest projections below.
QUEUE = F.normalize(
    torch.randn(4, 40, generator=torch.Generator().manual_seed(9), dtype=torch.float64), dim=1
)


def queue(a):
    return F.normalize(QUEUE[:, : a.shape[1]], dim=1)


# By name: ours, and the plain restatement.
LOSSES = {
    "barlow_twins": (
        lambda a, b: barlow_twins_loss(a, b, 0.3),
        lambda a, b: equations.barlow_twins(a, b, 0.3, EPSILON),
    ),
    "vicreg": (
        lambda a, b: vicreg_loss(a, b, *WEIGHTS),
        lambda a, b: equations.vicreg(a, b, WEIGHTS),
    ),
    "vibcreg": (
        lambda a, b: vibcreg_loss(a, b, *WEIGHTS),
        lambda a, b: equations.vibcreg(a, b, WEIGHTS, EPSILON),
    ),
    "simclr": (
        lambda a, b: nt_xent_loss(a, b, 0.3),
        lambda a, b: equations.nt_xent(a, b, 0.3),
    ),
    "moco": (
        lambda a, b: info_nce_loss(a, b, queue(a).to(a.dtype), 0.3),
        lambda a, b: equations.info_nce(a, b, queue(a).numpy(), 0.3),
    ),
    "byol": (byol_loss, equations.byol),
}
PLAIN = {name: ours for name, (ours, _) in LOSSES.items()}
SYMMETRIC = sorted(set(PLAIN) - {"moco"})

# Both sides of the choice between B x B and P x P matrices.
shapes = st.tuples(st.integers(2, 8), st.integers(1, 14))
names = st.sampled_from(sorted(LOSSES))


def projections(batch, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(batch, width, generator=generator, dtype=torch.float64)
    noise = torch.randn(batch, width, generator=generator, dtype=torch.float64)
    return a, 0.7 * a + 0.5 * noise


@given(name=names, shape=shapes, seed=st.integers(0, 99))
def test_equals_its_equation(name, shape, seed):
    ours, plain = LOSSES[name]
    a, b = projections(*shape, seed)
    np.testing.assert_allclose(ours(a, b), plain(a.numpy(), b.numpy()), rtol=1e-9, atol=1e-11)


@given(name=names, shape=shapes, seed=st.integers(0, 99))
def test_gradient_is_the_slope_of_the_equation(name, shape, seed):
    """Along a random direction, by central differences of the plain restatement."""
    ours, plain = LOSSES[name]
    a, b = (t.requires_grad_() for t in projections(*shape, seed))
    ours(a, b).backward()
    along = [t.numpy() for t in projections(*shape, seed + 100)]
    up, down = (
        plain(a.detach().numpy() + h * along[0], b.detach().numpy() + h * along[1])
        for h in (STEP, -STEP)
    )
    slope = sum((t.grad.numpy() * d).sum() for t, d in zip((a, b), along, strict=True))
    assert slope == pytest.approx((up - down) / (2 * STEP), rel=1e-4, abs=1e-5)


@given(name=st.sampled_from(sorted(PLAIN)), shape=shapes, seed=st.integers(0, 99))
def test_gradient_in_float32_is_that_of_float64(name, shape, seed):
    assume(shape[0] > 3)
    wide = [t.requires_grad_() for t in projections(*shape, seed)]
    narrow = [t.detach().float().requires_grad_() for t in wide]
    for views in (wide, narrow):
        PLAIN[name](*views).backward()
    for ours, exact in zip(narrow, wide, strict=True):
        scale = max(1.0, float(exact.grad.abs().max()))
        torch.testing.assert_close(ours.grad.double(), exact.grad, atol=1e-4 * scale, rtol=1e-3)


@given(name=st.sampled_from(SYMMETRIC), shape=shapes, seed=st.integers(0, 99))
def test_swapping_the_views_changes_nothing(name, shape, seed):
    a, b = projections(*shape, seed)
    torch.testing.assert_close(PLAIN[name](a, b), PLAIN[name](b, a))


@given(name=st.sampled_from(["simclr", "moco", "byol"]), shape=shapes, seed=st.integers(0, 99))
def test_the_length_of_a_row_does_not_matter_to_a_cosine(name, shape, seed):
    a, b = projections(*shape, seed)
    torch.testing.assert_close(PLAIN[name](3 * a, 0.2 * b), PLAIN[name](a, b))


@given(name=st.sampled_from(["vicreg", "vibcreg"]), shape=shapes, seed=st.integers(0, 99))
def test_shifting_both_views_alike_does_not_matter(name, shape, seed):
    a, b = projections(*shape, seed)
    torch.testing.assert_close(PLAIN[name](a + 3, b + 3), PLAIN[name](a, b))


@pytest.mark.parametrize("name", sorted(PLAIN))
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("width", [3, 50])
def test_constant_features_and_a_batch_of_one_give_numbers(name, batch, width):
    width = min(width, QUEUE.shape[1])
    a = torch.randn(batch, width, generator=torch.Generator().manual_seed(0))
    a[:, 0] = 0.1
    for views in ((a, 2 * a), (torch.full_like(a, 0.1), torch.full_like(a, 0.1))):
        views = [view.clone().requires_grad_() for view in views]
        loss = PLAIN[name](*views)
        loss.backward()
        assert loss.isfinite()
        assert all(view.grad.isfinite().all() for view in views)


def test_without_negatives_there_is_nothing_to_tell_apart():
    assert nt_xent_loss(*projections(1, 5)) == 0


def test_twins_that_agree_cost_less_than_twins_that_do_not():
    a, b = projections(8, 12)
    for name, loss in PLAIN.items():
        assert loss(a, b) < loss(a, b.roll(1, dims=0)), name


def test_better_covariance_ignores_scale_and_width():
    """The point of VIbCReg's term: VICReg's grows with the fourth power of the scale."""
    a, _ = projections(8, 14)
    torch.testing.assert_close(correlation_term(3 * a), correlation_term(a), rtol=1e-4, atol=0)
    torch.testing.assert_close(covariance_term(3 * a), 81 * covariance_term(a))
    twice = torch.cat([a, a], dim=1)
    assert 0 < correlation_term(a) < 1
    assert correlation_term(twice) == pytest.approx(correlation_term(a).item(), abs=0.1)


@given(shape=shapes, seed=st.integers(0, 99))
def test_both_ways_to_sum_the_squares_agree(shape, seed):
    a, b = projections(*shape, seed)
    for other in (a, b):
        explicit = ((a.T @ other) / 3).square().sum()
        torch.testing.assert_close(sum_of_squares(a, other, 3), explicit)


@given(shape=shapes, seed=st.integers(0, 99))
def test_shift_and_scale_of_a_feature_do_not_matter_to_a_correlation(shape, seed):
    assume(shape[0] > 3)
    a, b = projections(*shape, seed)
    loss = barlow_twins_loss(a, b)
    torch.testing.assert_close(barlow_twins_loss(a + 3, b - 1), loss)
    torch.testing.assert_close(barlow_twins_loss(2 * a, b), loss, atol=1e-3, rtol=1e-3)


def test_correlation_is_best_for_decorrelated_equal_views_and_worst_for_opposite_ones():
    a, _ = projections(64, 8)
    a = torch.linalg.qr(a - a.mean(0))[0] * 1000
    assert barlow_twins_loss(a, a) < 1e-6
    assert barlow_twins_loss(a, -a) == pytest.approx(4, rel=1e-6)
