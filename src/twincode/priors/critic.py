"""The enhanced sampling scheme: what a critic doubts is drawn again (Lee et al., 2023, 2309.07945).

The authors' code moves a whole batch to one t* and treats the lowest grid alone; here each series
has a t* of its own, and all grids are treated alike.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from twincode.priors.decoding import IterativeSampling, Logits
from twincode.priors.masks import left_hidden, lowest
from twincode.priors.prior import draw, gumbel, uniform

# The share of the steps over which ratios of errors are averaged.
AVERAGED = 0.3
EVERY = slice(None)

Rows = Tensor | slice
# Logits of the series in these rows of a batch.
LogitsOf = Callable[[Rows], Logits]
# How far tokens (B, m) at some places of a grid are from what logits (B, m, K) say of them, (B, m).
Distance = Callable[[Tensor, Tensor, slice], Tensor]


def distance_of(kind: str, vectors: Tensor | None, offset: Tensor) -> Distance:
    """With ``code`` the squared distance of a code's vector from that of the likeliest code.

    With ``log_probability``, or without ``vectors`` (all codes, D), -log p. The vectors of the
    codebook of a place begin at ``offset`` (n,).
    """
    if kind == "log_probability" or vectors is None:
        return lambda logits, tokens, _: F.cross_entropy(
            logits.float().flatten(0, 1), tokens.flatten(), reduction="none"
        ).view_as(tokens)

    def apart(logits: Tensor, tokens: Tensor, places: slice) -> Tensor:
        likeliest = vectors[logits.argmax(-1) + offset[places]]
        return (likeliest - vectors[tokens + offset[places]]).square().sum(-1)

    return apart


def log_confidence(tokens: Tensor, known: Tensor, logits: Logits, distance: Distance) -> Tensor:
    """log c (B, n), c a softmax over places of minus the distance given all other tokens.

    What is ``known`` is beyond doubt: infinity. It takes n passes.
    """
    found = torch.zeros(tokens.shape, device=tokens.device)
    alone = torch.eye(tokens.shape[1], dtype=torch.bool, device=tokens.device)
    for place, hidden in enumerate(alone):
        here = slice(place, place + 1)
        told = logits(tokens, hidden.expand(tokens.shape))[:, here]
        found[:, here] = -distance(told, tokens[:, here], here)
    return found.masked_fill(known, -torch.inf).log_softmax(1).masked_fill(known, torch.inf)


def turning_steps(
    tokens: Tensor, confidence: Tensor, left: Tensor, logits: Logits, distance: Distance
) -> Tensor:
    """The step t* (B,) of each series from which on it is to be decoded again.

    Tokens are hidden in the order of ``confidence`` (B, n), as many after step t as ``left``
    (S + 1, B) says. Backwards from S - 1, e_t is the mean distance of the tokens that step t + 1
    shows and step t hides, told from those that step t shows. t* is the first at which ratios
    e_t / (e_(t + 1) + 1e-5) have a mean above 1, the last round(0.3 S) of them at most; or else 1.
    """
    S = len(left) - 1
    turn, open_ = torch.ones_like(left[0]), torch.ones_like(left[0], dtype=torch.bool)
    later, ratios = torch.full(turn.shape, torch.nan, device=turn.device), list[Tensor]()
    for t in range(S - 1, 0, -1):
        hidden = lowest(confidence, left[t])
        asked = hidden & ~lowest(confidence, left[t + 1])
        missed = torch.where(asked, distance(logits(tokens, hidden), tokens, EVERY), 0.0)
        error = missed.sum(1) / asked.sum(1)  # not a number where a small grid is done early
        ratios.append(error / (later + 1e-5))
        later = error
        mean = torch.stack(ratios[-max(1, round(AVERAGED * S)) :]).nanmean(0)
        turn = torch.where(open_ & (mean > 1), t, turn)
        open_ = open_ & ~(mean > 1)
    return turn


def enhanced_steps(
    tokens: Tensor,
    steps: Iterable[tuple[Tensor, Tensor]],
    known: Tensor,
    logits_of: LogitsOf,
    distance: Distance,
    sampling: IterativeSampling,
    generator: Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The steps of plain decoding of ``tokens`` (B, n), then those that draw doubtful ones again.

    From each series' own t* on, with its k_(t* + 1) least confident tokens hidden, each step draws
    all tokens but those ``known`` (B, n), or only hidden ones without ``ess_redraws_known``, and
    hides again those that the critic, with noise that fades, is least sure of. Guidance holds for
    the critic too.
    """
    for tokens, hidden in steps:
        yield tokens, hidden
    tokens, S = tokens.clone(), sampling.decoding_steps
    left, logits = left_hidden((~known).sum(1), S), logits_of(EVERY)
    confidence = log_confidence(tokens, known, logits, distance)
    turn = turning_steps(tokens, confidence, left, logits, distance)
    hidden = lowest(confidence, left.gather(0, (turn + 1).clamp(max=S)[None])[0])
    for t in range(1, S):
        u, noise = uniform(generator, tokens), gumbel(generator, tokens)
        rows = (turn <= t).nonzero()[:, 0]
        if not len(rows):
            continue  # what is drawn next must not depend on it
        logits, own = logits_of(rows), known[rows]
        drawn, _ = draw(logits(tokens[rows], hidden[rows]) / sampling.draw_temperature, u[rows])
        anew = ~own if sampling.ess_redraws_known else hidden[rows]
        tokens[rows] = torch.where(anew, drawn, tokens[rows])
        if t < S - 1:
            fading = sampling.choice_temperature * (1 - (t + 1) / S)
            sure = log_confidence(tokens[rows], own, logits, distance) + fading * noise[rows]
            hidden[rows] = lowest(sure, left[t + 1, rows])
        else:
            hidden[rows] = False
        yield tokens.clone(), hidden.clone()
