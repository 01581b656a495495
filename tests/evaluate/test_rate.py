"""Rate and bound against plain restatements."""

import math

import numpy as np
import pytest
from conftest import make_waves, tiny
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.evaluate.rate import (
    bound_nmse,
    cross_entropy_bits,
    gaussian_bound,
    nmse,
)
from twincode.train import fit


def test_cross_entropy_restated() -> None:
    draw = np.random.default_rng(0)
    train, test = draw.integers(0, 4, (30, 3)), draw.integers(0, 4, (5, 3))
    bits = cross_entropy_bits(test, train, [4, 4, 4])
    for row, code in zip(bits, test, strict=True):
        plain = sum(
            -math.log2(((train[:, place] == code[place]).sum() + 0.5) / (30 + 2))
            for place in range(3)
        )
        assert row == pytest.approx(plain)


def test_uniform_codes_cost_the_fixed_rate() -> None:
    codes = np.stack(np.meshgrid(np.arange(4), np.arange(8)), -1).reshape(-1, 2)
    bits = cross_entropy_bits(codes, codes, [4, 8])
    assert bits.mean() == pytest.approx(2 + 3)


def test_a_codebook_may_be_far_larger_than_what_is_met_of_it() -> None:
    met = np.array([[7], [7], [2**40 - 1]])
    found = cross_entropy_bits(np.array([[7], [8], [2**40 - 1]]), met, [2**40])
    total = 3 + 0.5 * 2**40
    assert found == pytest.approx([-math.log2(count / total) for count in (2.5, 0.5, 1.5)])


def test_codes_outside_their_codebooks_are_refused() -> None:
    with pytest.raises(TwincodeError, match="outside"):
        cross_entropy_bits(np.array([[1]]), np.array([[4]]), [4])
    with pytest.raises(TwincodeError, match="must be"):
        cross_entropy_bits(np.array([[1, 2]]), np.array([[1]]), [4])


@given(d=st.integers(1, 40), bits=st.floats(0, 200), variance=st.floats(1e-3, 1e3))
def test_white_noise_has_a_closed_form(d: int, bits: float, variance: float) -> None:
    expected = d * variance * 2 ** (-2 * bits / d)
    assert gaussian_bound(np.full(d, variance), bits) == pytest.approx(expected, rel=1e-6)


@given(values=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=30), bits=st.floats(0.01, 100))
def test_bound_restated_by_bisection(values: list[float], bits: float) -> None:
    low, high = math.log2(min(values)) - 2 * bits - 1, math.log2(max(values))
    for _ in range(200):
        level = (low + high) / 2
        rate = sum(max(0.0, (math.log2(v) - level) / 2) for v in values)
        low, high = (level, high) if rate > bits else (low, level)
    assert gaussian_bound(np.array(values), bits) == pytest.approx(
        sum(min(v, 2**high) for v in values), rel=1e-6
    )


def test_bound_against_a_monte_carlo_of_a_known_source() -> None:
    """The forward test channel of the bound: its error is D and its information is the rate."""
    draw = np.random.default_rng(0)
    values, bits = np.array([4.0, 1.0, 0.2, 0.05]), 3.0
    x = draw.normal(size=(200_000, 4)) * np.sqrt(values)
    bound = gaussian_bound(values, bits)
    level = next(w for w in np.geomspace(1e-3, 4, 100_000) if np.minimum(values, w).sum() >= bound)
    keep = np.maximum(0, 1 - level / values)
    noise = draw.normal(size=x.shape) * np.sqrt(keep * level)
    back = keep * x + noise
    assert np.square(x - back).sum(1).mean() == pytest.approx(bound, rel=0.02)
    correlation = [np.corrcoef(x[:, i], back[:, i])[0, 1] for i in range(4) if keep[i] > 0]
    information = sum(-0.5 * math.log2(1 - r * r) for r in correlation)
    assert information == pytest.approx(bits, rel=0.02)


def test_no_bits_leave_the_variance_and_no_variance_needs_no_bits() -> None:
    assert gaussian_bound(np.array([2.0, 1.0]), 0) == pytest.approx(3)
    assert gaussian_bound(np.zeros(3), 5) == 0
    with pytest.raises(TwincodeError, match="negative"):
        gaussian_bound(np.ones(2), -1)


def test_bound_of_series_uses_their_own_covariance() -> None:
    x = np.random.default_rng(0).normal(size=(4000, 1, 8))
    assert bound_nmse(x, 8) == pytest.approx(0.25, rel=0.02)
    assert bound_nmse(x + np.arange(8), 0) < 1  # places' means are known to the code


@pytest.mark.parametrize("n", [1, 2, 7, 8, 40])
def test_bound_is_that_of_the_covariance_however_few_series(n: int) -> None:
    x = np.random.default_rng(n).normal(size=(n, 2, 10)) * np.arange(1, 11)
    flat = x.reshape(n, -1)
    eigenvalues = np.linalg.eigvalsh(np.cov(flat.T, bias=True))
    expected = gaussian_bound(eigenvalues, 9.0) / 20 / flat.var()
    assert bound_nmse(x, 9.0) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_bound_of_long_series_needs_no_more_than_their_products() -> None:
    x = np.random.default_rng(0).normal(size=(5, 4, 50_000))
    assert 0 < bound_nmse(x, 3.0) < 1


def test_nmse() -> None:
    x = np.array([[0.0, 2.0]])
    assert nmse(x, x) == 0
    assert nmse(x, np.ones((1, 2))) == 1
    assert math.isnan(nmse(np.ones((1, 2)), x))


def test_rates_of_a_model_restated() -> None:
    """Of a small VQ-VAE: 5 rows of 8 codes of 6, frequencies by counting."""
    waves = make_waves(n_train=30, n_test=20)
    model = fit(tiny("vqvae", epochs=1, metrics="rate", continuous_share=0), waves)
    found = {each.metric: each.value for each in model.evaluate(waves)}
    train, test = (model.encode(X).reshape(len(X), -1) for X in (waves.X_train, waves.X_test))
    bits = train.shape[1] * math.log2(6)
    assert found["bits"] == pytest.approx(bits)
    assert model.bits_per_series == pytest.approx(bits)
    assert found["bits_per_step"] == pytest.approx(bits / waves.length)
    entropy = [
        -math.log2((np.sum(train[:, place] == code) + 0.5) / (len(train) + 0.5 * 6))
        for row in test
        for place, code in enumerate(row)
    ]
    assert found["entropy_bits"] == pytest.approx(sum(entropy) / len(test))
    x = model.scaling.apply(waves.X_test)
    assert found["bound"] == pytest.approx(bound_nmse(x, bits))
    sizes = [v.numel() * v.element_size() for v in model.tokenizer.state_dict().values()]
    assert found["model_bytes"] == sum(sizes)


def test_a_model_without_codes_has_no_rate_but_a_size() -> None:
    waves = make_waves(n_train=20, n_test=10)
    model = fit(tiny("vae", epochs=1, metrics="rate"), waves)
    assert [each.metric for each in model.evaluate(waves)] == ["model_bytes"]
    assert model.bits_per_series == model.bits_per_step == math.inf
