"""Closed-form tokenizers: fitted in seconds, without gradients, at a number of bits a series."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Generator, Tensor

from twincode.closed_form import Coder, ComponentCoder, MixtureCoder, PatchCoder
from twincode.closed_form.mixture import FEWEST_BITS, RATES
from twincode.quantize import ClosedFormQuantizer, Layout
from twincode.tokenizers.series import SeriesTokenizer
from twincode.tokenizers.tokenizer import TokenizerSettings

MOST_BITS_PER_TOKEN = 16  # a codebook has two to the power of them codes


@dataclass(frozen=True)
class ClosedFormSettings(TokenizerSettings):
    """Fitted at once to all of train."""

    takes_steps: ClassVar[bool] = False


@dataclass(frozen=True)
class MixtureSettings(ClosedFormSettings):
    """Bits a series, which is how long codes are in the mean, or at most.

    ``rate`` is ``average``, where series that are hard to tell take more than ``bits`` and others
    fewer, or ``capped``, where none takes more. Windows of 0 ``window_steps`` and 0 ``modes``
    are chosen on a held-out part of train.
    """

    bits: int = 200
    rate: str = "average"
    window_steps: int = 0
    modes: int = 0

    def __post_init__(self) -> None:
        self.check_at_least(FEWEST_BITS, "bits")
        self.check_choice("rate", RATES)
        self.check_at_least(0, "window_steps", "modes")


@dataclass(frozen=True)
class StagesSettings(ClosedFormSettings):
    """Bits a series, bits a token, and how many partial codes encoding keeps (``beam``)."""

    bits: int = 200
    bits_per_token: int = 5
    beam: int = 8

    def __post_init__(self) -> None:
        self.check_at_least(1, "bits", "bits_per_token", "beam")
        self.check_at_most(MOST_BITS_PER_TOKEN, "bits_per_token")


@dataclass(frozen=True)
class ComponentSettings(StagesSettings):
    """Those, and how many principal components a token may see at most."""

    group_size: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "group_size")


@dataclass(frozen=True)
class PatchSettings(StagesSettings):
    """The same, for patches."""


class ClosedFormTokenizer(SeriesTokenizer):
    """Series under a coder; see ``twincode.closed_form``.

    Its codes do not depend on gradients, epochs or batches: all of train is read once.
    """

    quantizer: ClosedFormQuantizer

    @property
    def takes_any_length(self) -> bool:
        """Whether series of other lengths than train's can be encoded: not by components."""
        return self.quantizer.coder.takes_any_length

    def layout_of(self, length: int) -> Layout:
        """One grid for each codebook, as wide as it has tokens."""
        return self.quantizer.layout(length)

    @property
    def bits_per_series(self) -> float:
        """What was asked for: of ``mixture`` the mean over new series like those of train."""
        return float(self.quantizer.coder.bits)

    def bits_of(self, codes: Tensor) -> Tensor:
        """Bits (B,) that the codes (B, 1, W) of each series take, arithmetically coded or fixed."""
        return self.quantizer.bits_of(codes, self.length)

    def expected_shares(self, codes: Tensor) -> Tensor | None:
        """Those that codes (B, 1, W) are arithmetically coded with; None at a fixed length."""
        return self.quantizer.expected_shares(codes)

    def decode(self, codes: Tensor, length: int | None = None) -> Tensor:
        """The series (B, C, L) that codes (B, 1, W) stand for, of train's length by default."""
        if not self.takes_any_length:
            return super().decode(codes, length)
        return self.series(self.quantizer.lookup(codes, length))


def _fit_mixture(settings: MixtureSettings, x: Tensor, generator: Generator) -> Coder:
    window, modes = settings.window_steps or None, settings.modes or None
    return MixtureCoder.fit(x, settings.bits, generator, settings.rate, window, modes)


def _fit_components(settings: ComponentSettings, x: Tensor, generator: Generator) -> Coder:
    return ComponentCoder.fit(
        x, settings.bits, generator, settings.bits_per_token, settings.group_size, settings.beam
    )


def _fit_patches(settings: PatchSettings, x: Tensor, generator: Generator) -> Coder:
    return PatchCoder.fit(x, settings.bits, generator, settings.bits_per_token, settings.beam)


def _built_by(fit: Callable[..., Coder], coder: type[Coder]) -> Callable[..., ClosedFormTokenizer]:
    def build(
        settings: ClosedFormSettings, _quantizer: object, channels: int, length: int
    ) -> ClosedFormTokenizer:
        quantizer = ClosedFormQuantizer(partial(fit, settings), coder.from_state)
        return ClosedFormTokenizer(channels, length, quantizer)

    return build


# Windows, each in one of several modes with a transform of its own.
build_mixture = _built_by(_fit_mixture, MixtureCoder)
# Principal components and residual product k-means.
build_components = _built_by(_fit_components, ComponentCoder)
# Patches and residual k-means, codebooks shared over time.
build_patches = _built_by(_fit_patches, PatchCoder)
