"""Filling gaps in series, and what comes after their end."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twincode.errors import TwincodeError, TwincodeWarning, check_count
from twincode.generate.stages import Stages
from twincode.priors import Places
from twincode.randomness import stream_seed
from twincode.settings import Settings, parted


@dataclass(frozen=True)
class Filling(Settings):
    """How gaps are filled.

    They are filled linearly at first. Then, ``refinements`` times, series are encoded, the tokens
    whose columns overlap a gap, or lie within ``reach`` columns of one that does, are drawn given
    the others, and what is decoded fills the gaps. Of ``candidates`` times as many draws those are
    kept that come nearest to the observed values: where every token covers a gap, these alone
    say what the series is.
    """

    refinements: int = 2
    reach: int = 0
    candidates: int = 1

    def __post_init__(self) -> None:
        self.check_at_least(1, "refinements", "candidates")
        self.check_at_least(0, "reach")


def impute(
    stages: Stages, x: Tensor, y: Tensor, draws: int, seed: int, settings: Mapping[str, Any]
) -> Tensor:
    """Series (draws, n, C, L) in which the missing values (NaN) of x are drawn.

    ``settings`` are those of ``Filling`` and of drawing from the prior. A latent sees far, so that
    visible tokens have seen the provisional filling.
    """
    check_count("draws", draws)
    own, others = parted(settings, Filling)
    filling, how = Filling().replace(**own), stages.sampling(others)
    gaps = x.isnan()
    _check_gaps(stages, gaps)
    n, copies = len(x), draws * filling.candidates
    observed = ~gaps.repeat_interleave(copies, 0)
    given = interpolated(x).repeat_interleave(copies, 0)
    known = ~overlapping(stages.places, gaps.any(1), filling.reach)
    if filling.candidates == 1 and (blind := int((~known.any(1)).sum())):
        warnings.warn(
            f"of {blind} of {n} series every token covers a gap, so what is observed tells the "
            "prior nothing; with candidates=20 those of 20 draws are kept that come nearest to it",
            TwincodeWarning,
            stacklevel=2,
        )
    known = known.repeat_interleave(copies, 0)
    labels = y.repeat_interleave(copies, 0)
    filled = decoded = given
    for turn in range(filling.refinements):
        tokens = stages.tokens(filled)
        stream = stream_seed(seed, "sampling", turn)
        tokens = stages.fitted.prior.fill(tokens, known, labels, how, stream)
        decoded = stages.series(tokens).to(x)
        filled = torch.where(observed, given, decoded)
    misses = ((decoded - given).square() * observed).sum((1, 2)).view(n, copies)
    best = misses.topk(draws, dim=1, largest=False).indices.sort(dim=1).values
    chosen = filled.view(n, copies, *x.shape[1:])[torch.arange(n, device=x.device)[:, None], best]
    return chosen.transpose(0, 1)


def interpolated(x: Tensor) -> Tensor:
    """Series with gaps filled linearly in time; what is at an end, by the nearest value.

    A channel without any value is 0, the mean of train.
    """
    filled = x.cpu().numpy().copy()
    steps = np.arange(x.shape[2])
    for row in filled.reshape(-1, x.shape[2]):
        missing = np.isnan(row)
        row[missing] = (
            np.interp(steps[missing], steps[~missing], row[~missing]) if (~missing).any() else 0
        )
    return torch.from_numpy(filled).to(x.device)


def overlapping(places: Places, gaps: Tensor, reach: int) -> Tensor:
    """Whether the column of each token overlaps a gap (n, L), or lies within reach: (n, N).

    That which the encoder makes it of, which has seen what stands in the gap, or that which the
    decoder makes of it.
    """
    L = gaps.shape[1]
    step = torch.arange(L, device=gaps.device)[:, None]
    written, read = (places.overlap(step, step + 1, L, reach, read) for read in (False, True))
    overlap = written | read  # (L, N)
    return gaps.float() @ overlap.float() > 0


def _check_gaps(stages: Stages, gaps: Tensor) -> None:
    if bool(gaps.all((1, 2)).any()):
        raise TwincodeError("a series has no observed value at all; use sample for new series")
    prior, steps = stages.fitted.prior, gaps.any(1)
    trailing = steps.flip(1).cumprod(1).flip(1).bool()
    if not prior.fills_gaps and bool((steps & ~trailing).any()):
        raise TwincodeError(
            f"a prior of kind {stages.fitted.settings.name} continues series only; "
            "train one of kind masked to fill gaps"
        )
    if not prior.continues and bool(gaps.any()):
        raise TwincodeError(
            "a prior with token_order=frequency draws a row to its end before it sees the next "
            "one's beginning; train one with token_order=time to continue series"
        )
