"""Judging a frozen tokenizer. A new metric is a file with its Evaluator, and a line here."""

from twincode.evaluate.clusters import Clusters, ClustersSettings
from twincode.evaluate.codebook import Codebook
from twincode.evaluate.dimension import Dimension, DimensionSettings
from twincode.evaluate.evaluator import declared_metrics, evaluate_tokenizer
from twincode.evaluate.exhibits import augmentation_exhibit, make_exhibits
from twincode.evaluate.kernels import Kernels, KernelsSettings
from twincode.evaluate.metric import METRICS, Evaluator, Features, Judged, Measurement, Metric
from twincode.evaluate.posterior import Posterior
from twincode.evaluate.rate import Rate
from twincode.evaluate.readout import READOUTS, readout_features
from twincode.evaluate.reconstruction import Reconstruction, reconstruction_errors
from twincode.evaluate.separability import Separability, SeparabilitySettings

METRICS.register("separability", Separability, SeparabilitySettings)
METRICS.register("dimension", Dimension, DimensionSettings)
METRICS.register("clusters", Clusters, ClustersSettings)
METRICS.register("reconstruction", Reconstruction)
METRICS.register("rate", Rate)
METRICS.register("kernels", Kernels, KernelsSettings)
METRICS.register("codebook", Codebook)
METRICS.register("posterior", Posterior)

USUAL_METRICS = (
    "separability", "dimension", "clusters", "reconstruction", "rate", "kernels", "codebook",
    "posterior",
)  # fmt: skip

__all__ = [
    "METRICS",
    "READOUTS",
    "USUAL_METRICS",
    "Evaluator",
    "Features",
    "Judged",
    "Measurement",
    "Metric",
    "augmentation_exhibit",
    "declared_metrics",
    "evaluate_tokenizer",
    "make_exhibits",
    "readout_features",
    "reconstruction_errors",
]
