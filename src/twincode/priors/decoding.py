"""Iterative decoding: many tokens at a time, the surest first (Chang et al., 2022, algorithm 1)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from twincode.priors.masks import left_hidden, lowest
from twincode.priors.prior import Sampling, draw, gumbel, uniform

ORDERS = ("confidence", "random")
SCHEMES = ("plain", "ess")
DISTANCES = ("code", "log_probability")

# Logits (B, n, K) of a grid's tokens (B, n), of which some are hidden (B, n).
Logits = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class IterativeSampling(Sampling):
    """Those, in how many steps a grid is drawn, and which places are kept first.

    ``sampling_order`` is ``confidence``, by log p plus noise that fades from ``choice_temperature``
    to none, or ``random``. In random order and with as many steps as places, samples are exact.
    ``sampling_scheme`` is ``plain``, or ``ess``, the enhanced scheme (Lee, Malacarne and Aune,
    2023b), which draws doubtful tokens again. What is doubtful a critic says (``ess_distance``): by
    the distance of the vectors of a ``code`` and of the likeliest one, or by its
    ``log_probability``, which it takes too where codes have no vectors. With ``ess_redraws_known``
    tokens that are kept are drawn again too.
    """

    decoding_steps: int = 10
    choice_temperature: float = 10.0
    sampling_order: str = "confidence"
    sampling_scheme: str = "plain"
    ess_distance: str = "code"
    ess_redraws_known: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "decoding_steps")
        self.check_at_least(0, "choice_temperature")
        self.check_choice("sampling_order", ORDERS)
        self.check_choice("sampling_scheme", SCHEMES)
        self.check_choice("ess_distance", DISTANCES)


def decoding_steps(
    tokens: Tensor,
    known: Tensor,
    logits: Logits,
    sampling: IterativeSampling,
    generator: Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """A grid's tokens (B, n), those that are not ``known`` (B, n) drawn, after each of S steps.

    Step t draws all unknown places and hides again the floor(u cos(pi t / 2 S)) least sure of
    them, u the number unknown at the start, and always fewer than the step before. With the tokens
    comes which are still hidden (B, n): none after the last step.
    """
    S, hidden = sampling.decoding_steps, ~known
    left = left_hidden(hidden.sum(1), S)
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
        hidden = lowest(sure.masked_fill(~hidden, torch.inf), left[t])
        yield tokens, hidden
