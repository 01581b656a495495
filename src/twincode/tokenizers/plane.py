"""What tokenizers on the time-frequency plane have in common."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from twincode.nets import Decoder, Encoder, count_downsamplings
from twincode.quantize import Layout, Quantized, Quantizer
from twincode.spectral import STFT, check_transform
from twincode.tokenizers.tokenizer import Output, Pairs, Tokenizer, TokenizerSettings


@dataclass(frozen=True)
class PlaneSettings(TokenizerSettings):
    """The transform, and the sizes of encoder and decoder."""

    n_fft: int = 8
    hop_length: int = 2
    window: str = "rectangular"
    latent_channels: int = 64
    residual_blocks: int = 4
    takes_quantizer: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_transform(self.n_fft, self.hop_length, self.window)
        self.check_at_least(1, "latent_channels")
        self.check_at_least(0, "residual_blocks")


class PlaneTokenizer(Tokenizer):
    """x -> STFT -> u -> encoder -> z -> quantiser -> z_q -> decoder -> u_hat -> ISTFT -> x_hat.

    A member says how a plane becomes latents (``_encode``) and how quantised latents become a
    plane (``_decode``); where they are quantised on the way, or other pairs are compared, it says
    that too. Latents have D = ``latent_channels`` and are ``width`` columns wide.
    """

    def __init__(
        self, stft: STFT, quantizer: Quantizer, channels: int, latent_channels: int, width: int
    ) -> None:
        super().__init__()
        self.channels = channels
        self.length = stft.length
        self.latent_channels = latent_channels
        self.layout = _read_by(stft, quantizer.layout(width))
        self.grid = (stft.frequencies, self.layout.width or width)
        self.stft = stft

    @property
    def transform(self) -> STFT:
        """The transform to the plane."""
        return self.stft

    def forward(
        self, x: Tensor, twin: Tensor | None = None, background: Tensor | None = None
    ) -> Output:
        """Encode both views in one pass; quantise and, where it can be, decode the upper one."""
        z, twin_z, quantized = self._quantise(x, twin, background)
        if not self.has_decoder:
            return Output(None, z, twin_z, quantized.codes, quantized.loss, {})
        u_hat = self._decode(quantized.latents)
        x_hat = self.stft.inverse(u_hat)
        pairs = self._pairs(x, x_hat, u_hat)
        return Output(x_hat, z, twin_z, quantized.codes, quantized.loss, pairs)

    def latents(self, x: Tensor, views: int = 1) -> Tensor:
        """Continuous latents z (B, D, H, W) of x, in the mode it is in."""
        return self._encode(self.stft(x), views)

    def series(self, latents: Tensor) -> Tensor:
        """The series (B, C, L) that quantised latents stand for, in the mode it is in."""
        return self.stft.inverse(self._decode(latents))

    def _compare(self, x: Tensor, latents: Tensor) -> Pairs:
        """The whole series and the whole plane, whatever training compares."""
        u_hat = self._decode(latents)
        return PlaneTokenizer._pairs(self, x, self.stft.inverse(u_hat), u_hat)

    def _encode(self, u: Tensor, views: int) -> Tensor:
        """Continuous latents (views * B, D, H, W) of planes u (views * B, 2C, F, T)."""
        raise NotImplementedError

    def _decode(self, z_q: Tensor) -> Tensor:
        """The plane u_hat (B, 2C, F, T) that quantised latents (B, D, H, W) stand for."""
        raise NotImplementedError

    def _quantise(
        self, x: Tensor, twin: Tensor | None, background: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Quantized]:
        """Latents of x, those of its twin where there is one, and x's quantised."""
        del background
        z, twin_z = self._both(x, twin)
        return z, twin_z, self.quantizer(z)

    def _both(self, x: Tensor, twin: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Latents of x, and those of its twin where there is one, in one pass."""
        if twin is None:
            return self.latents(x), None
        z, twin_z = self.latents(torch.cat([x, twin]), views=2).chunk(2)
        return z, twin_z

    def _pairs(self, x: Tensor, x_hat: Tensor, u_hat: Tensor) -> Pairs:
        """What the reconstruction loss compares (eq. 4.12)."""
        return {"time": (x, x_hat), "frequency": (self.stft(x), u_hat)}


def _read_by(stft: STFT, layout: Layout) -> Layout:
    """Grids whose columns are 2^h frames, as an encoder that halves time h times reads them.

    What is left of the frames is fewer than a column; a decoder stretches it over all.
    """
    grids = []
    for grid in layout.grids:
        frames = 1 << (stft.frames // grid.width).bit_length() - 1
        grids.append(replace(grid, read=stft.length / (frames * stft.hop_length)))
    return Layout(tuple(grids))


class PlaneParts:
    """Makes the parts of a tokenizer on the plane of series of C channels and L steps.

    Their sizes are the settings'; how often an encoder halves time, and its decoder doubles it, is
    each tokenizer's to say. ``quantizer`` makes a quantiser of D latent channels.
    """

    def __init__(
        self,
        settings: PlaneSettings,
        quantizer: Callable[[int], Quantizer],
        channels: int,
        length: int,
    ) -> None:
        self.settings = settings
        self.channels = channels
        self.stft = STFT(length, settings.n_fft, settings.hop_length, settings.window)
        self._quantizer = quantizer

    def halvings(self, width: int) -> int:
        """How often time is halved to a grid about ``width`` wide."""
        return count_downsamplings(self.stft.frames, width)

    def encoder(self, halvings: int) -> Encoder:
        """An encoder of the plane."""
        own = self.settings
        return Encoder(2 * self.channels, own.latent_channels, halvings, own.residual_blocks)

    def quantizer(self) -> Quantizer:
        """A quantiser of latents."""
        return self._quantizer(self.settings.latent_channels)

    def decoder(self, halvings: int) -> Decoder:
        """A decoder of the latents of an encoder with so many halvings."""
        own, size = self.settings, self.stft.size
        return Decoder(2 * self.channels, own.latent_channels, halvings, own.residual_blocks, size)
