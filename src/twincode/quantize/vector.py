"""Vector quantisation with one codebook (van den Oord et al., 2017)."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from twincode.config import QuantizerConfig
from twincode.distributed import sum_in_place
from twincode.errors import TwincodeError, unknown_name
from twincode.precision import in_full_precision
from twincode.quantize.contract import Quantized, Quantizer

UPDATES = ("gradient", "ema")
INITIALISATIONS = ("data", "uniform")


def codebook_loss(z: Tensor, z_q: Tensor) -> Tensor:
    """How far the chosen codes are from the latents, felt by the codebook alone (eq. 4.14)."""
    return F.mse_loss(z_q, z.detach())


def commitment_loss(z: Tensor, z_q: Tensor) -> Tensor:
    """The same distance, felt by the encoder alone (eq. 4.15 without its weight beta)."""
    return F.mse_loss(z, z_q.detach())


class VectorQuantizer(Quantizer):
    """Nearest of K codes by Euclidean distance, with a straight-through gradient.

    The loss is eq. 4.13 with both norms as means. With ``codebook_update="gradient"`` the codes
    are parameters and follow its first term; with ``"ema"`` they are buffers, the first term is
    left out, and ``update`` moves them to exponential moving averages of the latents they won,
    with Laplace-smoothed counts (van den Oord et al., 2017, appendix A.1). A code that goes on
    winning nothing fades towards the origin.
    """

    def __init__(self, config: QuantizerConfig, latent_channels: int) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.codebook_sizes = (config.codebook_size,)
        # Uniform within the square root of 6 / D: as long as typical activations.
        codebook = torch.empty(config.codebook_size, latent_channels)
        nn.init.kaiming_uniform_(codebook)
        self.codebook: Tensor
        if config.codebook_update == "gradient":
            self.codebook = nn.Parameter(codebook)
        else:
            self.register_buffer("codebook", codebook)
            self.register_buffer("counts", torch.ones(config.codebook_size))
            self.register_buffer("sums", codebook.clone())
        self.counts: Tensor
        self.sums: Tensor

    def codebooks(self) -> tuple[Tensor, ...]:
        """The one codebook (K, D)."""
        return (self.codebook.detach(),)

    @in_full_precision
    def forward(self, z: Tensor) -> Quantized:
        """Snap each latent vector of z (B, D, H, W) to its nearest code."""
        codes = self._nearest(z.detach())
        z_q = self.lookup(codes)
        loss = self.config.commitment_weight * commitment_loss(z, z_q)
        if self.config.codebook_update == "gradient":
            loss = loss + codebook_loss(z, z_q)
        # z - sg[z] is exactly zero, so the value is exactly the code and the gradient is z's.
        return Quantized(z_q.detach() + (z - z.detach()), codes, loss)

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, H, W) of codes (B, H, W)."""
        return F.embedding(codes, self.codebook).permute(0, 3, 1, 2)

    def _nearest(self, z: Tensor) -> Tensor:
        """Codes (B, H, W): ||z - e||^2 is smallest where z.e - ||e||^2 / 2 is largest."""
        score = z.permute(0, 2, 3, 1) @ self.codebook.T - self.codebook.square().sum(1) / 2
        return score.argmax(dim=-1)

    @torch.no_grad()
    @in_full_precision
    def initialise(self, z: Tensor, generator: Generator) -> None:
        """With ``codebook_init="data"``, start each code at a latent vector drawn from z."""
        if self.config.codebook_init == "uniform":
            return
        vectors = z.permute(0, 2, 3, 1).flatten(0, 2)
        draws = torch.randperm(len(vectors), generator=generator)
        # Fewer latents than codes: go round again, so that every code has a place in the data.
        draws = draws.repeat(-(-self.codebook_size // len(draws)))[: self.codebook_size]
        self.codebook.copy_(vectors[draws.to(vectors.device)])
        if self.config.codebook_update == "ema":
            self.sums.copy_(self.codebook)

    @torch.no_grad()
    @in_full_precision
    def update(self, z: Tensor, codes: Tensor) -> None:
        """Move the codes to the moving averages of their latents; nothing with ``"gradient"``."""
        if self.config.codebook_update == "gradient":
            return
        vectors = z.permute(0, 2, 3, 1).flatten(0, 2)
        won = F.one_hot(codes.flatten(), self.codebook_size).to(vectors.dtype)
        counts, sums = won.sum(0), won.T @ vectors
        sum_in_place([counts, sums])
        self.counts.lerp_(counts, 1 - self.config.ema_decay)
        self.sums.lerp_(sums, 1 - self.config.ema_decay)
        total = self.counts.sum()
        epsilon = self.config.ema_epsilon
        smoothed = (self.counts + epsilon) / (total + self.codebook_size * epsilon) * total
        self.codebook.copy_(self.sums / smoothed[:, None])


def _check(config: QuantizerConfig) -> None:
    if config.codebook_size < 1:
        raise TwincodeError(f"codebook_size must be at least 1, not {config.codebook_size}")
    if config.codebook_update not in UPDATES:
        raise unknown_name("codebook_update", config.codebook_update, UPDATES)
    if config.codebook_init not in INITIALISATIONS:
        raise unknown_name("codebook_init", config.codebook_init, INITIALISATIONS)
    if config.ema_epsilon <= 0 or config.commitment_weight < 0:
        raise TwincodeError("ema_epsilon must be above 0 and commitment_weight at least 0")
    if not 0 <= config.ema_decay < 1:
        raise TwincodeError(f"ema_decay must lie between 0 and 1, not {config.ema_decay}")
