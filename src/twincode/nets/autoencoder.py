"""Encoder and decoder between the time-frequency plane and the latent grid."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twincode.nets.blocks import DownsamplingBlock, ResidualBlock, UpsamplingBlock


def count_downsamplings(frames: int, width: int) -> int:
    """How many halvings bring ``frames`` nearest to ``width``: at least 1, never past one step.

    Nearest as a ratio, before odd numbers are rounded down.
    """
    wanted = round(math.log2(max(frames / width, 1)))
    return max(1, min(wanted, int(math.log2(frames))))


def grid_width(frames: int, downsamplings: int) -> int:
    """The number of time columns W left of ``frames`` after that many halvings."""
    return frames >> downsamplings


class Encoder(nn.Module):
    """u (B, 2C, F, T) -> latents z (B, D, H, W), with H = F and W = T / 2 ** downsamplings."""

    def __init__(
        self, in_channels: int, latent_channels: int, downsamplings: int, residual_blocks: int
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.latent_channels = latent_channels
        self.downsamplings = downsamplings
        widths = [in_channels] + [latent_channels] * downsamplings
        self.blocks = nn.ModuleList(
            [DownsamplingBlock(*pair) for pair in pairwise(widths)]
            + [ResidualBlock(latent_channels) for _ in range(residual_blocks)]
        )

    def width(self, frames: int) -> int:
        """W, the width of the latents of so many frames T."""
        return grid_width(frames, self.downsamplings)

    def forward(self, u: Tensor, views: int = 1) -> Tensor:
        """Encode ``views`` views of a batch at once; u is (views * B, 2C, F, T)."""
        for block in self.blocks:
            u = block(u, views)
        return u


class Decoder(nn.Module):
    """z_q (B, D, H, W) -> u_hat (B, 2C, F, T).

    One upsampling more than the encoder has downsamplings, so that detail is not lost, then a
    linear resize to the exact size of the plane.
    """

    def __init__(
        self,
        out_channels: int,
        latent_channels: int,
        upsamplings: int,
        residual_blocks: int,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.size = size
        self.blocks = nn.ModuleList(
            [ResidualBlock(latent_channels) for _ in range(residual_blocks)]
            + [UpsamplingBlock(latent_channels) for _ in range(upsamplings)]
        )
        self.last = nn.ConvTranspose2d(
            latent_channels, out_channels, (3, 4), (1, 2), padding=(1, 1)
        )

    def forward(self, z: Tensor, views: int = 1) -> Tensor:
        """Decode ``views`` views of a grid of latents at once."""
        for block in self.blocks:
            z = block(z, views)
        return F.interpolate(self.last(z), size=self.size, mode="bilinear")


class Merge(nn.Module):
    """Coarse latents (B, D, H, W') and fine ones (B, D, H, W) -> latents of both (B, D, H, W).

    The coarse ones are decoded to the fine grid; a 1x1 convolution mixes the two.
    """

    def __init__(
        self, latent_channels: int, upsamplings: int, residual_blocks: int, size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.decoder = Decoder(
            latent_channels, latent_channels, upsamplings - 1, residual_blocks, size
        )
        self.mix = nn.Conv2d(2 * latent_channels, latent_channels, 1)

    def forward(self, coarse: Tensor, fine: Tensor, views: int = 1) -> Tensor:
        """Merge ``views`` views of both grids at once."""
        return self.mix(torch.cat([self.decoder(coarse, views), fine], dim=1))
