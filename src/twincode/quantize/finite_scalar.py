"""Finite scalar quantisation: a few channels, each rounded to a few levels."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from twincode.errors import TwincodeError
from twincode.precision import in_full_precision
from twincode.quantize.grids import Grid, Layout
from twincode.quantize.quantizer import Quantized, Quantizer
from twincode.settings import Settings

# The part by which the range stops short of its ends; epsilon in the paper.
BOUND_MARGIN = 1e-3
MOST_CODES = 1 << 24


def bound(z: Tensor, levels: Tensor) -> Tensor:
    """z (B, d, H, W) squeezed so that rounding channel i gives one of ``levels[i]`` whole numbers.

    As in appendix A.1 of Mentzer et al. (2024), which centres an even number of levels with the
    tangent of the offset, where tanh would ask for its own inverse. ``levels`` is (d, 1, 1).
    """
    half_range = (levels - 1) * (1 - BOUND_MARGIN) / 2
    offset = torch.where(levels % 2 == 0, 0.5, 0.0)
    shift = torch.tan(offset / half_range)
    return torch.tanh(z + shift) * half_range - offset


@dataclass(frozen=True)
class FiniteScalarSettings(Settings):
    """The number of levels of each channel; their product is the number of codes."""

    fsq_levels: tuple[int, ...] = (8, 4)

    def __post_init__(self) -> None:
        if not self.fsq_levels or min(self.fsq_levels) < 2:
            raise TwincodeError(
                f"fsq_levels must be numbers of at least 2, such as 8,5, not {self.fsq_levels}"
            )
        if math.prod(self.fsq_levels) > MOST_CODES:
            raise TwincodeError(
                f"fsq_levels {self.fsq_levels} give more than {MOST_CODES} codes; give fewer levels"
            )


class FiniteScalarQuantizer(Quantizer):
    """z is projected to one channel per entry of ``fsq_levels``, bounded, rounded, projected back.

    The product of the levels is the number of codes, all of them given by the rounding: there is no
    codebook to learn, to lose, or to pay a loss for. Gradients pass straight through the rounding.
    The paper advises at least five levels a channel.
    """

    loss_name = ""
    levels: Tensor
    half_width: Tensor
    basis: Tensor

    def __init__(self, settings: FiniteScalarSettings, latent_channels: int) -> None:
        super().__init__()
        levels = settings.fsq_levels
        self.codebook_size = math.prod(levels)
        self.contract = nn.Conv2d(latent_channels, len(levels), kernel_size=1)
        self.expand = nn.Conv2d(len(levels), latent_channels, kernel_size=1)
        column = torch.tensor(levels)[:, None, None]
        place_values = torch.cat([torch.ones_like(column[:1]), column.cumprod(0)[:-1]])
        self.register_buffer("levels", column, persistent=False)
        self.register_buffer("half_width", column // 2, persistent=False)
        self.register_buffer("basis", place_values, persistent=False)

    def layout(self, width: int) -> Layout:
        """One grid; its codes are the points of the grid of levels."""
        return Layout((Grid("", width, self.codebook_size),))

    @in_full_precision
    def forward(self, z: Tensor) -> Quantized:
        """Round each latent vector of z (B, D, H, W) to the nearest point of the grid of levels."""
        bounded = bound(self.contract(z), self.levels)
        rounded = bounded.detach().round()
        codes = ((rounded.long() + self.half_width) * self.basis).sum(1)
        z_q = self.expand((rounded + (bounded - bounded.detach())) / self.half_width)
        return Quantized(z_q, codes, z.new_zeros(()))

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, H, W) of codes (B, H, W), read as numbers with mixed bases."""
        digits = codes[:, None] // self.basis % self.levels
        return self.expand((digits - self.half_width) / self.half_width)
