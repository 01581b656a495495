"""What every closed-form coder promises: shapes, rates, determinism, storage, odd inputs."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from twincode.closed_form.books import token_sizes
from twincode.closed_form.components import ComponentCoder
from twincode.closed_form.mixture import MixtureCoder
from twincode.closed_form.patches import PatchCoder
from twincode.errors import TwincodeError

CODERS = (ComponentCoder, PatchCoder, MixtureCoder)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def walks(n: int, channels: int, length: int, seed: int = 0) -> torch.Tensor:
    x = torch.randn(n, channels, length, generator=seeded(seed)).cumsum(2)
    return x / x.std() if n * length > 1 else x


@pytest.mark.parametrize("coder_type", CODERS)
@settings(max_examples=5, deadline=None)
@given(
    n=st.integers(1, 40),
    channels=st.integers(1, 3),
    length=st.integers(1, 40),
    bits=st.integers(8, 70),
    constant=st.booleans(),
)
def test_any_shape_goes_there_and_back(
    coder_type: Any, n: int, channels: int, length: int, bits: int, constant: bool
) -> None:
    x = torch.ones(n, channels, length) if constant else walks(n, channels, length)
    coder = coder_type.fit(x, bits, seeded())
    codes = coder.encode(x)
    sizes = torch.tensor(token_sizes(coder.books_of(coder.length)))
    assert codes.dtype == torch.int64
    assert codes.shape == (n, len(sizes))
    assert bool((codes >= 0).all())
    assert bool((codes < sizes).all())
    back = coder.decode(codes)
    assert back.shape == x.shape
    assert bool(torch.isfinite(back).all())
    if constant:
        torch.testing.assert_close(back, x, atol=1e-3, rtol=0)


@pytest.mark.parametrize("coder_type", CODERS)
def test_state_survives_storage(coder_type: Any) -> None:
    x = walks(60, 2, 30)
    coder = coder_type.fit(x, 40, seeded())
    again = coder_type.from_state(load(save(coder.state())))
    codes = coder.encode(x)
    assert torch.equal(again.encode(x), codes)
    assert torch.equal(again.decode(codes), coder.decode(codes))
    assert again.books_of(30) == coder.books_of(30)
    assert again.bits == coder.bits


@pytest.mark.parametrize("coder_type", CODERS)
def test_same_seed_same_coder_and_the_global_generator_is_left_alone(coder_type: Any) -> None:
    x = walks(60, 1, 30)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (coder_type.fit(x, 40, seeded(1)).state() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("coder_type", CODERS)
def test_batches_are_read_like_one_array(coder_type: Any) -> None:
    x = walks(90, 1, 24)
    whole = coder_type.fit(x, 30, seeded())
    streamed = coder_type.fit(iter(x.split(25)), 30, seeded())
    torch.testing.assert_close(whole.decode(whole.encode(x)), streamed.decode(streamed.encode(x)))


@pytest.mark.parametrize("coder_type", CODERS)
def test_more_bits_less_error(coder_type: Any) -> None:
    x = walks(300, 1, 32)
    errors = []
    for bits in (16, 48, 120):
        coder = coder_type.fit(x[:200], bits, seeded())
        errors.append(float((coder.decode(coder.encode(x[200:])) - x[200:]).square().mean()))
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("coder_type", CODERS)
def test_bad_series_are_named(coder_type: Any) -> None:
    x = walks(20, 1, 16)
    broken = x.clone()
    broken[3, 0, 5] = torch.nan
    with pytest.raises(TwincodeError, match="NaN"):
        coder_type.fit(broken, 20, seeded())
    with pytest.raises(TwincodeError, match=r"\(n, channels, steps\)"):
        coder_type.fit(x[:, 0], 20, seeded())
    with pytest.raises(TwincodeError, match="no series"):
        coder_type.fit(iter([]), 20, seeded())
    coder = coder_type.fit(x, 20, seeded())
    with pytest.raises(TwincodeError, match="channels"):
        coder.encode(walks(4, 2, 16))


@given(bits=st.integers(1, 60))
@settings(max_examples=10, deadline=None)
def test_component_codes_cost_exactly_the_bits_asked_for(bits: int) -> None:
    coder = ComponentCoder.fit(walks(40, 1, 12), bits, seeded())
    assert math.fsum(map(math.log2, token_sizes(coder.books_of(coder.length)))) == pytest.approx(
        bits
    )
    assert coder.bits == pytest.approx(bits)


@pytest.mark.parametrize("coder_type", CODERS)
def test_no_series_have_no_codes(coder_type) -> None:
    x = torch.randn(40, 1, 20, generator=torch.Generator().manual_seed(0))
    coder = coder_type.fit(x, 30, torch.Generator().manual_seed(0))
    assert coder.encode(x[:0]).shape == (0, coder.encode(x).shape[1])


@pytest.mark.parametrize("coder_type", (PatchCoder, MixtureCoder))
@pytest.mark.parametrize("length", (1, 7, 32, 45, 100))
def test_any_length_can_be_coded(coder_type: Any, length: int) -> None:
    coder = coder_type.fit(walks(200, 2, 32), 60, seeded())
    x = walks(10, 2, length, seed=1)
    codes = coder.encode(x)
    assert codes.shape == (10, len(token_sizes(coder.books_of(length))))
    assert coder.decode(codes, length).shape == x.shape


def test_beam_search_tells_errors_apart_that_are_small_beside_the_series() -> None:
    """Of three components, 200 bits leave what float32 leaves."""
    time = torch.linspace(0, 1, 100)
    shapes = torch.stack([(2 * math.pi * time).sin(), (2 * math.pi * time).cos(), time])
    x = (torch.randn(1000, 3, generator=seeded()) @ shapes)[:, None]
    coder = ComponentCoder.fit(x, 200, seeded(), copies=0)
    error = (coder.decode(coder.encode(x)) - x).double().square().mean(2)
    assert float(error.median()) < 1e-11


def test_beam_search_lowers_the_error_of_fresh_series() -> None:
    wide = ComponentCoder.fit(walks(2000, 1, 24), 60, seeded())
    x = walks(500, 1, 24, seed=1)
    state = wide.state()
    greedy = ComponentCoder.from_state({**state, "beam": torch.tensor(1)})
    errors = [float((c.decode(c.encode(x)) - x).square().mean()) for c in (wide, greedy)]
    assert errors[0] < errors[1]
