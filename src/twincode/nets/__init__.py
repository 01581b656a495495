"""Layers only: no loss, no configuration, no device."""

from twincode.nets.autoencoder import Decoder, Encoder, count_downsamplings, grid_width
from twincode.nets.projector import Perceptron, Projector, ShallowProjector, WhitenedProjector

__all__ = [
    "Decoder",
    "Encoder",
    "Perceptron",
    "Projector",
    "ShallowProjector",
    "WhitenedProjector",
    "count_downsamplings",
    "grid_width",
]
