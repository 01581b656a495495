from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from twincode import augment
from twincode.augment import AUGMENTATIONS, USUAL_AUGMENTATIONS, Augmenter, with_strengths
from twincode.errors import TwincodeError
from twincode.settings import Settings
from twincode.spectral import STFT

NAMES = list(AUGMENTATIONS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape):
    return torch.randn(*shape, generator=seeded(1))


def augmenter(length, *names):
    # A transform needs more steps than half its window; augmentations without one take any.
    stft = STFT(length) if length > 4 else None
    return Augmenter([AUGMENTATIONS.choose(name) for name in names], stft)


@given(
    name=st.sampled_from(NAMES),
    batch=st.integers(1, 5),
    channels=st.integers(1, 3),
    length=st.integers(1, 60),
    constant=st.booleans(),
)
def test_every_augmentation_keeps_shape_input_and_sanity(name, batch, channels, length, constant):
    x = torch.full((batch, channels, length), 2.0) if constant else noise(batch, channels, length)
    assume(name != "phase" or length > 4)
    before = x.clone()
    one = augmenter(length, name)
    view = one(x, seeded())
    assert view.shape == x.shape
    assert view.isfinite().all()
    assert torch.equal(x, before)
    assert torch.equal(view, one(x, seeded()))


@pytest.mark.parametrize("name", NAMES)
def test_views_follow_the_seed_and_leave_the_global_stream_alone(name):
    x = noise(16, 1, 40)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one = augmenter(40, name)
    assert not torch.equal(one(x, seeded(1)), one(x, seeded(2)))
    assert torch.equal(state, torch.get_rng_state())


def test_flip_reverses_whole_series_about_half_the_time():
    x = noise(2000, 2, 9)
    view = augment.flip(x, seeded())
    flipped = (view == x.flip(-1)).all(dim=(1, 2))
    assert ((view == x).all(dim=(1, 2)) | flipped).all()
    assert 0.45 < flipped.float().mean() < 0.55
    assert torch.equal(augment.flip(x, seeded(), 1.0), x.flip(-1))
    assert torch.equal(augment.flip(x, seeded(), 0.0), x)


def test_move_shifts_and_stretches_about_the_middle_and_holds_the_ends():
    ramp = torch.linspace(0, 1, 101).expand(4000, 2, 101)
    view = augment.move(ramp, seeded(), 0.02)
    assert torch.equal(view[:, 0], view[:, 1])
    inner = view[:, 0, 30:71]
    slope, middle = (inner[:, -1] - inner[:, 0]) / 0.4, inner[:, 20]
    straight = middle[:, None] + slope[:, None] * torch.linspace(-0.2, 0.2, 41)
    torch.testing.assert_close(inner, straight, atol=1e-5, rtol=0)
    for moved, about in ((slope, 1), (middle, 0.5)):
        assert moved.mean().item() == pytest.approx(about, abs=0.002)
        assert moved.std().item() == pytest.approx(0.02, rel=0.05)
    assert view.min() == 0
    assert view.max() == 1


def test_jitter_adds_noise_of_the_stated_spread():
    x = noise(500, 1, 100)
    difference = augment.jitter(x, seeded(), 0.1) - x
    assert abs(difference.mean()) < 2e-3
    assert abs(difference.std() - 0.1) < 2e-3


def test_amplitude_resize_multiplies_each_channel_by_one_factor():
    x = noise(3000, 2, 7)
    factor = augment.amplitude_resize(x, seeded(), 0.1) / x
    torch.testing.assert_close(factor, factor[..., :1].expand_as(factor), rtol=1e-4, atol=1e-4)
    assert abs(factor[..., 0].mean() - 1) < 0.01
    assert abs(factor[..., 0].std() - 0.1) < 0.01
    assert not torch.equal(factor[:, 0], factor[:, 1])


def test_slope_adds_a_straight_line_within_the_rate():
    x = noise(1000, 1, 50)
    line = augment.slope(x, seeded(), 0.01) - x
    rate = line[..., -1:] / 49
    torch.testing.assert_close(line, rate * torch.arange(50.0), atol=1e-5, rtol=1e-4)
    assert rate.abs().max() <= 0.01 + 1e-6
    assert rate.min() < -0.009
    assert rate.max() > 0.009


@pytest.mark.parametrize("length", [50, 500])
def test_trend_is_centred_and_as_strong_on_long_series_as_on_short_ones(length):
    x = noise(1000, 1, length)
    line = augment.trend(x, seeded(), 1.0) - x
    rise = line[..., -1:] - line[..., :1]
    torch.testing.assert_close(line, rise * torch.linspace(-0.5, 0.5, length), atol=1e-5, rtol=0)
    assert rise.abs().max() <= 1 + 1e-5
    assert (rise.min(), rise.max()) == pytest.approx((-1, 1), abs=0.01)


def test_the_usual_views_of_long_series_are_not_mostly_trend():
    """With a slope of 0.01 per step trends had 0.73 of the power of FordA's views, L = 500."""
    x = noise(500, 1, 500)
    view = augmenter(500, *USUAL_AUGMENTATIONS)(x, seeded())
    time = torch.linspace(-1, 1, 500)
    level = view.mean(dim=-1, keepdim=True)
    trend = level + (view * time).mean(dim=-1, keepdim=True) / time.square().mean() * time
    assert trend.square().mean() < 0.1 * view.square().mean()


