"""The encoder alone, without a decoder: what a twin loss teaches by itself."""

import torch
from torch import Tensor

from twincode.config import Config
from twincode.nets import Encoder, count_downsamplings, grid_width
from twincode.quantize import Quantizer, build_quantizer
from twincode.spectral import STFT
from twincode.tokenizers.contract import Output, Tokenizer


class SpectralEncoder(Tokenizer):
    """x -> STFT -> u -> encoder -> z -> quantiser, and no way back.

    With the quantiser ``identity`` and a twin loss it is the classic self-supervised encoder.
    """

    has_decoder = False

    def __init__(
        self,
        channels: int,
        stft: STFT,
        encoder: Encoder,
        quantizer: Quantizer,
        grid: tuple[int, int],
        latent_channels: int,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.length = stft.length
        self.grid = grid
        self.latent_channels = latent_channels
        self.stft = stft
        self.encoder = encoder
        self.quantizer = quantizer

    def forward(self, x: Tensor, twin: Tensor | None = None) -> Output:
        """Encode both views in one pass and quantise the upper one; nothing is reconstructed."""
        z, twin_latents = self._both_latents(x, twin)
        _, codes, vq_loss = self.quantizer(z)
        return Output(None, z, twin_latents, codes, vq_loss, {})

    def view_latents(self, x: Tensor, twin: Tensor) -> tuple[Tensor, Tensor]:
        """Both views through the encoder at once, batch statistics view by view."""
        z, twin_z = self.encoder(self.stft(torch.cat([x, twin])), views=2).chunk(2)
        return z, twin_z

    def _both_latents(self, x: Tensor, twin: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return (self._latents(x), None) if twin is None else self.view_latents(x, twin)

    def _latents(self, x: Tensor) -> Tensor:
        return self.encoder(self.stft(x))


def build_spectral_encoder(config: Config, channels: int, length: int) -> SpectralEncoder:
    """The encoder a configuration describes, for series of C channels and L steps."""
    sizes = config.tokenizer
    stft = STFT(length, sizes.n_fft, sizes.hop_length, sizes.window)
    halvings = count_downsamplings(stft.frames, sizes.downsampled_width)
    encoder = Encoder(2 * channels, sizes.latent_channels, halvings, sizes.residual_blocks)
    quantizer = build_quantizer(config.quantizer, sizes.latent_channels)
    width = grid_width(stft.frames, halvings) * quantizer.codes_per_latent
    return SpectralEncoder(
        channels,
        stft,
        encoder,
        quantizer,
        grid=(stft.frequencies, width),
        latent_channels=sizes.latent_channels,
    )
