"""The autoregressive prior: each token given those before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from twincode.errors import TwincodeError
from twincode.priors.frequencies import log_frequencies
from twincode.priors.grids import Grids
from twincode.priors.network import TokenNetwork
from twincode.priors.prior import (
    Bits,
    NetworkSettings,
    Prior,
    Sampling,
    chunks,
    draw,
    guided,
    series_at_once,
    uniform,
)

ORDERS = ("time", "frequency")


@dataclass(frozen=True)
class AutoregressiveSettings(NetworkSettings):
    """Those of a network, and in which order the tokens of a grid stand.

    ``token_order`` is ``time``, column by column and the lowest row first, or ``frequency``, row by
    row.
    """

    token_order: str = "time"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choice("token_order", ORDERS)


class AutoregressivePrior(Prior):
    """A causal transformer over the tokens of all grids, one grid after another.

    Its likelihood is exact and so are its samples, of which each takes N passes.
    """

    fills_gaps = False
    order: Tensor

    def __init__(self, settings: AutoregressiveSettings, grids: Grids, classes: int) -> None:
        super().__init__(grids, classes)
        self.settings, self.at_once = settings, series_at_once(grids)
        self.continues = settings.token_order == "time"
        order = _token_order(grids, settings.token_order)
        self.network = TokenNetwork(settings, grids, classes, order)
        self.register_buffer("order", order, persistent=False)

    def start(self, tokens: Tensor, y: Tensor, expected: Tensor | None = None) -> None:
        """Begin as the independent prior."""
        smoothing = self.settings.smoothing
        frequencies = log_frequencies(tokens, y, self.grids, self.none, smoothing, expected)
        self.network.start(frequencies[:, self.order])

    def embed_codes(self, codebooks: Sequence[Tensor]) -> None:
        """Those of the network."""
        self.network.embed_codes(codebooks)

    def loss(self, tokens: Tensor, y: Tensor, generator: Generator) -> Tensor:
        """The mean of -log p over all tokens."""
        del generator
        logits, ordered = self._logits(tokens, y)
        return F.cross_entropy(logits.float().flatten(0, 1), ordered.flatten())

    def bits(self, tokens: Tensor, y: Tensor, seed: int = 0, draws: int = 8) -> Bits:
        """Exact."""
        del seed, draws
        totals = []
        with torch.no_grad():
            for rows, _ in chunks(len(tokens), 0, size=self.at_once):
                logits, ordered = self._logits(tokens[rows], y[rows])
                log_p = logits.float().log_softmax(-1).gather(-1, ordered[..., None])
                totals.append(log_p.double().sum((1, 2)))
        return Bits.exact(torch.cat(totals))

    def fill(
        self, tokens: Tensor, known: Tensor, y: Tensor, sampling: Sampling, seed: int
    ) -> Tensor:
        """Token by token, each given those before it alone: what is known later has no say."""
        filled = tokens.clone()
        with torch.no_grad():
            for rows, generator in chunks(len(tokens), seed, size=self.at_once):
                ordered = self._continue(
                    tokens[rows][:, self.order], known[rows][:, self.order], y[rows], sampling,
                    uniform(generator, tokens[rows]),
                )  # fmt: skip
                part = torch.empty_like(ordered)
                part[:, self.order] = ordered
                filled[rows] = part
        return filled

    def log_probabilities(self, tokens: Tensor, hidden: Tensor, y: Tensor) -> Tensor:
        """Refused: it knows tokens given those before them only."""
        del tokens, hidden, y
        raise TwincodeError(
            "an autoregressive prior cannot tell a token from those around it; "
            "train one of kind masked"
        )

    def _logits(self, tokens: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, N, K) and tokens (B, N), both in the order of modelling."""
        ordered = tokens[:, self.order]
        content = self.network.content(ordered)
        # At each place stands the token before it; at the first one nothing is known.
        begin = torch.full_like(content[:, :1], self.network.mask)
        logits = self.network(torch.cat([begin, content[:, :-1]], 1), y, 0, causal=True)
        return logits, ordered

    def _continue(
        self, tokens: Tensor, known: Tensor, y: Tensor, sampling: Sampling, u: Tensor
    ) -> Tensor:
        """Tokens (B, N), in the order of modelling, with the unknown ones drawn by u (B, N)."""
        tokens, guides = tokens.clone(), sampling.guidance != 1
        labels = torch.cat([y, torch.full_like(y, self.none)]) if guides else y
        cache = self.network.begin(labels)
        content = torch.full_like(labels, self.network.mask)
        for place in range(tokens.shape[1]):
            logits = self.network.step(content, labels, place, cache)
            if guides:
                logits = guided(logits, sampling.guidance)
            drawn, _ = draw(logits[:, None] / sampling.draw_temperature, u[:, place, None])
            tokens[:, place] = torch.where(known[:, place], tokens[:, place], drawn[:, 0])
            content = self.network.content(tokens[:, place, None], first=place)[:, 0]
            content = content.repeat(2) if guides else content
        return tokens


def _token_order(grids: Grids, order: str) -> Tensor:
    """The places in the order of modelling: grid by grid, and in each as ``order`` says."""
    places = grids.places()
    part = torch.repeat_interleave(torch.tensor(grids.sizes))
    keys = (part, places.start, places.book, places.row)
    if order == "frequency":
        keys = (part, places.book, places.row, places.start)
    rows = zip(*(key.tolist() for key in keys), strict=True)
    indexed = sorted(range(len(part)), key=list(rows).__getitem__)
    return torch.tensor(indexed)
