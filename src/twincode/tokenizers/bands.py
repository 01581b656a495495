"""Frequency bands, each with its own codes (TimeVQVAE, Lee, Malacarne and Aune, 2023)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from twincode.errors import TwincodeError
from twincode.nets import Decoder, Encoder
from twincode.quantize import Quantizer, Regions
from twincode.spectral import STFT
from twincode.tokenizers.plane import PlaneParts, PlaneSettings, PlaneTokenizer
from twincode.tokenizers.tokenizer import Pairs


@dataclass(frozen=True)
class BandsSettings(PlaneSettings):
    """Where the bands begin, and how wide the grid of each is to be, as nearly as halving allows.

    ``bands`` names the first row of every band but the lowest: (1,) is the lowest row and the
    rest, () one band.
    """

    bands: tuple[int, ...] = (1,)
    band_widths: tuple[int, ...] = (8, 32)

    def __post_init__(self) -> None:
        super().__post_init__()
        bands = len(self.bands) + 1
        if len(self.band_widths) != bands or min(self.band_widths) < 1:
            raise TwincodeError(
                f"band_widths must hold {bands} numbers from 1 up, one a band, "
                f"not {','.join(map(str, self.band_widths))}"
            )


class Bands(PlaneTokenizer):
    """The rows of the plane cut into bands, each encoded, quantised and decoded by itself.

    A band is the whole plane with the rows of the others set to zero, so the planes of all bands
    sum to u, and the series they stand for to x. What a decoder writes into rows of other bands is
    dropped. ``edges`` are 0, the first row of each further band, and F. The bands stand side by
    side in one grid, lowest first, each with its own codebook and width. All bands are compared by
    squared error, in time and on the plane, where the authors' code takes the absolute error for
    the high band in time.
    """

    quantizer: Regions

    def __init__(
        self,
        stft: STFT,
        edges: Sequence[int],
        encoders: Sequence[Encoder],
        quantizer: Regions,
        decoders: Sequence[Decoder],
    ) -> None:
        C, D = encoders[0].in_channels // 2, encoders[0].latent_channels
        super().__init__(stft, quantizer, C, D, quantizer.width)
        self.encoders = nn.ModuleList(encoders)
        self.quantizer = quantizer
        self.decoders = nn.ModuleList(decoders)
        self.region_names = tuple(quantizer.widths)
        self.masks: Tensor
        self.register_buffer("masks", _masks(edges), persistent=False)

    def _encode(self, u: Tensor, views: int) -> Tensor:
        bands = zip(self.encoders, self.masks, strict=True)
        return torch.cat([encoder(u * mask, views) for encoder, mask in bands], dim=-1)

    def _decode(self, z_q: Tensor) -> Tensor:
        bands = zip(self.decoders, self.quantizer.split(z_q), self.masks, strict=True)
        return torch.stack([decoder(region) * mask for decoder, region, mask in bands]).sum(0)

    def _pairs(self, x: Tensor, x_hat: Tensor, u_hat: Tensor) -> Pairs:
        """Each band in time and in frequency; the last band's series is what is left of x."""
        if len(self.masks) == 1:
            return super()._pairs(x, x_hat, u_hat)
        masks = self.masks[:, None, None]  # (bands, B, 2C, F, T)
        planes, planes_hat = self.stft(x) * masks, u_hat * masks
        series = [self.stft.inverse(plane) for plane in planes[:-1]]
        series.append(x - torch.stack(series).sum(0))
        pairs: Pairs = {}
        bands = zip(self.region_names, series, planes, planes_hat, strict=True)
        for name, target, plane, plane_hat in bands:
            pairs[f"time_{name}"] = (target, self.stft.inverse(plane_hat))
            pairs[f"frequency_{name}"] = (plane, plane_hat)
        return pairs


def build_bands(
    settings: BandsSettings, quantizer: Callable[[int], Quantizer], channels: int, length: int
) -> Bands:
    """The bands the settings describe, for series of C channels and L steps.

    Raises TwincodeError where the rows are not in the plane.
    """
    parts = PlaneParts(settings, quantizer, channels, length)
    edges = [0, *settings.bands, parts.stft.frequencies]
    _check_edges(edges, settings.n_fft)
    halvings = [parts.halvings(width) for width in settings.band_widths]
    made = [(parts.encoder(each), parts.quantizer(), parts.decoder(each)) for each in halvings]
    encoders, quantizers, decoders = zip(*made, strict=True)
    widths = {f"band{i}": e.width(parts.stft.frames) for i, e in enumerate(encoders, start=1)}
    return Bands(parts.stft, edges, encoders, Regions(quantizers, widths), decoders)


def _masks(edges: Sequence[int]) -> Tensor:
    """One for every band (bands, F, 1): ones in its rows, zeros elsewhere."""
    masks = torch.zeros(len(edges) - 1, edges[-1], 1)
    for mask, (first, after) in zip(masks, pairwise(edges), strict=True):
        mask[first:after] = 1
    return masks


def _check_edges(edges: Sequence[int], n_fft: int) -> None:
    if any(first >= after for first, after in pairwise(edges)):
        raise TwincodeError(
            f"bands must be rows between 1 and {edges[-1] - 1} (n_fft {n_fft} gives {edges[-1]} "
            f"rows, from 0), each above the one before, not {','.join(map(str, edges[1:-1]))}"
        )
