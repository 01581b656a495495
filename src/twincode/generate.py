"""A tokenizer and a prior over its codes together: likelihood, new series, gaps and surprise.

Series are scaled tensors (n, C, L) here; ``Model`` takes and gives them in their units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twincode.errors import TwincodeError, unknown_name
from twincode.priors import NO_LABEL, FittedPrior, Places, Sampling, class_indices
from twincode.priors.prior import CHUNK, chunks
from twincode.randomness import stream_seed
from twincode.settings import field_types
from twincode.tokenizers import Tokenizer, embed

TRAIN = "train"
UNITS = ("dimension", "token", "step", "series")
WINDOWS = (0.1, 0.3, 0.5)


@dataclass(frozen=True)
class Stages:
    """Both stages of a model."""

    tokenizer: Tokenizer
    fitted: FittedPrior

    @property
    def device(self) -> torch.device:
        """Where they compute."""
        return next(iter(self.fitted.prior.state_dict().values())).device

    @cached_property
    def places(self) -> Places:
        """Where the tokens stand."""
        return Places(*(each.to(self.device) for each in self.fitted.prior.grids.places()))

    def tokens(self, x: Tensor) -> Tensor:
        """Tokens (n, N) of series x."""
        codes = embed(self.tokenizer, x).codes
        assert codes is not None
        return self.fitted.prior.grids.flatten(codes.to(self.device))

    def series(self, tokens: Tensor) -> Tensor:
        """The series (n, C, L) that tokens (n, N) stand for."""
        codes = self.fitted.prior.grids.unflatten(tokens)
        return torch.cat([self.tokenizer.decode(part) for part in self.tokenizer.batches(codes)])

    def labels(self, n: int, labels: str | Sequence[str] | None, seed: int = 0) -> Tensor:
        """Label indices (n,): drawn as in ``train``, of one class, of one a series, or none.

        Without ``labels`` those of train, where there were any.
        """
        fitted = self.fitted
        if labels is None:
            labels = TRAIN if fitted.classes else NO_LABEL
        if not isinstance(labels, str):
            if len(labels) != n:
                raise TwincodeError(f"there are {len(labels)} labels for {n} series")
            return class_indices(list(map(str, labels)), fitted).to(self.device)
        if labels != TRAIN or TRAIN in fitted.classes:
            return torch.full((n,), fitted.label(labels), device=self.device)
        if not fitted.classes:
            raise TwincodeError("this prior knows no labels; use labels none")
        shares = torch.tensor(fitted.counts, dtype=torch.float64)
        drawn = [
            shares.multinomial(CHUNK, replacement=True, generator=generator)
            for _, generator in chunks(n, seed, "labels")
        ]
        return torch.cat(drawn)[:n].to(self.device)

    def sampling(self, settings: dict[str, Any]) -> Sampling:
        """How to draw; TwincodeError for what this prior cannot be told."""
        known = field_types(self.fitted.prior.sampling)
        for name in settings:
            if name not in known:
                raise unknown_name(f"sampling setting of a {self._kind} prior", name, known)
        return self.fitted.prior.sampling().replace(**settings)

    @property
    def _kind(self) -> str:
        return self.fitted.settings.name


def sample_tokens(
    stages: Stages, n: int, labels: str | Sequence[str] | None, seed: int, **settings: Any
) -> tuple[Tensor, Tensor]:
    """Tokens (n, N) drawn from the prior, and the labels (n,) they were drawn for."""
    if n < 1:
        raise TwincodeError(f"at least one series must be asked for, not {n}")
    y = stages.labels(n, labels, seed)
    return stages.fitted.prior.sample(y, stages.sampling(settings), seed), y


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
    v = max(v, 1e-12)  # of codes without an error the density is unbounded
    error = (stages.series(tokens).to(x) - x).double().square().sum((1, 2))
    left = size / 2 * math.log2(2 * math.pi * v) + error * math.log2(math.e) / (2 * v)
    return (total + left.to(total)) / size


def impute(
    stages: Stages,
    x: Tensor,
    y: Tensor,
    draws: int = 1,
    seed: int = 0,
    refinements: int = 2,
    reach: int = 0,
    candidates: int = 1,
    **settings: Any,
) -> Tensor:
    """Series (draws, n, C, L) in which the missing values (NaN) of x are drawn.

    Gaps are filled linearly at first. Then, ``refinements`` times, series are encoded, the tokens
    whose columns overlap a gap, or lie within ``reach`` columns of one that does, are drawn given
    the others, and what is decoded fills the gaps. Of ``candidates`` times as many draws those are
    kept that come nearest to the observed values. A latent sees far, so that visible tokens have
    seen the provisional filling.
    """
    for name, value in {
        "draws": draws,
        "refinements": refinements,
        "candidates": candidates,
    }.items():
        if value < 1:
            raise TwincodeError(f"{name} must be at least 1, not {value}")
    if reach < 0:
        raise TwincodeError(f"reach must not be negative, not {reach}")
    gaps = x.isnan()
    _check_gaps(stages, gaps)
    n, copies = len(x), draws * candidates
    observed = ~gaps.repeat_interleave(copies, 0)
    given = interpolated(x).repeat_interleave(copies, 0)
    known = ~_overlapping(stages.places, gaps.any(1), reach).repeat_interleave(copies, 0)
    labels, how = y.repeat_interleave(copies, 0), stages.sampling(settings)
    filled = decoded = given
    for turn in range(refinements):
        tokens = stages.tokens(filled)
        own = stream_seed(seed, "sampling", turn)
        tokens = stages.fitted.prior.fill(tokens, known, labels, how, own)
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


def surprise(stages: Stages, x: Tensor, y: Tensor, windows: Sequence[float] = WINDOWS) -> Tensor:
    """How surprising every step is, in bits, by row of the grid: (n, H, L).

    a[h, w] is the mean over the tokens of row h in a window around column w of -log2 p given all
    tokens outside the window (Lee et al., 2024). It is summed over windows, which are parts of the
    widest grid's width, rounded to odd numbers of columns, and over grids, each given those before
    it; then each step gets that of its column.
    """
    if not windows or not all(0 < share <= 1 for share in windows):
        raise TwincodeError("surprise windows must be parts of a series, above 0 and at most 1")
    grids, places = stages.fitted.prior.grids, stages.places
    H, W, L = grids.height, max(grids.layout.widths), x.shape[2]
    tokens = stages.tokens(x)
    found = torch.zeros(len(x), H, W, device=tokens.device)
    for share in windows:
        half = _odd(share * W) // 2
        for w in range(W):
            inside = (places.end * W > w - half) & (places.start * W < w + half + 1)
            found[:, :, w] += _surprise_of(stages, tokens, y, inside)
    columns = ((torch.arange(L) + 0.5) * W / L).long().to(found.device)
    return found[:, :, columns]


def surprise_along(
    stages: Stages, x: Tensor, y: Tensor, windows: Sequence[float] = WINDOWS
) -> Tensor:
    """The same of series (n, C, T) of at least L steps: the mean over windows that cover a step.

    Windows of L steps begin every L / 10 steps; the last one ends with the series.
    """
    L, T = stages.tokenizer.length, x.shape[2]
    if T < L:
        raise TwincodeError(f"series have {T} steps; this model needs at least {L}")
    starts = list(range(0, T - L + 1, max(1, L // 10)))
    starts += [T - L] if starts[-1] != T - L else []
    summed, covered = torch.zeros(0), torch.zeros(T)
    for start in starts:
        own = surprise(stages, x[:, :, start : start + L], y, windows).cpu()
        if not len(summed):
            summed = own.new_zeros(*own.shape[:2], T)
        summed[:, :, start : start + L] += own
        covered[start : start + L] += 1
    return summed / covered


def _surprise_of(stages: Stages, tokens: Tensor, y: Tensor, inside: Tensor) -> Tensor:
    """Mean bits (n, H) of the tokens ``inside`` (N,) by row, summed over grids."""
    prior, rows = stages.fitted.prior, stages.places.row
    total = torch.zeros(len(tokens), prior.grids.height, device=tokens.device)
    part = torch.repeat_interleave(torch.tensor(prior.grids.sizes)).to(tokens.device)
    # The mean over what is inside, by grid and row.
    own = torch.zeros(total.shape[1], tokens.shape[1], device=tokens.device)
    for i in range(len(prior.grids.parts)):
        for h in range(total.shape[1]):
            here = inside & (part == i) & (rows == h)
            own[h, here] = 1 / here.sum()
    for chunk, _ in chunks(len(tokens), 0):
        hidden = inside.expand(tokens[chunk].shape)
        log_p = prior.log_probabilities(tokens[chunk], hidden, y[chunk])
        log_p = log_p.masked_fill(~hidden, 0.0)
        total[chunk] = -(log_p @ own.T) / math.log(2)
    return total


def _overlapping(places: Places, gaps: Tensor, reach: int) -> Tensor:
    """Whether the column of each token overlaps a gap (n, L), or lies within reach: (n, N)."""
    L = gaps.shape[1]
    step = torch.arange(L, device=gaps.device)[:, None]
    width = places.end - places.start
    start, end = (places.start - reach * width) * L, (places.end + reach * width) * L
    overlap = (step < end) & (step + 1 > start)  # (L, N)
    return gaps.float() @ overlap.float() > 0


def _check_gaps(stages: Stages, gaps: Tensor) -> None:
    if bool(gaps.all((1, 2)).any()):
        raise TwincodeError("a series has no observed value at all; use sample for new series")
    steps = gaps.any(1)
    trailing = steps.flip(1).cumprod(1).flip(1).bool()
    if not stages.fitted.prior.fills_gaps and bool((steps & ~trailing).any()):
        raise TwincodeError(
            f"a prior of kind {stages.fitted.settings.name} continues series only; "
            "train one of kind masked to fill gaps"
        )


def _odd(width: float) -> int:
    """The nearest odd number, at least 1."""
    return max(1, 2 * round((width - 1) / 2) + 1)
