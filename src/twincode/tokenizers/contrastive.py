"""The contrastive VAE: what a target set has that a background set has not (Abid and Zou, 2019)."""

import torch
from torch import Tensor, nn

from twincode.config import Config
from twincode.nets import Decoder, Encoder, count_downsamplings, grid_width
from twincode.quantize import Quantized, Regions, build_quantizer
from twincode.spectral import STFT
from twincode.tokenizers.contract import Output
from twincode.tokenizers.plane import PlaneTokenizer, build_stft


class ContrastiveVAE(PlaneTokenizer):
    """Shared latents for what all series have, salient ones for what only target series have.

    Each kind has an encoder and a quantiser of its own; with the ``gaussian`` one this is the
    paper's model. A target series is decoded from both, a background series from its shared
    latents and zeros, so that variation which background series know too has no need of the
    salient ones. A background series pays no quantiser's loss for salient latents. Shared and
    salient latents stand side by side in one grid, in this order. In use, where no one says what a
    series is, both are decoded.
    """

    takes_background = True
    region_names = ("shared", "salient")

    def __init__(
        self,
        channels: int,
        stft: STFT,
        shared_encoder: Encoder,
        salient_encoder: Encoder,
        quantizer: Regions,
        decoder: nn.Module,
        latent_channels: int,
    ) -> None:
        super().__init__(channels, stft, (stft.frequencies, quantizer.code_width), latent_channels)
        self.shared_encoder = shared_encoder
        self.salient_encoder = salient_encoder
        self.quantizer: Regions = quantizer
        self.decoder = decoder

    def forward(
        self, x: Tensor, twin: Tensor | None = None, background: Tensor | None = None
    ) -> Output:
        """One pass over x; ``background`` (B,) is true for background series, by default none."""
        if background is None:
            return super().forward(x, twin)
        z, twin_latents = self._one_or_two(x, twin)
        return self._output(x, z, twin_latents, self._contrast(z, ~background))

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

    def _encode(self, u: Tensor, views: int = 1) -> Tensor:
        return torch.cat([self.shared_encoder(u, views), self.salient_encoder(u, views)], dim=-1)

    def _decode(self, z_q: Tensor) -> Tensor:
        return self.decoder(torch.cat(self.quantizer.split(z_q), dim=1))


def build_contrastive_vae(config: Config, channels: int, length: int) -> ContrastiveVAE:
    """The contrastive VAE a configuration describes, for series of C channels and L steps."""
    sizes = config.tokenizer
    stft = build_stft(sizes, length)
    halvings = count_downsamplings(stft.frames, sizes.downsampled_width)
    D, blocks = sizes.latent_channels, sizes.residual_blocks
    shared, salient = (Encoder(2 * channels, D, halvings, blocks) for _ in range(2))
    width = grid_width(stft.frames, halvings)
    return ContrastiveVAE(
        channels,
        stft,
        shared,
        salient,
        Regions([build_quantizer(config.quantizer, D) for _ in range(2)], [width, width]),
        nn.Sequential(
            nn.Conv2d(2 * D, D, 1), Decoder(2 * channels, D, halvings, blocks, stft.size)
        ),
        latent_channels=D,
    )
