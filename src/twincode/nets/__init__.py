"""Layers only: no loss, no configuration, no device."""

from twincode.nets.autoencoder import Decoder, Encoder, count_downsamplings, grid_width
from twincode.nets.projector import Projector

__all__ = ["Decoder", "Encoder", "Projector", "count_downsamplings", "grid_width"]
