"""What every prior over grids of codes offers, and the settings that all have."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor, nn

from twincode.errors import TwincodeError
from twincode.precision import PRECISIONS
from twincode.priors.grids import Grids
from twincode.randomness import stream
from twincode.settings import Registry, Settings, added, digest

# Random numbers are drawn for so many series at a time, whether they are there or not: what a
# series gets depends on its place alone, not on memory or on how many others there are.
CHUNK = 256
MOST_LOGITS = 1 << 24
EMBEDDINGS = ("random", "codebook")


@dataclass(frozen=True)
class Sampling(Settings):
    """How codes are drawn.

    Logits are l_none + ``guidance`` (l_y - l_none), where l_y know the label (Ho and Salimans,
    2022), divided by ``draw_temperature``.
    """

    guidance: float = 1.0
    draw_temperature: float = 1.0

    def __post_init__(self) -> None:
        self.check_at_least(0, "guidance")
        self.check_above(0, "draw_temperature")


@dataclass(frozen=True)
class PriorSettings(Settings):
    """What every prior's settings say.

    ``held_out`` is the share of train series that judge and teach nothing; ``smoothing`` is added
    to the counts of codes. ``conditional`` says whether labels are told, where there are some.
    ``sampling`` are the settings that ``fill`` of such a prior takes.
    """

    seed: int = 0
    conditional: bool = True
    held_out: float = 0.1
    smoothing: float = 0.5
    sampling: ClassVar[type[Sampling]] = Sampling

    def __post_init__(self) -> None:
        self.check_at_least(0, "seed")
        self.check_above(0, "smoothing")
        if not 0 <= self.held_out <= 0.5:
            raise TwincodeError(f"held_out must lie between 0 and 0.5, not {self.held_out}")

    def digest(self) -> str:
        """A hash of all that decides the numbers."""
        return digest(self.identity())


@dataclass(frozen=True)
class NetworkSettings(PriorSettings):
    """Those of a transformer d ``model_width`` wide, and how it is trained.

    ``feedforward`` is the perceptrons' width over d. The learning rate rises over the first
    ``warmup_share`` of the ``steps`` and falls over the last ``decay_share``; after ``patience``
    judgements without a gain of 0.5 % on held-out codes it begins early, unless that is 0. In
    training a label is withheld with the probability ``label_dropout``. With ``code_noise`` tau
    above 0 codes are drawn from softmax(-||z - e||^2 / tau) anew each epoch. ``embedding_init`` is
    ``random``, or ``codebook`` where codes begin as the vectors they stand for.
    """

    model_width: int = 64
    layers: int = 3
    heads: int = 2
    feedforward: int = 2
    steps: int = 2000
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.05
    decay_share: float = 0.2
    label_dropout: float = 0.2
    precision: str = "float32"
    patience: int = added(5, before=0)
    code_noise: float = added(0.0, before=0.0)
    embedding_init: str = added("random", before="random")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(
            1, "model_width", "layers", "heads", "feedforward", "steps", "batch_size"
        )
        self.check_at_least(0, "weight_decay", "patience", "code_noise")
        self.check_choice("embedding_init", EMBEDDINGS)
        self.check_above(0, "learning_rate")
        self.check_fraction("warmup_share", "decay_share", "label_dropout")
        self.check_choice("precision", PRECISIONS)
        if self.conditional and not self.label_dropout:
            raise TwincodeError(
                "with label_dropout=0 a prior never learns what no label means; "
                "choose more, or conditional=False"
            )
        if self.model_width % (2 * self.heads):
            raise TwincodeError(
                f"model_width must be a multiple of twice the heads, {2 * self.heads}, "
                f"not {self.model_width}"
            )


class Bits(NamedTuple):
    """Bits (B,) of whole grids, and the standard error (B,) of an estimate; 0 where exact."""

    total: Tensor
    error: Tensor

    @classmethod
    def exact(cls, log_p: Tensor) -> "Bits":
        """Those of log p (B,), in nats."""
        total = -log_p.double() / math.log(2)
        return cls(total, torch.zeros_like(total))


class Prior(nn.Module):
    """A distribution p(s | y) of grids of codes, as tokens (B, N) of ``grids``.

    Labels y (B,) are class indices; ``none``, which is the number of classes, is no label. Losses
    are in nats, likelihoods in bits. ``sampling`` are the settings that ``fill`` takes; nothing but
    training changes a prior, whatever mode it is in. One that ``fills_gaps`` takes all known tokens
    into account, the others only those before; one that ``continues`` has what comes earlier in
    time there. ``at_once`` series are looked at together, at most.
    """

    sampling: type[Sampling] = PriorSettings.sampling
    fills_gaps: bool = True
    continues: bool = True
    at_once: int = CHUNK

    def __init__(self, grids: Grids, classes: int) -> None:
        super().__init__()
        self.grids = grids
        self.none = classes

    def start(self, tokens: Tensor, y: Tensor, expected: Tensor | None = None) -> None:
        """Begin at the frequencies of train tokens and their labels.

        They are smoothed towards ``expected`` shares (N, K) of the codes at each place, even ones
        by default.
        """
        raise NotImplementedError

    def embed_codes(self, codebooks: Sequence[Tensor]) -> None:
        """Let embeddings begin as vectors (K_i, D_i), a codebook each; needless without any."""
        del codebooks

    def stand_for(self, codebooks: Sequence[Tensor]) -> None:
        """Learn what codes stand for, vectors (K_i, D_i) a codebook; needless to most priors."""
        del codebooks

    def loss(self, tokens: Tensor, y: Tensor, generator: Generator) -> Tensor:
        """What a batch of tokens says against the prior, in nats a token."""
        raise NotImplementedError

    def bits(self, tokens: Tensor, y: Tensor, seed: int = 0, draws: int = 8) -> Bits:
        """-log2 p(s | y) of each series, or an upper bound of it that ``draws`` masks estimate."""
        raise NotImplementedError

    def fill(
        self, tokens: Tensor, known: Tensor, y: Tensor, sampling: Sampling, seed: int
    ) -> Tensor:
        """Tokens (B, N) in which those that are not ``known`` (B, N) are drawn."""
        raise NotImplementedError

    def sample(self, y: Tensor, sampling: Sampling, seed: int) -> Tensor:
        """Tokens (B, N) for each of these labels."""
        nothing = torch.zeros(len(y), self.grids.tokens_a_series, dtype=torch.long, device=y.device)
        return self.fill(nothing, nothing.bool(), y, sampling, seed)

    def log_probabilities(self, tokens: Tensor, hidden: Tensor, y: Tensor) -> Tensor:
        """log p (B, N) of each hidden token given those that are not ``hidden`` (B, N) in its grid.

        The grids before its own are known whole, those after it not at all. What stands at other
        places is not told.
        """
        raise NotImplementedError


# Each is built from its settings, the grids and the number of classes.
PRIORS: Registry[Prior, PriorSettings] = Registry("prior", PriorSettings)


def chunks(
    n: int, seed: int, purpose: str = "sampling", size: int = CHUNK
) -> Iterator[tuple[slice, Generator]]:
    """The rows of n series in parts of ``size`` at most, each with a stream of its own."""
    for number, first in enumerate(range(0, n, size)):
        yield slice(first, min(first + size, n)), stream(seed, purpose, number)


def series_at_once(grids: Grids) -> int:
    """How many series a network has memory for: alphabets may be of thousands of codes."""
    return max(1, min(CHUNK, MOST_LOGITS // (grids.tokens_a_series * grids.largest_codebook)))


def uniform(generator: Generator, like: Tensor) -> Tensor:
    """Numbers from [0, 1) for every place of ``like`` (B, n), drawn for a whole chunk."""
    drawn = torch.rand(CHUNK, like.shape[1], generator=generator)
    return drawn[: len(like)].to(like.device)


def gumbel(generator: Generator, like: Tensor) -> Tensor:
    """Standard Gumbel noise for every place of ``like`` (B, n)."""
    return -torch.log(-torch.log(uniform(generator, like).clamp(min=1e-20)))


def guided(both: Tensor, guidance: float) -> Tensor:
    """Logits l_none + g (l_y - l_none) of logits l_y and l_none, one batch after the other.

    Impossible codes, minus infinity in both, stay so.
    """
    logits, blind = both.chunk(2)
    return torch.where(blind.isinf(), blind, blind + guidance * (logits - blind))


def draw(logits: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """A code for each place of logits (B, n, K), by uniform numbers u (B, n), and its log p."""
    log_p = logits.float().log_softmax(-1)
    reached = log_p.exp().cumsum(-1)
    # Rounding must not lead past the last code that is possible, nor a number of exactly 0, one of
    # 2^24, to the first one where that is all but impossible.
    wanted = (u.clamp(min=2**-25) * reached[..., -1]).minimum(reached[..., -1] * (1 - 1e-6))
    codes = (reached <= wanted[..., None]).sum(-1)
    return codes, log_p.gather(-1, codes[..., None])[..., 0]
