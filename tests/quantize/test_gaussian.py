import equations
import numpy as np
import pytest
import torch
from conftest import seeded_quantizer
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.quantize.gaussian import kl_to_standard_normal


def latents(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def bottleneck(D=4, **fields):
    return seeded_quantizer("gaussian", D, **fields)


@given(mean=st.floats(-3, 3), log_variance=st.floats(-4, 3))
def test_divergence_is_its_definition(mean, log_variance):
    found = kl_to_standard_normal(*torch.tensor([mean, log_variance], dtype=torch.float64))
    expected = equations.kl_to_standard_normal(mean, np.exp(log_variance))
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_divergence_is_what_draws_say_on_average():
    generator = np.random.default_rng(0)
    for mean, variance in [(0.0, 1.0), (1.5, 0.2), (-0.7, 2.5)]:
        draws = mean + np.sqrt(variance) * generator.standard_normal(400_000)
        ratios = equations.normal_log_density(draws, mean, variance)
        ratios -= equations.normal_log_density(draws, 0.0, 1.0)
        parameters = torch.tensor([mean, np.log(variance)])
        assert float(kl_to_standard_normal(*parameters)) == pytest.approx(ratios.mean(), abs=0.01)


@given(
    grid=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)),
    D=st.integers(1, 4),
    weight=st.floats(0, 3),
)
def test_evaluation_sees_the_mean_and_training_draws_around_it(grid, D, weight):
    B, H, W = grid
    vae, z = bottleneck(D, kl_weight=weight), latents(B, D, H, W)
    mean, log_variance = vae.posterior(z)
    judged = vae.eval()(z)
    assert torch.equal(judged.latents, mean)
    assert judged.codes is None
    divergence = np.mean([
        equations.kl_to_standard_normal(m, np.exp(v))
        for m, v in zip(mean.flatten().tolist(), log_variance.flatten().tolist(), strict=True)
    ])  # fmt: skip
    assert judged.loss.item() == pytest.approx(weight * divergence, rel=1e-4, abs=1e-6)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        trained = vae.train()(z)
        torch.manual_seed(1)
        noise = torch.randn(z.shape)
    assert trained.loss.item() == judged.loss.item()
    torch.testing.assert_close(trained.latents, mean + noise * (log_variance / 2).exp())


def test_draws_have_the_mean_and_variance_of_the_posterior():
    vae, z = bottleneck(2).train(), latents(1, 2, 1, 1).expand(20_000, -1, -1, -1)
    mean, log_variance = vae.posterior(z[:1])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = vae(z).latents.detach()
    torch.testing.assert_close(drawn.mean(0), mean[0].detach(), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.var(0), log_variance[0].exp().detach(), atol=0.05, rtol=0.05)


def test_gradient_reaches_every_parameter_and_the_latents():
    vae, z = bottleneck().train(), latents(2, 4, 3, 5).requires_grad_()
    z_q, _, loss = vae(z)
    (z_q.square().sum() + loss).backward()
    assert all(t.grad.abs().sum() > 0 for t in [z, *vae.parameters()])


def test_a_negative_weight_is_an_error():
    with pytest.raises(TwincodeError, match="kl_weight must be at least 0"):
        bottleneck(kl_weight=-1.0)
