"""The masked prior: any tokens given any others (Chang et al., 2022, MaskGIT)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from twincode.priors.critic import EVERY, Rows, distance_of, enhanced_steps
from twincode.priors.decoding import IterativeSampling, Logits, decoding_steps
from twincode.priors.frequencies import log_frequencies
from twincode.priors.grids import Grids
from twincode.priors.masks import SCHEDULES, bound_masks, training_masks
from twincode.priors.network import TokenNetwork
from twincode.priors.prior import (
    Bits,
    NetworkSettings,
    Prior,
    Sampling,
    chunks,
    guided,
    series_at_once,
)
from twincode.settings import added

LOSSES = ("masked", "all")
SHARES = ("series", "batch")


@dataclass(frozen=True)
class MaskedSettings(NetworkSettings):
    """Those of a network, which share of a grid is masked, and which tokens are learnt.

    ``mask_schedule`` is ``cosine``, ``kept_cosine`` or ``uniform``; the share is drawn once a
    ``series`` or once a ``batch`` (``share_per``); the loss is on ``masked`` tokens or on ``all``.
    With ``prior_per_grid`` each grid has a network of its own.
    """

    mask_schedule: str = "cosine"
    loss_on: str = "masked"
    share_per: str = added("series", before="series")
    prior_per_grid: bool = added(False, before=False)
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
        self.settings, self.at_once = settings, series_at_once(grids)
        order = torch.arange(grids.tokens_a_series)
        count = len(grids.sizes) if settings.prior_per_grid else 1
        networks = [TokenNetwork(settings, grids, classes, order) for _ in range(count)]
        self.network = networks[0]
        self.further = nn.ModuleList(networks[1:])  # of the grids after the first
        self.vectors: Tensor | None  # not saved: the tokenizer has them
        self.register_buffer("vectors", None, persistent=False)

    def start(self, tokens: Tensor, y: Tensor, expected: Tensor | None = None) -> None:
        """Begin as the independent prior."""
        smoothing = self.settings.smoothing
        frequencies = log_frequencies(tokens, y, self.grids, self.none, smoothing, expected)
        for network in self._networks:
            network.start(frequencies)

    def embed_codes(self, codebooks: Sequence[Tensor]) -> None:
        """Those of the networks."""
        for network in self._networks:
            network.embed_codes(codebooks)

    @property
    def _networks(self) -> list[TokenNetwork]:
        """That of every grid, or of all."""
        return [self.network, *cast(list[TokenNetwork], list(self.further))]

    def stand_for(self, codebooks: Sequence[Tensor]) -> None:
        """Keep the vectors of all codes, for the critic of the enhanced sampling scheme."""
        if sum(map(len, codebooks)) != self.network.mask:
            return  # codes without vectors
        D = max(book.shape[1] for book in codebooks)
        padded = [F.pad(book.detach(), (0, D - book.shape[1])) for book in codebooks]
        self.vectors = torch.cat(padded).to(self.network.offset.device)

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
        for rows, generator in chunks(len(tokens), seed, "masks", self.at_once):
            estimates = self._estimates(tokens[rows], y[rows], draws, generator)
            totals.append(estimates.mean(0))
            spread = estimates.std(0) if draws > 1 else torch.full_like(totals[-1], math.nan)
            errors.append(spread / math.sqrt(draws))
        return Bits(torch.cat(totals), torch.cat(errors))

    def fill(
        self, tokens: Tensor, known: Tensor, y: Tensor, sampling: Sampling, seed: int
    ) -> Tensor:
        """Grid after grid by iterative decoding."""
        filled = tokens.clone()
        for rows, generator in chunks(len(tokens), seed, size=self.at_once):
            for moment in self._fill(tokens[rows], known[rows], y[rows], sampling, generator):
                filled[rows] = moment.tokens
        return filled

    def decoding(self, y: Tensor, sampling: Sampling, seed: int) -> list[Moment]:
        """How that comes about, step by step: what ``sample`` gives for ``at_once`` labels."""
        nothing = torch.zeros(len(y), self.grids.tokens_a_series, dtype=torch.long, device=y.device)
        ((_, generator),) = chunks(len(y), seed, size=self.at_once)
        return list(self._fill(nothing, nothing.bool(), y, sampling, generator))

    @torch.no_grad()
    def _fill(
        self, tokens: Tensor, known: Tensor, y: Tensor, sampling: Sampling, generator: Generator
    ) -> Iterator[Moment]:
        """A chunk of series after each step of each grid."""
        assert isinstance(sampling, IterativeSampling)
        for first, after in self._spans():
            part, own = tokens[:, first:after], known[:, first:after]
            logits_of = partial(self._guided, tokens[:, :first], y, sampling.guidance)
            steps = decoding_steps(part, own, logits_of(EVERY), sampling, generator)
            if sampling.sampling_scheme == "ess":
                offset = self.network.offset[first:after]
                distance = distance_of(sampling.ess_distance, self.vectors, offset)
                steps = enhanced_steps(part, steps, own, logits_of, distance, sampling, generator)
            for part, still in steps:
                tokens = torch.cat([tokens[:, :first], part, tokens[:, after:]], dim=1)
                hidden = torch.zeros_like(known)
                hidden[:, first:after], hidden[:, after:] = still, True
                yield Moment(tokens, hidden, after)

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
        content = self.network.content(tokens)  # codes as numbers, the same for every network
        content = torch.cat(
            [content[:, :first], content[:, first:].masked_fill(hidden, self.network.mask)], dim=1
        )
        spans = [start for start, _ in self._spans()]
        network = self._networks[spans.index(first)] if self.further else self.network
        logits: Tensor = network(content, y, first)
        return logits

    def _guided(self, before: Tensor, y: Tensor, guidance: float, rows: Rows) -> Logits:
        """Logits of a grid given those ``before`` it, of these rows of a batch.

        Where they are guided, two passes are made in one.
        """
        before, y = before[rows], y[rows]

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


def _log_p(logits: Tensor, tokens: Tensor) -> Tensor:
    """log p (B, n) of tokens under logits (B, n, K)."""
    return logits.float().log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
