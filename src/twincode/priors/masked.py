"""The masked prior: any tokens given any others (Chang et al., 2022, MaskGIT)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from twincode.priors.decoding import IterativeSampling, Logits, Onlooker, fill_grid
from twincode.priors.frequencies import log_frequencies
from twincode.priors.grids import Grids
from twincode.priors.masks import SCHEDULES, bound_masks, training_masks
from twincode.priors.network import TokenNetwork
from twincode.priors.prior import Bits, NetworkSettings, Prior, Sampling, chunks, guided
from twincode.settings import added

LOSSES = ("masked", "all")
SHARES = ("series", "batch")


@dataclass(frozen=True)
class MaskedSettings(NetworkSettings):
    """Those of a network, which share of a grid is masked, and which tokens are learnt.

    ``mask_schedule`` is ``cosine``, ``kept_cosine`` or ``uniform``; the share is drawn once a
    ``series`` or once a ``batch`` (``share_per``); the loss is on ``masked`` tokens or on ``all``.
    """

    mask_schedule: str = "cosine"
    loss_on: str = "masked"
    share_per: str = added("series", before="series")
    sampling: ClassVar[type[Sampling]] = IterativeSampling

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choice("mask_schedule", SCHEDULES)
        self.check_choice("loss_on", LOSSES)
        self.check_choice("share_per", SHARES)


class Moment(NamedTuple):
    """Tokens (B, N) after a step of decoding, and which are still hidden.

    What stands in hidden places is what was drawn last, and 0 from the place ``begun`` on, where
    grids have not begun.
    """

    tokens: Tensor
    hidden: Tensor
    begun: int


class MaskedPrior(Prior):
    """A bidirectional transformer that tells masked tokens of a grid from the others.

    A training batch is about one grid s_i, drawn with the probability N_i / N; those before it
    stand whole in the sequence, those after it are left out.
    """

    sampling = MaskedSettings.sampling

    def __init__(self, settings: MaskedSettings, grids: Grids, classes: int) -> None:
        super().__init__(grids, classes)
        self.settings = settings
        order = torch.arange(grids.tokens_a_series)
        self.network = TokenNetwork(settings, grids, classes, order)

    def start(self, tokens: Tensor, y: Tensor) -> None:
        """Begin as the independent prior."""
        del y
        self.network.start(log_frequencies(tokens, self.grids, self.settings.smoothing))

    def embed_codes(self, codebooks: Sequence[Tensor]) -> None:
        """Those of the network."""
        self.network.embed_codes(codebooks)

    def loss(self, tokens: Tensor, y: Tensor, generator: Generator) -> Tensor:
        """The mean of -log p over the masked tokens of one grid."""
        # Which grid decides what is computed, so the host has to know.
        turn = int(torch.randint(tokens.shape[1], (), generator=generator, device=generator.device))
        first, after = next(each for each in self._spans() if turn < each[1])
        schedule = SCHEDULES[self.settings.mask_schedule]
        one = self.settings.share_per == "batch"
        hidden = training_masks(len(tokens), after - first, schedule, generator, one)
        logits = self._logits(tokens[:, :after], hidden, y, first)
        counted = hidden if self.settings.loss_on == "masked" else torch.ones_like(hidden)
        return F.cross_entropy(logits[counted].float(), tokens[:, first:after][counted])

    def bits(self, tokens: Tensor, y: Tensor, seed: int = 0, draws: int = 8) -> Bits:
        """An upper bound that expects what it is over all orders of the tokens of each grid.

        -log p(s_i) <= N_i E over m uniform on 1 .. N_i and masks of size m of the mean of -log p
        over the masked tokens (Uria et al., 2014; Hoogeboom et al., 2022).
        """
        totals, errors = [], []
        for rows, generator in chunks(len(tokens), seed, "masks"):
            estimates = self._estimates(tokens[rows], y[rows], draws, generator)
            totals.append(estimates.mean(0))
            spread = estimates.std(0) if draws > 1 else torch.full_like(totals[-1], math.nan)
            errors.append(spread / math.sqrt(draws))
        return Bits(torch.cat(totals), torch.cat(errors))

    def fill(
        self, tokens: Tensor, known: Tensor, y: Tensor, sampling: Sampling, seed: int
    ) -> Tensor:
        """Grid after grid by iterative decoding."""
        return self._fill(tokens, known, y, sampling, seed)

    def decoding(self, y: Tensor, sampling: Sampling, seed: int) -> list[Moment]:
        """How that comes about, step by step, what ``sample`` gives for a few labels."""
        found: list[Moment] = []
        nothing = torch.zeros(len(y), self.grids.tokens_a_series, dtype=torch.long, device=y.device)
        self._fill(nothing, nothing.bool(), y, sampling, seed, found)
        return found

    def _fill(
        self, tokens: Tensor, known: Tensor, y: Tensor, sampling: Sampling, seed: int,
        told: list[Moment] | None = None,
    ) -> Tensor:  # fmt: skip
        assert isinstance(sampling, IterativeSampling)
        filled = tokens.clone()
        with torch.no_grad():
            for rows, generator in chunks(len(tokens), seed):
                part = filled[rows]
                for first, after in self._spans():
                    logits = self._guided(part[:, :first], y[rows], sampling.guidance)
                    part[:, first:after] = fill_grid(
                        part[:, first:after], known[rows, first:after], logits, sampling, generator,
                        None if told is None else _teller(told, part, first, after),
                    )  # fmt: skip
                filled[rows] = part
        return filled

    def log_probabilities(self, tokens: Tensor, hidden: Tensor, y: Tensor) -> Tensor:
        """Exact, of each hidden token by itself."""
        found = []
        with torch.no_grad():
            for first, after in self._spans():
                own = hidden[:, first:after]
                if not bool(own.any()):
                    found.append(torch.zeros_like(own, dtype=torch.float32))
                    continue
                logits = self._logits(tokens[:, :after], own, y, first)
                found.append(_log_p(logits, tokens[:, first:after]))
        return torch.cat(found, dim=1)

    def _spans(self) -> Iterator[tuple[int, int]]:
        """The first token of each grid, and the first after it."""
        first = 0
        for size in self.grids.sizes:
            yield first, first + size
            first += size

    def _logits(self, tokens: Tensor, hidden: Tensor, y: Tensor, first: int) -> Tensor:
        """Logits of the grid that begins at ``first``, of tokens (B, n) up to its end."""
        content = self.network.content(tokens)
        content = torch.cat(
            [content[:, :first], content[:, first:].masked_fill(hidden, self.network.mask)], dim=1
        )
        logits: Tensor = self.network(content, y, first)
        return logits

    def _guided(self, before: Tensor, y: Tensor, guidance: float) -> Logits:
        """Logits of a grid given those before it; two passes in one where they are guided."""

        def plain(tokens: Tensor, hidden: Tensor) -> Tensor:
            return self._logits(torch.cat([before, tokens], 1), hidden, y, before.shape[1])

        def both(tokens: Tensor, hidden: Tensor) -> Tensor:
            whole = torch.cat([before, tokens], 1).repeat(2, 1)
            labels = torch.cat([y, torch.full_like(y, self.none)])
            logits = self._logits(whole, hidden.repeat(2, 1), labels, before.shape[1])
            return guided(logits, guidance)

        return plain if guidance == 1 else both

    def _estimates(self, tokens: Tensor, y: Tensor, draws: int, generator: Generator) -> Tensor:
        """Bits (draws, B) of whole series, each estimated from one mask a grid."""
        B = len(tokens)
        found = torch.zeros(draws, B, dtype=torch.float64, device=tokens.device)
        with torch.no_grad():
            for first, after in self._spans():
                n = after - first
                # For a whole chunk, whether it is there or not, as all that is drawn.
                hidden, count = bound_masks(n, draws, generator)
                for each, size, out in zip(hidden, count, found, strict=True):
                    own = each[:B].to(tokens.device)
                    logits = self._logits(tokens[:, :after], own, y, first)
                    log_p = _log_p(logits, tokens[:, first:after]).double()
                    out -= (log_p * own).sum(1) * n / size[:B].to(tokens.device)
        return found / math.log(2)


def _teller(told: list[Moment], whole: Tensor, first: int, after: int) -> Onlooker:
    """Adds to ``told`` how all tokens ``whole`` (B, N) stand while one grid is drawn."""

    def tell(tokens: Tensor, hidden: Tensor) -> None:
        now, unknown = whole.clone(), torch.zeros_like(whole, dtype=torch.bool)
        now[:, first:after], unknown[:, first:after] = tokens, hidden
        unknown[:, after:] = True
        told.append(Moment(now, unknown, after))

    return tell


def _log_p(logits: Tensor, tokens: Tensor) -> Tensor:
    """log p (B, n) of tokens under logits (B, n, K)."""
    return logits.float().log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
