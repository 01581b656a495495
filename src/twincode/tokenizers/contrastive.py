"""The contrastive VAE: what a target set has that a background set lacks (Abid and Zou, 2019)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from twincode.distributed import agreed
from twincode.nets import Encoder
from twincode.quantize import Quantized, Quantizer, Regions
from twincode.spectral import STFT
from twincode.tokenizers.plane import PlaneParts, PlaneTokenizer
from twincode.tokenizers.vqvae import VQVAESettings


@dataclass(frozen=True)
class ContrastiveSettings(VQVAESettings):
    """Those of the VQ-VAE, and which classes are background, by their names."""

    background_classes: tuple[str, ...] = ()


class ContrastiveVAE(PlaneTokenizer):
    """Shared latents for what all series have, salient ones for what only target series have.

    Each kind has an encoder and a quantiser of its own; with the ``gaussian`` one this is the
    paper's model without its discriminator, as in the authors' code by default. A target series is
    decoded from both, a background series from its shared latents and zeros, so that variation
    which background series know too has no need of the salient ones. A background series pays no
    quantiser's loss for salient latents and moves none of their codes; it does count in the batch
    statistics of both encoders. Shared and salient latents stand side by side in one grid, in this
    order. In use, where no one says what a series is, both are decoded.
    """

    capturable = False  # which rows are targets decides what is computed
    region_names = ("shared", "salient")
    quantizer: Regions

    def __init__(
        self,
        stft: STFT,
        shared_encoder: Encoder,
        salient_encoder: Encoder,
        quantizer: Regions,
        decoder: nn.Module,
    ) -> None:
        C, D = shared_encoder.in_channels // 2, shared_encoder.latent_channels
        super().__init__(stft, quantizer, C, D, quantizer.width)
        self.shared_encoder = shared_encoder
        self.salient_encoder = salient_encoder
        self.quantizer = quantizer
        self.decoder = decoder

    def update(self, z: Tensor, codes: Tensor, background: Tensor | None = None) -> None:
        """Move the codes of shared latents by all series, those of salient ones by targets."""
        everyone = torch.ones(len(z), dtype=torch.bool, device=z.device)
        for region, rows in enumerate((everyone, everyone if background is None else ~background)):
            latents, own, part = self.quantizer.cut(z, codes, region)
            if own is not None and agreed(bool(rows.any()), z.device):
                part.update(latents[rows], own[rows])

    def _quantise(
        self, x: Tensor, twin: Tensor | None, background: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Quantized]:
        z, twin_z = self._both(x, twin)
        found = self.quantizer(z) if background is None else self._contrast(z, ~background)
        return z, twin_z, found

    def _contrast(self, z: Tensor, target: Tensor) -> Quantized:
        """Quantised latents, salient ones only where ``target`` (B,) is true.

        The loss of the salient latents is the mean over target series, times their share of the
        batch: a mean over all series, to which background series add nothing.
        """
        shared, salient = self.quantizer.split(z)
        found = self.quantizer.part(1)(salient)
        # Of several processes one may hold no target: it draws noise with the others all the same.
        targets = self.quantizer.part(1)(salient[target])
        # A batch without target series still reaches every parameter, with a gradient of zero.
        loss = targets.loss * target.float().mean() if target.any() else 0 * found.loss
        kept = Quantized(found.latents * target[:, None, None, None], found.codes, loss)
        return self.quantizer.join([self.quantizer.part(0)(shared), kept])

    def _encode(self, u: Tensor, views: int) -> Tensor:
        return torch.cat([self.shared_encoder(u, views), self.salient_encoder(u, views)], dim=-1)

    def _decode(self, z_q: Tensor) -> Tensor:
        return self.decoder(torch.cat(self.quantizer.split(z_q), dim=1))


def build_contrastive_vae(
    settings: ContrastiveSettings,
    quantizer: Callable[[int], Quantizer],
    channels: int,
    length: int,
) -> ContrastiveVAE:
    """The contrastive VAE the settings describe, for series of C channels and L steps."""
    parts, D = PlaneParts(settings, quantizer, channels, length), settings.latent_channels
    halvings = parts.halvings(settings.downsampled_width)
    shared, salient = (parts.encoder(halvings) for _ in range(2))
    widths = dict.fromkeys(ContrastiveVAE.region_names, shared.width(parts.stft.frames))
    return ContrastiveVAE(
        parts.stft,
        shared,
        salient,
        Regions([parts.quantizer() for _ in widths], widths),
        nn.Sequential(nn.Conv2d(2 * D, D, 1), parts.decoder(halvings)),
    )
