"""How likely series are."""

import math

import torch
from torch import Tensor

from twincode.errors import TwincodeError, check_count, unknown_name
from twincode.generate.stages import Stages
from twincode.priors.prior import chunks

UNITS = ("dimension", "token", "step", "series")
HIDING = 2  # times as many series at once as a prior looks at, each with another token hidden
LEAST_VARIANCE = 1e-12  # of codes without an error the density is unbounded


def bits(
    stages: Stages, x: Tensor, y: Tensor, unit: str = "dimension", draws: int = 8, seed: int = 0
) -> Tensor:
    """Bits (n,) of each series, a ``dimension``, a ``token`` or a ``step``, or of all of it.

    A token or step costs -log2 p(s | y) divided by the number of tokens, or of values C L. A
    dimension also costs what the codes leave over, under a decoder with the variance v of the error
    on train: (-log2 p(s | y) + C L / 2 log2(2 pi v) + ||x - x_hat||^2 log2(e) / (2 v)) / (C L),
    in scaled units (eqs. 4.5, 4.7 and 4.8, with the prior learnt). Only this compares tokenizers.
    It is an upper bound, since one code is taken as certain.
    """
    if unit not in UNITS:
        raise unknown_name("unit", unit, UNITS)
    check_count("draws", draws)
    tokens = stages.tokens(x)
    total = stages.fitted.prior.bits(tokens, y, seed, draws).total
    size = x[0].numel()
    if unit == "series":
        return total
    if unit == "token":
        return total / tokens.shape[1]
    if unit == "step":
        return total / size
    v = stages.fitted.variance
    if v is None:
        raise TwincodeError("bits a dimension need a decoder, and this model has none")
    v = max(v, LEAST_VARIANCE)
    error = (stages.series(tokens).to(x) - x).double().square().sum((1, 2))
    left = size / 2 * math.log2(2 * math.pi * v) + error * math.log2(math.e) / (2 * v)
    return (total + left.to(total)) / size


def pseudo_bits(stages: Stages, tokens: Tensor, y: Tensor) -> Tensor:
    """Bits a token (n,) of each token given all others of its grid: the pseudo-likelihood.

    Samples that have fewer than real codes are too typical. It takes as many passes as there are
    tokens, and a prior that takes those on both sides into account.
    """
    n, N = tokens.shape
    total = torch.zeros(n, dtype=torch.float64, device=tokens.device)
    alone = torch.eye(N, dtype=torch.bool, device=tokens.device)
    at_once = stages.fitted.prior.at_once
    for rows, _ in chunks(n, 0, size=at_once):
        own, told = tokens[rows], y[rows]
        for hidden in alone.split(max(1, HIDING * at_once // len(own))):
            # Each series once for every token that it hides.
            times, hidden = len(hidden), hidden.repeat_interleave(len(own), 0)
            log_p = stages.fitted.prior.log_probabilities(
                own.repeat(times, 1), hidden, told.repeat(times)
            )
            total[rows] -= log_p[hidden].view(times, -1).double().sum(0) / math.log(2)
    return total / N
