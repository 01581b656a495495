"""The naive VQ-VAE on the time-frequency plane (thesis section 4.3; after Lee et al., 2023)."""

from torch import Tensor

from twincode.config import Config
from twincode.nets import Decoder, Encoder, count_downsamplings, grid_width
from twincode.quantize import Quantizer, build_quantizer
from twincode.spectral import STFT
from twincode.tokenizers.contract import Output
from twincode.tokenizers.encoder import SpectralEncoder


class VQVAE(SpectralEncoder):
    """x -> STFT -> u -> encoder -> z -> quantiser -> z_q -> decoder -> u_hat -> ISTFT -> x_hat.

    BT-VQVAE is this tokenizer under another objective: the two views meet only in the loss.
    """

    has_decoder = True

    def __init__(
        self,
        channels: int,
        stft: STFT,
        encoder: Encoder,
        quantizer: Quantizer,
        decoder: Decoder,
        grid: tuple[int, int],
        latent_channels: int,
    ) -> None:
        super().__init__(channels, stft, encoder, quantizer, grid, latent_channels)
        self.decoder = decoder

    def forward(self, x: Tensor, twin: Tensor | None = None) -> Output:
        """Encode both views in one pass; quantise and decode the upper one."""
        z, twin_latents = self._both_latents(x, twin)
        z_q, codes, vq_loss = self.quantizer(z)
        u_hat = self.decoder(z_q)
        x_hat = self.stft.inverse(u_hat)
        pairs = {"time": (x, x_hat), "frequency": (self.stft(x), u_hat)}
        return Output(x_hat, z, twin_latents, codes, vq_loss, pairs)

    def _series(self, latents: Tensor) -> Tensor:
        return self.stft.inverse(self.decoder(latents))


def build_vqvae(config: Config, channels: int, length: int) -> VQVAE:
    """The VQ-VAE a configuration describes, for series of C channels and L steps."""
    sizes = config.tokenizer
    stft = STFT(length, sizes.n_fft, sizes.hop_length, sizes.window)
    halvings = count_downsamplings(stft.frames, sizes.downsampled_width)
    D, blocks = sizes.latent_channels, sizes.residual_blocks
    encoder = Encoder(2 * channels, D, halvings, blocks)
    quantizer = build_quantizer(config.quantizer, D)
    width = grid_width(stft.frames, halvings) * quantizer.codes_per_latent
    return VQVAE(
        channels,
        stft,
        encoder,
        quantizer,
        Decoder(2 * channels, D, halvings, blocks, (stft.frequencies, stft.frames)),
        grid=(stft.frequencies, width),
        latent_channels=D,
    )
