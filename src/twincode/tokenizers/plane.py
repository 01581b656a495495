"""What tokenizers on the time-frequency plane have in common."""

import torch
from torch import Tensor

from twincode.config import Config, TokenizerConfig
from twincode.nets import Decoder, Encoder, count_downsamplings, grid_width
from twincode.quantize import Quantized, Quantizer, build_quantizer
from twincode.spectral import STFT
from twincode.tokenizers.contract import Output, Pairs, Tokenizer


class PlaneTokenizer(Tokenizer):
    """x -> STFT -> u -> encoder -> z -> quantiser -> z_q -> decoder -> u_hat -> ISTFT -> x_hat.

    A member says how a plane becomes latents (``_encode``) and how quantised latents become a
    plane (``_decode``); where they are quantised on the way, or other pairs are compared, it says
    that too.
    """

    def __init__(
        self, channels: int, stft: STFT, grid: tuple[int, int], latent_channels: int
    ) -> None:
        super().__init__()
        self.channels = channels
        self.length = stft.length
        self.grid = grid
        self.latent_channels = latent_channels
        self.stft = stft

    def forward(self, x: Tensor, twin: Tensor | None = None) -> Output:
        """Encode both views in one pass; quantise and, where it can be, decode the upper one."""
        return self._output(x, *self._quantised(x, twin))

    def view_latents(self, x: Tensor, twin: Tensor) -> tuple[Tensor, Tensor]:
        """Both views through the encoder at once, batch statistics view by view."""
        z, twin_z = self._encode(self.stft(torch.cat([x, twin])), views=2).chunk(2)
        return z, twin_z

    def _output(
        self, x: Tensor, z: Tensor, twin_latents: Tensor | None, quantized: Quantized
    ) -> Output:
        """What a pass over x yields, once its latents z are quantised."""
        if not self.has_decoder:
            return Output(None, z, twin_latents, quantized.codes, quantized.loss, {})
        u_hat = self._decode(quantized.latents)
        x_hat = self.stft.inverse(u_hat)
        pairs = self._pairs(x, x_hat, u_hat)
        return Output(x_hat, z, twin_latents, quantized.codes, quantized.loss, pairs)

    def _encode(self, u: Tensor, views: int = 1) -> Tensor:
        """Continuous latents (views * B, D, H, W) of planes u (views * B, 2C, F, T)."""
        raise NotImplementedError

    def _decode(self, z_q: Tensor) -> Tensor:
        """The plane u_hat (B, 2C, F, T) that quantised latents (B, D, H, W) stand for."""
        raise NotImplementedError

    def _quantised(self, x: Tensor, twin: Tensor | None) -> tuple[Tensor, Tensor | None, Quantized]:
        """Latents of x, those of its twin where there is one, and x's quantised."""
        z, twin_z = self._one_or_two(x, twin)
        return z, twin_z, self.quantizer(z)

    def _one_or_two(self, x: Tensor, twin: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Latents of x, and those of its twin where there is one."""
        return (self._latents(x), None) if twin is None else self.view_latents(x, twin)

    def _pairs(self, x: Tensor, x_hat: Tensor, u_hat: Tensor) -> Pairs:
        """What the reconstruction loss compares (eq. 4.12)."""
        return {"time": (x, x_hat), "frequency": (self.stft(x), u_hat)}

    def _latents(self, x: Tensor) -> Tensor:
        return self._encode(self.stft(x))

    def _series(self, latents: Tensor) -> Tensor:
        return self.stft.inverse(self._decode(latents))


class PlaneParts:
    """Makes the parts of a tokenizer on the plane of series of C channels and L steps.

    Their sizes are the configuration's; how often an encoder halves time, and its decoder doubles
    it, is each tokenizer's to say.
    """

    def __init__(self, config: Config, channels: int, length: int) -> None:
        self.config = config
        self.channels = channels
        self.stft = build_stft(config.tokenizer, length)

    def halvings(self, width: int) -> int:
        """How often time is halved to a grid about ``width`` wide."""
        return count_downsamplings(self.stft.frames, width)

    def width(self, halvings: int) -> int:
        """How wide a grid of latents is after so many halvings."""
        return grid_width(self.stft.frames, halvings)

    def grid(self, halvings: int, quantizer: Quantizer) -> tuple[int, int]:
        """The grid of codes (H, W) that the quantiser makes of such latents."""
        return self.stft.frequencies, self.width(halvings) * quantizer.codes_per_latent

    def encoder(self, halvings: int) -> Encoder:
        """An encoder of the plane."""
        sizes = self.config.tokenizer
        return Encoder(2 * self.channels, sizes.latent_channels, halvings, sizes.residual_blocks)

    def quantizer(self) -> Quantizer:
        """A quantiser of latents."""
        return build_quantizer(self.config.quantizer, self.config.tokenizer.latent_channels)

    def decoder(self, halvings: int) -> Decoder:
        """A decoder of the latents of an encoder with so many halvings."""
        sizes = self.config.tokenizer
        width, blocks = sizes.latent_channels, sizes.residual_blocks
        return Decoder(2 * self.channels, width, halvings, blocks, self.stft.size)


def build_stft(sizes: TokenizerConfig, length: int) -> STFT:
    """The transform a configuration describes, for series of L steps."""
    return STFT(length, sizes.n_fft, sizes.hop_length, sizes.window)
