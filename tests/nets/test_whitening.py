import equations
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincode.nets.whitening import EPSILON, IterativeWhitening, whiten


def correlated(batch, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, width, generator=generator, dtype=torch.float64)
    return x @ torch.randn(width, width, generator=generator, dtype=torch.float64) + 2


@given(
    batch=st.integers(1, 12),
    groups=st.integers(1, 3),
    width=st.integers(1, 5),
    iterations=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_equals_the_plain_iteration_group_by_group(batch, groups, width, iterations, seed):
    x = correlated(batch, groups * width, seed)
    parts = np.split(x.numpy(), groups, axis=1)
    expected = [equations.newton_whiten(part, EPSILON, iterations) for part in parts]
    found = whiten(x, width, iterations)
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), rtol=1e-8, atol=1e-8)


def test_enough_iterations_whiten_exactly():
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:, 0] += x[:, 1]
    found = whiten(x, 6, 12)
    np.testing.assert_allclose(found, equations.whiten(x.numpy(), EPSILON), atol=1e-6)
    np.testing.assert_allclose(found.T @ found / 50, np.eye(6), atol=1e-3)


def test_groups_are_as_wide_as_the_projections_allow():
    widths = [IterativeWhitening(P, 64, 5).group_width for P in (4096, 96, 16, 7)]
    assert widths == [64, 32, 16, 1]


@pytest.mark.parametrize("batch", [1, 4])
def test_constant_features_and_a_batch_of_one_give_numbers_and_gradients(batch):
    layer = IterativeWhitening(8, 4, 5)
    x = torch.ones(2 * batch, 8, requires_grad=True)
    out = layer(x, views=2)
    out.square().sum().backward()
    assert out.isfinite().all()
    assert x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
