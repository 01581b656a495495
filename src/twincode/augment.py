"""Augmentations: pure functions on a whole batch, on its device, seeded through a generator.

Each takes x (B, C, L) and a ``torch.Generator`` on the same device and returns a new tensor of the
same shape; the input is left alone. Flip, jitter, amplitude, slope and phase are the
thesis's (section 4.4.3), ``trend`` is our form of ``slope``, the others come from follow-up work by
the same authors. A generator in the same state gives the same views.
A new one is a function, its settings and a line at the end.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass

import torch
from torch import Generator, Tensor

from twincode.errors import TwincodeError
from twincode.settings import Registry, Settings
from twincode.spectral import STFT

# Slices and windows shorter than this would leave nothing to move.
_SHORTEST_WINDOW = 2


def flip(x: Tensor, generator: Generator, probability: float = 0.5) -> Tensor:
    """Reverse time, for each series with the given probability.

    Not for classes that are told apart by the order of events.
    """
    chosen = _uniform(x, (len(x), 1, 1), generator) < probability
    return torch.where(chosen, x.flip(-1), x)


def jitter(x: Tensor, generator: Generator, std: float = 0.1) -> Tensor:
    """Add Gaussian noise of one standard deviation, in the units of the scaled series."""
    return x + std * _normal(x, x.shape, generator)


def amplitude_resize(x: Tensor, generator: Generator, std: float = 0.1) -> Tensor:
    """Multiply each channel of each series by 1 + N(0, std)."""
    return x * (1 + std * _normal(x, (*x.shape[:2], 1), generator))


def trend(x: Tensor, generator: Generator, rise: float = 1.0) -> Tensor:
    """Add a linear trend about 0 to each channel, its rise over the series uniform in +-``rise``.

    In the units of the scaled series, standard deviations, whatever their length.
    """
    rises = rise * (2 * _uniform(x, (*x.shape[:2], 1), generator) - 1)
    return x + rises * torch.linspace(-0.5, 0.5, x.shape[-1], device=x.device, dtype=x.dtype)


def slope(x: Tensor, generator: Generator, rate: float = 0.01) -> Tensor:
    """Add a linear trend to each channel, its rate per step uniform in +-``rate``.

    The thesis's form of ``trend``: it begins at 0 and grows with length.
    """
    rates = rate * (2 * _uniform(x, (*x.shape[:2], 1), generator) - 1)
    return x + rates * torch.arange(x.shape[-1], device=x.device, dtype=x.dtype)


def phase(
    x: Tensor,
    generator: Generator,
    stft: STFT,
    phase_range: float = torch.pi / 4,
) -> Tensor:
    """Move the phase of every time-frequency bin by uniform noise within +-``phase_range``.

    Magnitudes are kept; the series is resynthesised from the changed transform.
    """
    real, imaginary = stft(x).chunk(2, dim=1)
    angle = phase_range * (2 * _uniform(x, real.shape, generator) - 1)
    cos, sin = torch.cos(angle), torch.sin(angle)
    turned = torch.cat([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=1)
    return stft.inverse(turned)


def window_warp(
    x: Tensor,
    generator: Generator,
    fraction: float = 0.1,
    scales: Sequence[float] = (0.5, 2.0),
) -> Tensor:
    """Stretch or squeeze one random window of each series, then resize to the old length.

    The window takes ``fraction`` of the series; its scale is drawn from ``scales`` (Wen et al.,
    2021).
    """
    B, _, L = x.shape
    window = min(max(_SHORTEST_WINDOW, round(fraction * L)), L - 1)
    choice = torch.randint(len(scales), (B, 1), generator=generator, device=x.device)
    scale = torch.tensor(scales, device=x.device, dtype=x.dtype)[choice]
    start = (L - 1 - window) * _uniform(x, (B, 1), generator)
    duration = L - 1 + window * (scale - 1)
    time = duration * torch.linspace(0, 1, L, device=x.device, dtype=x.dtype)
    before = time.minimum(start)
    inside = (time - start).clamp(min=0).minimum(window * scale) / scale
    after = (time - start - window * scale).clamp(min=0)
    return _sample(x, before + inside + after)


def slice_and_shuffle(x: Tensor, generator: Generator, slices: int = 4) -> Tensor:
    """Cut each series into ``slices`` pieces at random points and put them in random order."""
    B, _, L = x.shape
    slices = min(slices, L)
    cuts = _uniform(x, (B, L - 1), generator).argsort(dim=1)[:, : slices - 1] + 1
    step = torch.arange(L, device=x.device)
    piece = (step >= cuts[..., None]).sum(dim=1)  # (B, L): which piece each step lies in
    order = _uniform(x, (B, slices), generator)
    source = order.gather(1, piece).argsort(dim=1, stable=True)
    return x.gather(2, source[:, None].expand_as(x))


def window_crop(x: Tensor, generator: Generator, fraction: float = 0.9) -> Tensor:
    """Keep a random window holding ``fraction`` of each series and resize it to length L."""
    B, _, L = x.shape
    window = max(_SHORTEST_WINDOW, round(fraction * L))
    start = (L - window) * _uniform(x, (B, 1), generator)
    return _sample(x, start + torch.linspace(0, window - 1, L, device=x.device, dtype=x.dtype))


def move(x: Tensor, generator: Generator, std: float = 0.015) -> Tensor:
    """Move each series in time and stretch it about its middle, both by N(0, std) of its length.

    What lies beyond an end has the value of that end.
    """
    L = x.shape[-1]
    shift, stretch = std * _normal(x, (2, len(x), 1), generator)
    time = torch.linspace(-0.5, 0.5, L, device=x.device, dtype=x.dtype)
    return _sample(x, (0.5 + shift + (1 + stretch) * time) * (L - 1))


def gaussian_noise(x: Tensor, generator: Generator, level: float = 0.05) -> Tensor:
    """Add Gaussian noise at ``level`` times the standard deviation of each channel.

    Unlike ``jitter``, which is the same for all, a faint series gets faint noise.
    """
    spread = x.std(dim=-1, keepdim=True, correction=0)
    return x + level * spread * _normal(x, x.shape, generator)


def _uniform(x: Tensor, shape: Iterable[int], generator: Generator) -> Tensor:
    return torch.rand(tuple(shape), generator=generator, device=x.device, dtype=x.dtype)


def _normal(x: Tensor, shape: Iterable[int], generator: Generator) -> Tensor:
    return torch.randn(tuple(shape), generator=generator, device=x.device, dtype=x.dtype)


def _sample(x: Tensor, position: Tensor) -> Tensor:
    """Read x (B, C, L) at fractional positions (B, L), linearly interpolated."""
    L = x.shape[-1]
    position = position.clamp(0, L - 1)
    left = position.floor().clamp(max=max(L - 2, 0)).long()
    share = (position - left)[:, None]
    left = left[:, None].expand_as(x)
    right = (left + 1).clamp(max=L - 1)  # the same where a series is one step
    return x.gather(2, left) * (1 - share) + x.gather(2, right) * share


@dataclass(frozen=True)
class FlipSettings(Settings):
    """How likely a series is reversed."""

    flip_probability: float = 0.5

    def __post_init__(self) -> None:
        self.check_fraction("flip_probability")


@dataclass(frozen=True)
class JitterSettings(Settings):
    """The standard deviation of the noise."""

    jitter_std: float = 0.1

    def __post_init__(self) -> None:
        self.check_at_least(0, "jitter_std")


@dataclass(frozen=True)
class AmplitudeSettings(Settings):
    """The standard deviation of the factor."""

    amplitude_std: float = 0.1

    def __post_init__(self) -> None:
        self.check_at_least(0, "amplitude_std")


@dataclass(frozen=True)
class TrendSettings(Settings):
    """The largest rise over a series, in standard deviations of the train set."""

    trend_rise: float = 1.0

    def __post_init__(self) -> None:
        self.check_at_least(0, "trend_rise")


@dataclass(frozen=True)
class SlopeSettings(Settings):
    """The steepest trend, per step."""

    slope_rate: float = 0.01

    def __post_init__(self) -> None:
        self.check_at_least(0, "slope_rate")


@dataclass(frozen=True)
class PhaseSettings(Settings):
    """The largest turn, in radians."""

    phase_range: float = math.pi / 4

    def __post_init__(self) -> None:
        self.check_at_least(0, "phase_range")


@dataclass(frozen=True)
class WarpSettings(Settings):
    """The window's share of the series, and the scales to draw from."""

    warp_fraction: float = 0.1
    warp_scales: tuple[float, ...] = (0.5, 2.0)

    def __post_init__(self) -> None:
        self.check_above(0, "warp_fraction")
        self.check_fraction("warp_fraction")
        if not self.warp_scales or min(self.warp_scales) <= 0:
            raise TwincodeError(f"warp_scales must all lie above 0, not {self.warp_scales}")


