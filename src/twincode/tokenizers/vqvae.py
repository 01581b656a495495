"""The naive VQ-VAE on the time-frequency plane (thesis section 4.3; after Lee et al., 2023)."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from twincode.nets import Decoder, Encoder
from twincode.quantize import Quantizer
from twincode.spectral import STFT
from twincode.tokenizers.plane import PlaneParts, PlaneSettings, PlaneTokenizer


@dataclass(frozen=True)
class VQVAESettings(PlaneSettings):
    """Those of the plane, and how wide the grid is to be, as nearly as halving allows."""

    downsampled_width: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "downsampled_width")


@dataclass(frozen=True)
class EncoderSettings(VQVAESettings):
    """The same, without a decoder."""


class VQVAE(PlaneTokenizer):
    """One encoder, one quantiser, one decoder.

    BT-VQVAE is this tokenizer under another objective: the two views meet only in the loss. Without
    a decoder it is the encoder alone; with the quantiser ``identity`` and a twin loss that is the
    classic self-supervised encoder.
    """

    def __init__(
        self,
        stft: STFT,
        encoder: Encoder,
        quantizer: Quantizer,
        decoder: Decoder | None = None,
    ) -> None:
        C, D = encoder.in_channels // 2, encoder.latent_channels
        super().__init__(stft, quantizer, C, D, encoder.width(stft.frames))
        self.has_decoder = decoder is not None
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder

    def _encode(self, u: Tensor, views: int) -> Tensor:
        return self.encoder(u, views)

    def _decode(self, z_q: Tensor) -> Tensor:
        assert self.decoder is not None  # callers ask has_decoder
        return self.decoder(z_q)


def build_vqvae(
    settings: VQVAESettings, quantizer: Callable[[int], Quantizer], channels: int, length: int
) -> VQVAE:
    """The VQ-VAE the settings describe, for series of C channels and L steps."""
    parts = PlaneParts(settings, quantizer, channels, length)
    halvings = parts.halvings(settings.downsampled_width)
    return VQVAE(parts.stft, parts.encoder(halvings), parts.quantizer(), parts.decoder(halvings))


def build_encoder(
    settings: VQVAESettings, quantizer: Callable[[int], Quantizer], channels: int, length: int
) -> VQVAE:
    """The same without a decoder."""
    parts = PlaneParts(settings, quantizer, channels, length)
    halvings = parts.halvings(settings.downsampled_width)
    return VQVAE(parts.stft, parts.encoder(halvings), parts.quantizer())
