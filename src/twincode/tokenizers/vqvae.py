"""The naive VQ-VAE on the time-frequency plane (thesis section 4.3; after Lee et al., 2023)."""

from torch import Tensor

from twincode.config import Config
from twincode.nets import Decoder, Encoder
from twincode.quantize import Quantizer
from twincode.spectral import STFT
from twincode.tokenizers.encoder import SpectralEncoder
from twincode.tokenizers.plane import PlaneParts


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
    parts, sizes = PlaneParts(config, channels, length), config.tokenizer
    halvings = parts.halvings(sizes.downsampled_width)
    encoder, quantizer, decoder = (
        parts.encoder(halvings),
        parts.quantizer(),
        parts.decoder(halvings),
    )
    return VQVAE(
        channels,
        parts.stft,
        encoder,
        quantizer,
        decoder,
        grid=parts.grid(halvings, quantizer),
        latent_channels=sizes.latent_channels,
    )