@dataclass(frozen=True)
class ShuffleSettings(Settings):
    """The number of pieces."""

    shuffle_slices: int = 4

    def __post_init__(self) -> None:
        self.check_at_least(1, "shuffle_slices")


@dataclass(frozen=True)
class CropSettings(Settings):
    """The window's share of the series."""

    crop_fraction: float = 0.9

    def __post_init__(self) -> None:
        self.check_above(0, "crop_fraction")
        self.check_fraction("crop_fraction")


@dataclass(frozen=True)
class MoveSettings(Settings):
    """The standard deviation of shift and stretch, as a share of the series."""

    move_std: float = 0.015

    def __post_init__(self) -> None:
        self.check_at_least(0, "move_std")


@dataclass(frozen=True)
class NoiseSettings(Settings):
    """The noise as a multiple of the channel's standard deviation."""

    noise_level: float = 0.05

    def __post_init__(self) -> None:
        self.check_at_least(0, "noise_level")


Augmentation = Callable[[Tensor, Generator], Tensor]


def with_strengths(function: Callable[..., Tensor]) -> Callable[[Settings, STFT], Augmentation]:
    """What builds an augmentation of a function of x, a generator and its settings in their order.

    For one that needs no transform.
    """
    return lambda settings, _stft: lambda x, generator: function(x, generator, *astuple(settings))


