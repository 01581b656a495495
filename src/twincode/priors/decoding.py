"""Iterative decoding: many tokens at a time, the surest first (Chang et al., 2022, algorithm 1)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from twincode.priors.masks import cosine, lowest
from twincode.priors.prior import Sampling, draw, gumbel, uniform

ORDERS = ("confidence", "random")

# Logits (B, n, K) of a grid's tokens (B, n), of which some are hidden (B, n).
Logits = Callable[[Tensor, Tensor], Tensor]
# What is told after each step: the tokens as they stand, and which of them are still hidden.
Onlooker = Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class IterativeSampling(Sampling):
    """Those, in how many steps a grid is drawn, and which places are kept first.

    ``sampling_order`` is ``confidence``, by log p plus noise that fades from ``choice_temperature``
    to none, or ``random``. In random order and with as many steps as places, samples are exact.
    """

    decoding_steps: int = 10
    choice_temperature: float = 10.0
    sampling_order: str = "confidence"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "decoding_steps")
        self.check_at_least(0, "choice_temperature")
        self.check_choice("sampling_order", ORDERS)


def fill_grid(
    tokens: Tensor,
    known: Tensor,
    logits: Logits,
    sampling: IterativeSampling,
    generator: Generator,
    onlooker: Onlooker | None = None,
) -> Tensor:
    """A grid's tokens (B, n) with those that are not ``known`` (B, n) drawn, in S steps.

    Step t draws all unknown places and hides again the floor(u cos(pi t / 2 S)) least sure of
    them, u the number unknown at the start, and always fewer than the step before.
    """
    S, hidden = sampling.decoding_steps, ~known
    at_start = left = hidden.sum(1)
    for t in range(1, S + 1):
        u, noise = uniform(generator, tokens), gumbel(generator, tokens)
        if not bool(hidden.any()):
            continue  # what is drawn next must not depend on it
        drawn, log_p = draw(logits(tokens, hidden) / sampling.draw_temperature, u)
        tokens = torch.where(hidden, drawn, tokens)
        if sampling.sampling_order == "random":
            sure = noise
        else:
            sure = log_p + sampling.choice_temperature * (1 - t / S) * noise
        share = cosine(torch.tensor(t / S)) if t < S else 0.0
        left = torch.minimum((at_start * share).floor().long(), left - 1).clamp(min=0)
        hidden = lowest(sure.masked_fill(~hidden, torch.inf), left)
        if onlooker is not None:
            onlooker(tokens, hidden)
    return tokens
