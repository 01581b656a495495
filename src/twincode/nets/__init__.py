"""Layers only: no loss, no configuration, no device."""

from twincode.nets.autoencoder import Decoder, Encoder, Merge, count_downsamplings, grid_width
from twincode.nets.fcn import FullyConvolutional
from twincode.nets.projector import Perceptron, Projector, ShallowProjector, WhitenedProjector
from twincode.nets.transformer import Transformer, sinusoid

__all__ = [
    "Decoder",
    "Encoder",
    "FullyConvolutional",
    "Merge",
    "Perceptron",
    "Projector",
    "ShallowProjector",
    "Transformer",
    "WhitenedProjector",
    "count_downsamplings",
    "grid_width",
    "sinusoid",
]
