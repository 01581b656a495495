"""The naive VQ-VAE on the time-frequency plane (thesis section 4.3; after Lee et al., 2023)."""

from torch import Tensor

from twincode.config import Config
from twincode.nets import Decoder, Encoder, count_downsamplings, grid_width
from twincode.quantize import Quantizer, build_quantizer
from twincode.spectral import STFT
from twincode.tokenizers.encoder import SpectralEncoder
from twincode.tokenizers.plane import build_stft


class VQVAE(SpectralEncoder):
    """One encoder, one quantiser and, beyond the encoder alone, one decoder.

    BT-VQVAE is this tokenizer under another objective: the two views meet only in the loss.
    """

    has_decoder = True

    def __init__(
        self,
        channels: int,
        stft: STFT,
        encoder: Encoder,
        quantizer: Quantizer,
        decoder: Decoder,
        grid: tuple[int, int],
        latent_channels: int,
    ) -> None:
        super().__init__(channels, stft, encoder, quantizer, grid, latent_channels)
        self.decoder = decoder

    def _decode(self, z_q: Tensor) -> Tensor:
        return self.decoder(z_q)


def build_vqvae(config: Config, channels: int, length: int) -> VQVAE:
    """The VQ-VAE a configuration describes, for series of C channels and L steps."""
    sizes = config.tokenizer
    stft = build_stft(sizes, length)
    halvings = count_downsamplings(stft.frames, sizes.downsampled_width)
    D, blocks = sizes.latent_channels, sizes.residual_blocks
    encoder = Encoder(2 * channels, D, halvings, blocks)
    quantizer = build_quantizer(config.quantizer, D)
    width = grid_width(stft.frames, halvings) * quantizer.codes_per_latent
    return VQVAE(
        channels,
        stft,
        encoder,
        quantizer,
        Decoder(2 * channels, D, halvings, blocks, stft.size),
        grid=(stft.frequencies, width),
        latent_channels=D,
    )
