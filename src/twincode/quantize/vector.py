"""Vector quantisation with one codebook (van den Oord et al., 2017)."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from twincode.distributed import sum_in_place, whole_batch
from twincode.errors import TwincodeError
from twincode.precision import in_full_precision
from twincode.quantize.grids import Grid, Layout
from twincode.quantize.nearest import count_and_sum, kmeans, nearest_codes
from twincode.quantize.quantizer import Quantized, Quantizer
from twincode.randomness import noise
from twincode.settings import Settings, added

UPDATES = ("gradient", "ema")
INITIALISATIONS = ("data", "kmeans", "uniform")
DISTANCES = ("euclidean", "cosine")
# A shorter vector has no direction worth the name.
SHORTEST = 1e-6


@dataclass(frozen=True)
class CodebookSettings(Settings):
    """The codebook and how it moves (eq. 4.13).

    ``codebook_update`` is ``ema`` or ``gradient``, ``codebook_init`` ``data``, ``kmeans`` or
    ``uniform``, ``distance`` ``euclidean`` or ``cosine``. In the first ``continuous_share`` of the
    steps latents are not quantised; then the codes are placed among those of many series.
    """

    codebook_size: int = 32
    codebook_update: str = "ema"
    codebook_init: str = "kmeans"
    commitment_weight: float = 1.0
    ema_decay: float = 0.8
    ema_epsilon: float = 1e-5
    distance: str = added("euclidean", before="euclidean")
    revive_below: float = added(0.0, before=0.0)
    continuous_share: float = added(0.25, before=0.0)

    def __post_init__(self) -> None:
        self.check_at_least(1, "codebook_size")
        self.check_at_least(0, "commitment_weight")
        self.check_choice("codebook_update", UPDATES)
        self.check_choice("codebook_init", INITIALISATIONS)
        self.check_choice("distance", DISTANCES)
        self.check_above(0, "ema_epsilon")
        self.check_below(1, "ema_decay", "continuous_share")
        if not 0 <= self.revive_below < 1 / self.codebook_size:
            raise TwincodeError(
                "revive_below must be at least 0 and below an even share, 1 / codebook_size = "
                f"{1 / self.codebook_size:g}, not {self.revive_below}"
            )


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

    With ``distance="cosine"`` latents and codes are scaled to unit length first, in the loss and in
    z_q too (Yu et al., 2022, section 3.2); an unused code then keeps its direction.

    With ``revive_below`` above 0, a code whose moving-average share of the latents falls below it
    starts anew at a latent drawn from the batch (Dhariwal et al., 2020, section 3.1), here with an
    even share of the counts, so that the averages do not pull it back.
    """

    def __init__(self, settings: CodebookSettings, latent_channels: int) -> None:
        super().__init__()
        self.settings = settings
        self.codebook_size = settings.codebook_size
        self._quantises = True
        self.capturable = not settings.revive_below
        # Uniform within the square root of 6 / D: as long as typical activations.
        codebook = torch.empty(settings.codebook_size, latent_channels)
        nn.init.kaiming_uniform_(codebook)
        self.codebook: Tensor
        if settings.codebook_update == "gradient":
            self.codebook = nn.Parameter(codebook)
        else:
            self.register_buffer("codebook", codebook)
        if settings.codebook_update == "ema" or settings.revive_below:
            self.register_buffer("counts", torch.ones(settings.codebook_size))
        if settings.codebook_update == "ema":
            self.register_buffer("sums", codebook.clone())
        self.counts: Tensor
        self.sums: Tensor

    def layout(self, width: int) -> Layout:
        """One grid."""
        return Layout((Grid("", width, self.codebook_size),))

    def codebooks(self) -> tuple[Tensor, ...]:
        """The one codebook (K, D)."""
        return (self._codes().detach(),)

    @in_full_precision
    def forward(self, z: Tensor) -> Quantized:
        """Snap each latent vector of z (B, D, H, W) to its nearest code."""
        z = self._scaled(z)
        if not self._quantises:
            return Quantized(z, None, z.new_zeros(()))
        codes = self._nearest(z)
        z_q = self.lookup(codes)
        loss = self.settings.commitment_weight * commitment_loss(z, z_q)
        if self.settings.codebook_update == "gradient":
            loss = loss + codebook_loss(z, z_q)
        # z - sg[z] is exactly zero, so the value is exactly the code and the gradient is z's.
        return Quantized(z_q.detach() + (z - z.detach()), codes, loss)

    @in_full_precision
    def encode(self, z: Tensor) -> Tensor | None:
        """The codes of latents alone."""
        return self._nearest(self._scaled(z)) if self._quantises else None

    def use_codes(self, wanted: bool) -> None:
        """Whether to quantise."""
        self._quantises = wanted

    @torch.no_grad()
    @in_full_precision
    def drawn_codes(self, z: Tensor, temperature: float, generator: Generator) -> Tensor:
        """Codes (B, H, W) of z, each drawn by its distance from there."""
        vectors, codebook = self._scaled(z).permute(0, 2, 3, 1), self._codes()
        # Up to a constant of each vector, -||z - e||^2 is this; Gumbel noise makes it a draw.
        score = 2 * vectors @ codebook.T - codebook.square().sum(1)
        u = torch.rand(score.shape, generator=generator, device=generator.device)
        noise = -torch.log(-torch.log(u.clamp(min=1e-20)))
        return (score / temperature + noise.to(score.device)).argmax(dim=-1)

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, H, W) of codes (B, H, W)."""
        return F.embedding(codes, self._codes()).permute(0, 3, 1, 2)

    @torch.no_grad()
    @in_full_precision
    def initialise(self, z: Tensor, generator: Generator) -> None:
        """Start each code at a latent vector drawn from z, or at a k-means centre from there.

        With ``codebook_init="uniform"`` nothing happens.
        """
        if self.settings.codebook_init == "uniform":
            return
        vectors = self._rows(z)
        order = torch.randperm(len(vectors), generator=generator).to(vectors.device)
        codebook = vectors[_first(order, self.codebook_size)]
        if self.settings.codebook_init == "kmeans":
            codebook = kmeans(vectors, codebook)
        self.codebook.copy_(codebook)
        if self.settings.codebook_update == "ema":
            self.sums.copy_(self.codebook)

    @torch.no_grad()
    @in_full_precision
    def update(self, z: Tensor, codes: Tensor) -> None:
        """Move the codes to the moving averages of their latents, and revive rare ones.

        With ``codebook_update="gradient"`` only the second. What is drawn comes from the
        noise at hand.
        """
        ema, revives = self.settings.codebook_update == "ema", self.settings.revive_below > 0
        if not (ema or revives):
            return
        vectors = self._rows(z)
        counts, sums = count_and_sum(vectors, codes.flatten(), self.codebook_size)
        sum_in_place([counts, sums])
        self.counts.lerp_(counts, 1 - self.settings.ema_decay)
        if ema:
            self._follow(sums)
        if revives:
            self._revive(vectors)

    def _follow(self, sums: Tensor) -> None:
        self.sums.lerp_(sums, 1 - self.settings.ema_decay)
        total = self.counts.sum()
        epsilon = self.settings.ema_epsilon
        smoothed = (self.counts + epsilon) / (total + self.codebook_size * epsilon) * total
        means = self.sums / smoothed[:, None]
        if self.settings.distance == "cosine":
            lengths = means.norm(dim=1, keepdim=True)
            means = torch.where(lengths > SHORTEST, means / lengths, self.codebook)
        self.codebook.copy_(means)

    def _revive(self, vectors: Tensor) -> None:
        """Put rare codes at latents of the whole batch, the same ones in every process."""
        vectors = whole_batch(vectors)
        # Drawn where the latents are: the host waits for nothing.
        order = torch.rand(len(vectors), generator=noise(), device=vectors.device).argsort()
        drawn = vectors[_first(order, self.codebook_size)]
        total = self.counts.sum()
        rare = self.counts < self.settings.revive_below * total
        even = total / self.codebook_size
        self.counts.copy_(torch.where(rare, even, self.counts))
        self.codebook.copy_(torch.where(rare[:, None], drawn, self.codebook))
        if self.settings.codebook_update == "ema":
            self.sums.copy_(torch.where(rare[:, None], drawn * even, self.sums))

    def _rows(self, z: Tensor) -> Tensor:
        """z (B, D, H, W) as vectors (B * H * W, D), at the length that codes have."""
        return self._scaled(z.permute(0, 2, 3, 1).flatten(0, 2))

    def _nearest(self, z: Tensor) -> Tensor:
        return nearest_codes(z.detach().permute(0, 2, 3, 1), self._codes())

    def _codes(self) -> Tensor:
        return self._scaled(self.codebook)

    def _scaled(self, vectors: Tensor) -> Tensor:
        if self.settings.distance == "euclidean":
            return vectors
        return F.normalize(vectors, dim=1, eps=SHORTEST)


def _first(order: Tensor, wanted: int) -> Tensor:
    """The first ``wanted`` of ``order``, going round again where there are fewer."""
    return order.repeat(-(-wanted // len(order)))[:wanted]
