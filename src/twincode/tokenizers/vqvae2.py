"""VQ-VAE-2 on the time-frequency plane: codes on two levels (Razavi et al., 2019)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from twincode.errors import TwincodeError
from twincode.nets import Decoder, Encoder, Merge, count_downsamplings, grid_width
from twincode.quantize import Quantized, Quantizer, Regions
from twincode.spectral import STFT
from twincode.tokenizers.plane import PlaneParts, PlaneTokenizer
from twincode.tokenizers.tokenizer import settle
from twincode.tokenizers.vqvae import VQVAESettings


@dataclass(frozen=True)
class VQVAE2Settings(VQVAESettings):
    """The bottom grid is ``downsampled_width`` wide, the top one ``top_width``."""

    top_width: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "top_width")


class VQVAE2(PlaneTokenizer):
    """A coarse grid of codes for the course of a series, a fine one that knows it for detail.

    The encoder makes a grid of features, the top encoder a coarser one of them. That is quantised,
    decoded to the size of the features and merged with them into the bottom latents. The decoder
    sees both levels merged, the top one upsampled. Top and bottom stand side by side in one grid,
    in this order, each with its own codebook. They differ along time alone: both have a row for
    every frequency.
    """

    region_names = ("top", "bottom")
    quantizer: Regions

    def __init__(
        self,
        stft: STFT,
        encoder: Encoder,
        top_encoder: Encoder,
        condition: Merge,
        quantizer: Regions,
        merge: Merge,
        decoder: Decoder,
    ) -> None:
        C, D = encoder.in_channels // 2, encoder.latent_channels
        super().__init__(stft, quantizer, C, D, quantizer.width)
        self.encoder = encoder
        self.top_encoder = top_encoder
        self.condition = condition
        self.quantizer = quantizer
        self.merge = merge
        self.decoder = decoder

    def initialise(self, x: Tensor, generator: Generator) -> None:
        """Place the top codes first, since the bottom latents and their statistics follow them."""
        for level in range(len(self.quantizer.widths)):
            z = self.quantizer.split(self.all_latents(x))[level]
            self.quantizer.part(level).initialise(z, generator)
            settle(self, x)

    def _encode(self, u: Tensor, views: int) -> Tensor:
        return self._levels(u, views)[0]

    def _levels(self, u: Tensor, views: int) -> tuple[Tensor, Quantized]:
        """Latents of both levels, and the quantised top ones of the first view."""
        features = self.encoder(u, views)
        top = self.top_encoder(features, views)
        # View by view, as each would be quantised alone; ONNX cannot follow a chunk into one.
        tops = top.chunk(views) if views > 1 else [top]
        quantised = [self.quantizer.part(0)(view) for view in tops]
        top_q = torch.cat([each.latents for each in quantised])
        return torch.cat([top, self.condition(top_q, features, views)], dim=-1), quantised[0]

    def _quantise(
        self, x: Tensor, twin: Tensor | None, background: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Quantized]:
        """The top level is quantised once, on the way: what conditions is what is decoded."""
        del background
        series = [x] if twin is None else [x, twin]
        latents, top = self._levels(self.stft(torch.cat(series)), views=len(series))
        z, *twin_z = latents.chunk(len(series))
        bottom = self.quantizer.part(1)(self.quantizer.split(z)[1])
        return z, twin_z[0] if twin_z else None, self.quantizer.join([top, bottom])

    def _decode(self, z_q: Tensor) -> Tensor:
        return self.decoder(self.merge(*self.quantizer.split(z_q)))


def build_vqvae2(
    settings: VQVAE2Settings, quantizer: Callable[[int], Quantizer], channels: int, length: int
) -> VQVAE2:
    """The VQ-VAE-2 the settings describe, for series of C channels and L steps.

    The grids are as wide as the settings say, as nearly as halving allows. Raises TwincodeError
    for series too short for two levels.
    """
    parts = PlaneParts(settings, quantizer, channels, length)
    stft, D, blocks = parts.stft, settings.latent_channels, settings.residual_blocks
    halvings, top_halvings = _count_halvings(stft, settings.downsampled_width, settings.top_width)
    width = grid_width(stft.frames, halvings)
    level = (stft.frequencies, width)
    return VQVAE2(
        stft,
        parts.encoder(halvings),
        Encoder(D, D, top_halvings, blocks),
        Merge(D, top_halvings, blocks, level),
        Regions(
            [parts.quantizer() for _ in range(2)],
            {"top": grid_width(width, top_halvings), "bottom": width},
        ),
        Merge(D, top_halvings, 0, level),
        parts.decoder(halvings),
    )


def _count_halvings(stft: STFT, width: int, top_width: int) -> tuple[int, int]:
    """How often time is halved to the bottom level, and from there to the top one."""
    most = int(math.log2(stft.frames)) - 1
    if most < 1:
        raise TwincodeError(
            f"series of {stft.length} steps, {stft.frames} frames here, are too short for two "
            "levels; use longer series, a smaller hop_length or the vqvae tokenizer"
        )
    halvings = min(count_downsamplings(stft.frames, width), most)
    return halvings, count_downsamplings(grid_width(stft.frames, halvings), top_width)
