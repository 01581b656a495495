"""Product quantisation: each group of channels has a codebook of its own."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from twincode.errors import TwincodeError
from twincode.precision import in_full_precision
from twincode.quantize.quantizer import Quantized
from twincode.quantize.stages import SeveralCodebooks
from twincode.quantize.vector import CodebookSettings, VectorQuantizer


@dataclass(frozen=True)
class ProductSettings(CodebookSettings):
    """Those of a codebook, and how many groups of channels have one."""

    codebook_groups: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "codebook_groups")


class ProductQuantizer(SeveralCodebooks):
    """``codebook_groups`` groups of D / groups channels, each quantised apart (Jegou et al., 2011).

    A latent has one code a group, so K codes a group tell K ** groups latents apart. The loss is
    the mean over groups, which is eq. 4.13 on the whole latents.
    """

    part_name = "group"

    def __init__(self, settings: ProductSettings, latent_channels: int) -> None:
        groups = settings.codebook_groups
        if latent_channels % groups:
            raise TwincodeError(
                f"codebook_groups must divide latent_channels, {latent_channels}; it is {groups}"
            )
        super().__init__(
            [VectorQuantizer(settings, latent_channels // groups) for _ in range(groups)]
        )

    @in_full_precision
    def forward(self, z: Tensor) -> Quantized:
        """One code for each group of channels."""
        found = [part(group) for part, group in zip(self._parts, self._groups(z), strict=True)]
        loss = torch.stack([each.loss for each in found]).mean()
        return Quantized(torch.cat([each.latents for each in found], 1), self._join(found), loss)

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, H, W) of codes (B, H, W * groups)."""
        return torch.cat(self._look_up(codes), dim=1)

    def initialise(self, z: Tensor, generator: Generator) -> None:
        """Start each codebook at latents of its group."""
        for part, group in zip(self._parts, self._groups(z), strict=True):
            part.initialise(group, generator)

    def update(self, z: Tensor, codes: Tensor) -> None:
        """Move every codebook towards the channels that it quantised."""
        for part, group, grid in zip(self._parts, self._groups(z), self._split(codes), strict=True):
            part.update(group, grid)

    def _groups(self, z: Tensor) -> tuple[Tensor, ...]:
        return z.chunk(len(self.parts), dim=1)
