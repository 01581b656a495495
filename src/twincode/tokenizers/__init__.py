"""Tokenizers by name. A new one is a file with its settings and a builder, and a line here."""

from functools import partial

import torch

from twincode.quantize import QUANTIZERS, Quantizer
from twincode.settings import Registry, Settings
from twincode.tokenizers.bands import Bands, BandsSettings, build_bands
from twincode.tokenizers.closed_form import (
    ClosedFormTokenizer,
    ComponentSettings,
    MixtureSettings,
    PatchSettings,
    build_components,
    build_mixture,
    build_patches,
)
from twincode.tokenizers.contrastive import (
    ContrastiveSettings,
    ContrastiveVAE,
    build_contrastive_vae,
)
from twincode.tokenizers.plane import PlaneTokenizer
from twincode.tokenizers.series import RawSettings, SeriesTokenizer, build_raw_series
from twincode.tokenizers.tokenizer import (
    Embedded,
    Output,
    Pairs,
    Tokenizer,
    TokenizerSettings,
    embed,
    frozen,
    settle,
)
from twincode.tokenizers.vqvae import (
    VQVAE,
    EncoderSettings,
    VQVAESettings,
    build_encoder,
    build_vqvae,
)
from twincode.tokenizers.vqvae2 import VQVAE2, VQVAE2Settings, build_vqvae2
from twincode.tokenizers.warm import Warm, WarmSettings, build_warm

# Each is built from its settings, what makes a quantiser of D latent channels, C and L.
TOKENIZERS: Registry[Tokenizer, TokenizerSettings] = Registry("tokenizer", TokenizerSettings)
TOKENIZERS.register("mixture", build_mixture, MixtureSettings)
TOKENIZERS.register("pca-pq", build_components, ComponentSettings)
TOKENIZERS.register("patch-rvq", build_patches, PatchSettings)
TOKENIZERS.register("vqvae", build_vqvae, VQVAESettings)
TOKENIZERS.register("vqvae2", build_vqvae2, VQVAE2Settings)
TOKENIZERS.register("bands", build_bands, BandsSettings)
TOKENIZERS.register("contrastive", build_contrastive_vae, ContrastiveSettings)
TOKENIZERS.register("encoder", build_encoder, EncoderSettings)
TOKENIZERS.register("raw", build_raw_series, RawSettings)
TOKENIZERS.register("warm", build_warm, WarmSettings)


def build_tokenizer(
    settings: Settings, quantizer: Settings | None, channels: int, length: int
) -> Tokenizer:
    """The tokenizer that settings describe, for series of C channels and L steps.

    ``quantizer`` is None for a tokenizer that takes none. Weights are drawn from torch's generator,
    or from what ``randomness.drawing_weights`` puts in its place. Raises TwincodeError for sizes
    that make no model and for series too short for the transform.
    """
    make_quantizer = None if quantizer is None else partial(_quantizer, quantizer)
    tokenizer = TOKENIZERS.build(settings, make_quantizer, channels, length)
    # Channels last is how convolutions run fastest, here and on accelerators.
    tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return tokenizer


def _quantizer(settings: Settings, latent_channels: int) -> Quantizer:
    return QUANTIZERS.build(settings, latent_channels)


__all__ = [
    "TOKENIZERS",
    "VQVAE",
    "VQVAE2",
    "Bands",
    "ClosedFormTokenizer",
    "ContrastiveVAE",
    "Embedded",
    "Output",
    "Pairs",
    "PlaneTokenizer",
    "SeriesTokenizer",
    "Tokenizer",
    "TokenizerSettings",
    "Warm",
    "build_tokenizer",
    "embed",
    "frozen",
    "settle",
]
