"""Tokenizers by name. A new one is a file with a builder and a line here."""

from collections.abc import Callable

from twincode.config import Config
from twincode.errors import TwincodeError, unknown_name
from twincode.tokenizers.bands import Bands, build_bands
from twincode.tokenizers.contract import Output, Tokenizer
from twincode.tokenizers.contrastive import ContrastiveVAE, build_contrastive_vae
from twincode.tokenizers.encoder import SpectralEncoder, build_spectral_encoder
from twincode.tokenizers.plane import PlaneTokenizer, build_stft
from twincode.tokenizers.raw import RawSeries, build_raw_series
from twincode.tokenizers.vqvae import VQVAE, build_vqvae
from twincode.tokenizers.vqvae2 import VQVAE2, build_vqvae2

TOKENIZERS: dict[str, Callable[[Config, int, int], Tokenizer]] = {
    "vqvae": build_vqvae,
    "vqvae2": build_vqvae2,
    "bands": build_bands,
    "contrastive": build_contrastive_vae,
    "encoder": build_spectral_encoder,
    "raw": build_raw_series,
}

_SIZES = ("latent_channels", "downsampled_width", "top_width")


def build_tokenizer(config: Config, channels: int, length: int) -> Tokenizer:
    """The tokenizer a configuration names, for series of C channels and L steps.

    Weights are drawn from torch's global generator. Raises TwincodeError for an unknown name, for
    sizes that make no model, and for series too short for the transform.
    """
    sizes = config.tokenizer
    if sizes.tokenizer not in TOKENIZERS:
        raise unknown_name("tokenizer", sizes.tokenizer, TOKENIZERS)
    for name in _SIZES:
        if getattr(sizes, name) < 1:
            raise TwincodeError(f"{name} must be at least 1, not {getattr(sizes, name)}")
    if sizes.residual_blocks < 0:
        raise TwincodeError(f"residual_blocks must not be negative, not {sizes.residual_blocks}")
    return TOKENIZERS[sizes.tokenizer](config, channels, length)


__all__ = [
    "TOKENIZERS",
    "VQVAE",
    "VQVAE2",
    "Bands",
    "ContrastiveVAE",
    "Output",
    "PlaneTokenizer",
    "RawSeries",
    "SpectralEncoder",
    "Tokenizer",
    "build_stft",
    "build_tokenizer",
]