# Each is built from its settings and the transform of the series.
AUGMENTATIONS: Registry[Augmentation, Settings] = Registry("augmentation", Settings)
AUGMENTATIONS.register("flip", with_strengths(flip), FlipSettings)
AUGMENTATIONS.register("jitter", with_strengths(jitter), JitterSettings)
AUGMENTATIONS.register("amplitude_resize", with_strengths(amplitude_resize), AmplitudeSettings)
AUGMENTATIONS.register("trend", with_strengths(trend), TrendSettings)
AUGMENTATIONS.register("slope", with_strengths(slope), SlopeSettings)
AUGMENTATIONS.register(
    "phase", lambda own, stft: lambda x, g: phase(x, g, stft, own.phase_range), PhaseSettings
)
AUGMENTATIONS.register("window_warp", with_strengths(window_warp), WarpSettings)
AUGMENTATIONS.register("slice_and_shuffle", with_strengths(slice_and_shuffle), ShuffleSettings)
AUGMENTATIONS.register("window_crop", with_strengths(window_crop), CropSettings)
AUGMENTATIONS.register("move", with_strengths(move), MoveSettings)
AUGMENTATIONS.register("gaussian_noise", with_strengths(gaussian_noise), NoiseSettings)
USUAL_AUGMENTATIONS = ("flip", "jitter", "amplitude_resize", "trend", "phase")


class Augmenter:
    """Augmentations applied one after another, by their settings.

    ``stft`` is the transform that ``phase`` works on, for series of the same length; None will do
    where nothing is chosen.
    """

    def __init__(self, chosen: Sequence[Settings], stft: STFT | None) -> None:
        self.steps = [(own.name, AUGMENTATIONS.build(own, stft)) for own in chosen]

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """One view (B, C, L) of x (B, C, L)."""
        for _, augmentation in self.steps:
            x = augmentation(x, generator)
        return x
