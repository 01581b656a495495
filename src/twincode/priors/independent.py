"""Tokens that know nothing of one another: the control of every table."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from twincode.priors.frequencies import log_frequencies
from twincode.priors.grids import Grids
from twincode.priors.prior import (
    Bits,
    Prior,
    PriorSettings,
    Sampling,
    chunks,
    draw,
    guided,
    uniform,
)

MOST_LOGITS = 1 << 22  # at once: alphabets may be of hundreds of codes


@dataclass(frozen=True)
class IndependentSettings(PriorSettings):
    """Those that every prior has."""


class IndependentPrior(Prior):
    """p(s | y) = product of the smoothed train frequencies at each place, for each class apart.

    Frequencies of a class are smoothed towards those of all series. There is nothing to train.
    """

    log_p: Tensor

    def __init__(self, settings: IndependentSettings, grids: Grids, classes: int) -> None:
        super().__init__(grids, classes)
        self.smoothing = settings.smoothing
        shape = (classes + 1, grids.tokens_a_series, grids.largest_codebook)
        sizes = grids.places().size
        even = -sizes.double().log()[:, None].expand(shape)
        beyond = torch.arange(shape[2]) >= sizes[:, None]
        self.register_buffer("log_p", even.masked_fill(beyond, -torch.inf).float())

    def start(self, tokens: Tensor, y: Tensor, expected: Tensor | None = None) -> None:
        """Take the frequencies of train."""
        found = log_frequencies(tokens, y, self.grids, self.none, self.smoothing, expected)
        self.log_p.copy_(found)

    def loss(self, tokens: Tensor, y: Tensor, generator: Generator) -> Tensor:
        """The mean of -log p."""
        del generator
        return -self._of(tokens, y).mean()

    def bits(self, tokens: Tensor, y: Tensor, seed: int = 0, draws: int = 8) -> Bits:
        """Exact."""
        del seed, draws
        return Bits.exact(self._of(tokens, y).double().sum(1))

    @torch.no_grad()
    def fill(
        self, tokens: Tensor, known: Tensor, y: Tensor, sampling: Sampling, seed: int
    ) -> Tensor:
        """All unknown tokens at once."""
        filled = tokens.clone()
        at_once = max(1, MOST_LOGITS // self.log_p[0].numel())
        for rows, generator in chunks(len(tokens), seed):
            u = uniform(generator, tokens[rows])
            parts = zip(y[rows].split(at_once), u.split(at_once), strict=True)
            drawn = torch.cat([self._draw(*part, sampling) for part in parts])
            filled[rows] = torch.where(known[rows], tokens[rows], drawn)
        return filled

    def _draw(self, y: Tensor, u: Tensor, sampling: Sampling) -> Tensor:
        """Tokens (B, N) of labels (B,), by uniform numbers u (B, N)."""
        logits = self.log_p[y]
        if sampling.guidance != 1:
            logits = guided(
                torch.cat([logits, self.log_p[self.none].expand_as(logits)]), sampling.guidance
            )
        return draw(logits / sampling.draw_temperature, u)[0]

    def log_probabilities(self, tokens: Tensor, hidden: Tensor, y: Tensor) -> Tensor:
        """What the others are does not matter."""
        del hidden
        return self._of(tokens, y)

    def _of(self, tokens: Tensor, y: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.log_p[y[:, None], places, tokens]
