"""How surprising every step of a series is (Lee, Malacarne and Aune, 2024)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from twincode.data.windows import window_starts
from twincode.errors import TwincodeError
from twincode.generate.stages import Stages
from twincode.priors.prior import chunks

WINDOWS = (0.1, 0.3, 0.5)
ORDINARY = 0.99


def surprise(stages: Stages, x: Tensor, y: Tensor, windows: Sequence[float] = WINDOWS) -> Tensor:
    """How surprising every step is, in bits, by row of the grid: (n, H, L).

    a[h, w] is the mean over the tokens of row h in a window around column w of -log2 p given all
    tokens outside the window (Lee et al., 2024). It is summed over windows, which are parts of the
    widest grid's width, rounded to odd numbers of columns, and over grids, each given those before
    it; then each step gets that of the column that the encoder reads it for.
    """
    try:
        shares = np.asarray(windows, np.float64)
    except (TypeError, ValueError):
        shares = np.empty(0)
    if shares.ndim != 1 or not len(shares) or not ((shares > 0) & (shares <= 1)).all():
        raise TwincodeError(
            "surprise windows must be a list of parts of a series, above 0 and at most 1, "
            f"not {windows!r}"
        )
    return surprise_of_tokens(stages, stages.tokens(x), y, shares.tolist(), x.shape[2])


def surprise_of_tokens(
    stages: Stages, tokens: Tensor, y: Tensor, windows: Sequence[float], L: int
) -> Tensor:
    """The same of series that tokens (n, N) stand for, (n, H, L)."""
    grids, places = stages.fitted.prior.grids, stages.places
    widest = max(grids.layout.grids, key=lambda grid: grid.width)
    H, W = grids.height, widest.width
    found = torch.zeros(len(tokens), H, W, device=tokens.device)
    for share in windows:
        half = odd_width(share * W) // 2
        for w in range(W):
            inside = places.overlap(w - half, w + half + 1, widest.read_columns, read=True)
            found[:, :, w] += _surprise_of(stages, tokens, y, inside)
    columns = ((torch.arange(L) + 0.5) * widest.read_columns / L).long().clamp(max=W - 1)
    return found[:, :, columns.to(found.device)]


def surprise_threshold(stages: Stages, tokens: Tensor) -> float:
    """The 0.99 quantile of the surprise, summed over rows, of every step of ordinary series.

    ``tokens`` (n, N) are theirs; labels are not told.
    """
    y = torch.full((len(tokens),), stages.fitted.prior.none, device=tokens.device)
    L = stages.tokenizer.length
    steps = surprise_of_tokens(stages, tokens, y, WINDOWS, L).sum(1).double()
    return float(np.quantile(steps.cpu().numpy(), ORDINARY))


def surprise_along(
    stages: Stages, x: Tensor, y: Tensor, windows: Sequence[float] = WINDOWS
) -> Tensor:
    """The same of series (n, C, T) of at least L steps: the mean over windows that cover a step.

    Windows of L steps begin every L / 10 steps; the last one ends with the series.
    """
    L, T = stages.tokenizer.length, x.shape[2]
    if T < L:
        raise TwincodeError(f"series have {T} steps; this model needs at least {L}")
    summed, covered = torch.zeros(0), torch.zeros(T)
    for start in window_starts(T, L, max(1, L // 10)):
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
    for chunk, _ in chunks(len(tokens), 0, size=prior.at_once):
        hidden = inside.expand(tokens[chunk].shape)
        log_p = prior.log_probabilities(tokens[chunk], hidden, y[chunk])
        log_p = log_p.masked_fill(~hidden, 0.0)
        total[chunk] = -(log_p @ own.T) / math.log(2)
    return total


def odd_width(width: float) -> int:
    """The nearest odd number, at least 1."""
    return max(1, 2 * round((width - 1) / 2) + 1)
