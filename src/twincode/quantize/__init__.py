"""Quantisers by name. A new one is a file with a Quantizer and a line here."""

from collections.abc import Callable

from twincode.config import QuantizerConfig
from twincode.errors import unknown_name
from twincode.quantize.contract import Quantized, Quantizer
from twincode.quantize.finite_scalar import FiniteScalarQuantizer
from twincode.quantize.gaussian import GaussianBottleneck
from twincode.quantize.identity import Identity
from twincode.quantize.product import ProductQuantizer
from twincode.quantize.regions import Regions
from twincode.quantize.residual import ResidualQuantizer
from twincode.quantize.side_by_side import SideBySide, check_codes, join_codes, split_codes
from twincode.quantize.vector import VectorQuantizer

QUANTIZERS: dict[str, Callable[[QuantizerConfig, int], Quantizer]] = {
    "vq": VectorQuantizer,
    "residual": ResidualQuantizer,
    "product": ProductQuantizer,
    "fsq": FiniteScalarQuantizer,
    "gaussian": GaussianBottleneck,
    "identity": lambda _config, _latent_channels: Identity(),
}


def build_quantizer(config: QuantizerConfig, latent_channels: int) -> Quantizer:
    """The quantiser a configuration names, for latents of D channels."""
    if config.quantizer not in QUANTIZERS:
        raise unknown_name("quantizer", config.quantizer, QUANTIZERS)
    return QUANTIZERS[config.quantizer](config, latent_channels)


__all__ = [
    "QUANTIZERS",
    "FiniteScalarQuantizer",
    "GaussianBottleneck",
    "Identity",
    "ProductQuantizer",
    "Quantized",
    "Quantizer",
    "Regions",
    "ResidualQuantizer",
    "SideBySide",
    "VectorQuantizer",
    "build_quantizer",
    "check_codes",
    "join_codes",
    "split_codes",
]
