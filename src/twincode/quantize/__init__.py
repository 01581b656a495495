"""Quantisers by name. A new one is a file with its settings and a Quantizer, and a line here."""

from twincode.quantize.closed_form import ClosedFormQuantizer
from twincode.quantize.finite_scalar import FiniteScalarQuantizer, FiniteScalarSettings
from twincode.quantize.gaussian import GaussianBottleneck, GaussianSettings
from twincode.quantize.grids import Grid, Layout, side_by_side
from twincode.quantize.identity import Identity
from twincode.quantize.product import ProductQuantizer, ProductSettings
from twincode.quantize.quantizer import Quantized, Quantizer
from twincode.quantize.regions import Regions
from twincode.quantize.residual import ResidualQuantizer, ResidualSettings
from twincode.quantize.vector import CodebookSettings, VectorQuantizer
from twincode.settings import Registry, Settings

# Each is built from its settings and the number D of latent channels.
QUANTIZERS: Registry[Quantizer, Settings] = Registry("quantizer", Settings)
QUANTIZERS.register("vq", VectorQuantizer, CodebookSettings)
QUANTIZERS.register("residual", ResidualQuantizer, ResidualSettings)
QUANTIZERS.register("product", ProductQuantizer, ProductSettings)
QUANTIZERS.register("fsq", FiniteScalarQuantizer, FiniteScalarSettings)
QUANTIZERS.register("gaussian", GaussianBottleneck, GaussianSettings)
QUANTIZERS.register("identity", Identity)

__all__ = [
    "QUANTIZERS",
    "ClosedFormQuantizer",
    "CodebookSettings",
    "FiniteScalarQuantizer",
    "FiniteScalarSettings",
    "GaussianBottleneck",
    "GaussianSettings",
    "Grid",
    "Identity",
    "Layout",
    "ProductQuantizer",
    "ProductSettings",
    "Quantized",
    "Quantizer",
    "Regions",
    "ResidualQuantizer",
    "ResidualSettings",
    "VectorQuantizer",
    "side_by_side",
]
