"""The enhanced sampling scheme: what a critic doubts is drawn again (Lee et al., 2023b)."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from twincode.errors import TwincodeError
from twincode.priors.decoding import IterativeSampling, Logits
from twincode.priors.masks import left_hidden, lowest
from twincode.priors.prior import draw, gumbel, uniform

# The share of the steps over which ratios of errors are averaged.
AVERAGED = 0.3

# How far tokens (B, n) are from what logits (B, n, K) say of them, (B, n).
Distance = Callable[[Tensor, Tensor], Tensor]


def distance_of(kind: str, vectors: Tensor | None, offset: Tensor) -> Distance:
    """The squared distance of a code's vector from that of the likeliest, or -log p.

    ``vectors`` (all codes, D) are those of all codebooks; the one of a place begins at ``offset``
    (n,). Raises TwincodeError for a ``code`` distance where there are none.
    """
    if kind == "log_probability":
        return lambda logits, tokens: F.cross_entropy(
            logits.float().flatten(0, 1), tokens.flatten(), reduction="none"
        ).view_as(tokens)
    if vectors is None:
        raise TwincodeError(
            "the codes of this model stand for no vectors of their own; "
            "use ess_distance log_probability"
        )

    def apart(logits: Tensor, tokens: Tensor) -> Tensor:
        likeliest = vectors[logits.argmax(-1) + offset]
        return (likeliest - vectors[tokens + offset]).square().sum(-1)

    return apart


def log_confidence(tokens: Tensor, known: Tensor, logits: Logits, distance: Distance) -> Tensor:
    """log c (B, n), c a softmax over places of minus the distance given all other tokens.

    What is ``known`` is beyond doubt: infinity. It takes n passes.
    """
    found = torch.zeros(tokens.shape, device=tokens.device)
    alone = torch.eye(tokens.shape[1], dtype=torch.bool, device=tokens.device)
    for place, hidden in enumerate(alone):
        missed = distance(logits(tokens, hidden.expand(tokens.shape)), tokens)
        found[:, place] = missed[:, place]
    return (-found).masked_fill(known, -torch.inf).log_softmax(1).masked_fill(known, torch.inf)


def turning_steps(
    tokens: Tensor, confidence: Tensor, left: Tensor, logits: Logits, distance: Distance
) -> Tensor:
    """The step t* (B,) of each series from which on it is to be decoded anew.

    Backwards from the last step, e_t is the mean distance of the tokens that step t + 1 would have
    kept, predicted from the more confident ones. t* is the first at which ratios e_t / e_(t + 1)
    have a mean above 1 over the last steps, or else 1. ``left`` (S + 1, B) are the numbers hidden.
    """
    S, found = len(left) - 1, torch.ones_like(left[0])
    open_, ratios = torch.ones_like(found).bool(), list[Tensor]()
    later: Tensor | None = None
    for t in range(S - 1, 0, -1):
        hidden = lowest(confidence, left[t])
        judged = hidden & ~lowest(confidence, left[t + 1])
        missed = distance(logits(tokens, hidden), tokens) * judged
        error = missed.sum(1) / judged.sum(1).clamp(min=1)
        if later is not None:
            error = torch.where(judged.any(1), error, later)
            ratios.append(error / (later + 1e-5))
        later = error
        wanted = max(1, round(AVERAGED * S))
        if len(ratios) >= wanted:
            turns = open_ & (torch.stack(ratios[-wanted:]).mean(0) > 1)
            found = torch.where(turns, t, found)
            open_ = open_ & ~turns
    return found


def enhanced_steps(
    tokens: Tensor,
    steps: Iterable[tuple[Tensor, Tensor]],
    known: Tensor,
    logits: Logits,
    distance: Distance,
    sampling: IterativeSampling,
    generator: Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The steps of plain decoding of ``tokens`` (B, n), then those that draw doubtful ones again.

    From t* on, with the k_(t* + 1) least confident tokens hidden, tokens are drawn, judged by the
    critic with noise, and the least confident hidden again, fewer each time. With
    ``ess_redraws_known`` all but those ``known`` (B, n) are drawn.
    """
    for tokens, hidden in steps:
        yield tokens, hidden
    S, tau = sampling.decoding_steps, sampling.choice_temperature
    left = left_hidden((~known).sum(1), S)
    confidence = log_confidence(tokens, known, logits, distance)
    turn = turning_steps(tokens, confidence, left, logits, distance)
    hidden = lowest(confidence, left.gather(0, (turn + 1).clamp(max=S)[None])[0])
    for t in range(2, S + 1):
        u, noise = uniform(generator, tokens), gumbel(generator, tokens)
        active = (turn < t)[:, None]
        if not bool(active.any()):
            continue  # what is drawn next must not depend on it
        drawn, _ = draw(logits(tokens, hidden) / sampling.draw_temperature, u)
        anew = ~known if sampling.ess_redraws_known else hidden
        tokens = torch.where(anew & active, drawn, tokens)
        if t < S:
            sure = log_confidence(tokens, known, logits, distance) + tau * (1 - t / S) * noise
            hidden = torch.where(active, lowest(sure, left[t + 1]), hidden)
        else:
            hidden = torch.zeros_like(hidden)
        yield tokens, hidden