@pytest.mark.parametrize("frequency", [0.0, 0.02, 0.1, 0.2])
def test_phase_takes_a_tenth_of_the_amplitude_at_every_frequency(frequency):
    wave = torch.cos(2 * np.pi * frequency * torch.arange(400.0)).expand(64, 1, 400)
    view = augment.phase(wave, seeded(), STFT(400))
    gain = (view * wave).mean() / (wave * wave).mean()
    assert gain.item() == pytest.approx(np.sin(np.pi / 4) / (np.pi / 4), abs=0.01)


def test_phase_moves_phases_within_range_and_keeps_magnitudes():
    # One frame in a longer window carries its spectrum through resynthesis unchanged.
    stft = STFT(64, 8, 2)
    x = noise(4, 2, 64)
    assert torch.allclose(augment.phase(x, seeded(), stft, 0.0), x, atol=1e-5)
    real, imaginary = stft(x).double().chunk(2, dim=1)
    angle = np.pi / 4 * (2 * torch.rand(real.shape, generator=seeded()) - 1).double()
    turned = torch.complex(real, imaginary) * torch.exp(1j * angle)
    expected = stft.inverse(torch.cat([turned.real, turned.imag], dim=1).float())
    torch.testing.assert_close(augment.phase(x, seeded(), stft), expected, atol=1e-5, rtol=1e-5)


def test_window_warp_moves_time_only_and_forwards():
    ramp = torch.arange(100.0).expand(50, 1, 100)
    view = augment.window_warp(ramp, seeded(), 0.2, (0.5, 2.0))
    assert (view.diff(dim=-1) > 0).all()
    assert torch.allclose(view[..., 0], torch.zeros(50, 1), atol=1e-3)
    assert torch.allclose(view[..., -1], torch.full((50, 1), 99.0), atol=1e-3)
    assert torch.allclose(augment.window_warp(ramp, seeded(), 0.2, (1.0,)), ramp, atol=1e-3)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_window_warp_stretches_a_window_of_its_size_by_the_scale(scale):
    ramp = torch.arange(400.0).expand(50, 1, 400)
    slopes = augment.window_warp(ramp, seeded(), 0.2, (scale,)).diff(dim=-1)[:, 0]
    # Outside the window time passes as fast as everything else has to after it.
    outside = 1 + 0.2 * (scale - 1)
    inside = (slopes - outside / scale).abs() < 0.01
    assert ((slopes - outside).abs() < 0.01).logical_or(inside).sum(1).min() >= 399 - 4
    covered = (slopes * inside).sum(1)
    assert covered.min() > 0.2 * 400 - 5
    assert covered.max() < 0.2 * 400 + 2


def test_slice_and_shuffle_permutes_whole_slices():
    ramp = torch.arange(30.0).expand(200, 2, 30)
    view = augment.slice_and_shuffle(ramp, seeded(), 4)
    assert torch.equal(view.sort(dim=-1).values, ramp)
    assert torch.equal(view[:, 0], view[:, 1])
    breaks = (view[:, 0].diff(dim=-1) != 1).sum(dim=-1)
    assert breaks.max() == 3
    assert torch.equal(augment.slice_and_shuffle(ramp, seeded(), 1), ramp)


def test_window_crop_stretches_a_window():
    ramp = torch.arange(100.0).expand(50, 1, 100)
    view = augment.window_crop(ramp, seeded(), 0.5)
    steps = view.diff(dim=-1)
    torch.testing.assert_close(steps, torch.full_like(steps, 49 / 99), atol=1e-3, rtol=0)
    assert torch.allclose(augment.window_crop(ramp, seeded(), 1.0), ramp, atol=1e-3)


def test_gaussian_noise_scales_with_each_series():
    x = torch.stack([noise(1, 20000), 10 * noise(1, 20000)])
    spread = (augment.gaussian_noise(x, seeded(), 0.05) - x).std(dim=-1)
    torch.testing.assert_close(spread, torch.tensor([[0.05], [0.5]]), rtol=0.05, atol=0)


def test_augmentations_apply_in_the_named_order():
    x = noise(4, 1, 20)
    expected = augment.jitter(augment.flip(x, g := seeded(), 0.5), g, 0.1)
    assert torch.equal(augmenter(20, "flip", "jitter")(x, seeded()), expected)
    assert torch.equal(augmenter(20)(x, seeded()), x)


@pytest.mark.usefixtures("registries")
def test_a_function_from_outside_is_given_its_settings_in_their_order():
    @dataclass(frozen=True)
    class Clipped(Settings):
        lowest: float = -0.5
        highest: float = 0.5

    build = with_strengths(lambda x, _, lowest, highest: x.clip(lowest, highest))
    AUGMENTATIONS.register("clip", build, Clipped)
    view = augmenter(20, "clip")(noise(4, 1, 20), seeded())
    assert (view.min(), view.max()) == (-0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("window_crop", {"crop_fraction": 0.0}, "crop_fraction must be above 0"),
        ("window_warp", {"warp_fraction": 1.5}, "warp_fraction must lie between 0 and 1"),
        ("window_warp", {"warp_scales": ()}, "warp_scales must all lie above 0"),
        ("window_warp", {"warp_scales": (0.0,)}, "warp_scales must all lie above 0"),
        ("slice_and_shuffle", {"shuffle_slices": 0}, "shuffle_slices must be at least 1"),
        ("flip", {"flip_probability": 1.5}, "flip_probability must lie between 0 and 1"),
        ("jitter", {"jitter_std": -0.1}, "jitter_std must be at least 0"),
    ],
)
def test_strengths_that_cannot_work_are_errors(name, wrong, message):
    with pytest.raises(TwincodeError, match=message):
        AUGMENTATIONS.choose(name).replace(**wrong)
