"""The encoder alone, without a decoder: what a twin loss teaches by itself."""

from torch import Tensor

from twincode.config import Config
from twincode.nets import Encoder
from twincode.quantize import Quantizer
from twincode.spectral import STFT
from twincode.tokenizers.plane import PlaneParts, PlaneTokenizer


class SpectralEncoder(PlaneTokenizer):
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
        super().__init__(channels, stft, grid, latent_channels)
        self.encoder = encoder
        self.quantizer = quantizer

    def _encode(self, u: Tensor, views: int = 1) -> Tensor:
        return self.encoder(u, views)


def build_spectral_encoder(config: Config, channels: int, length: int) -> SpectralEncoder:
    """The encoder a configuration describes, for series of C channels and L steps."""
    parts, sizes = PlaneParts(config, channels, length), config.tokenizer
    halvings = parts.halvings(sizes.downsampled_width)
    encoder, quantizer = parts.encoder(halvings), parts.quantizer()
    grid = parts.grid(halvings, quantizer)
    return SpectralEncoder(channels, parts.stft, encoder, quantizer, grid, sizes.latent_channels)
