"""Levels of held-out windows: what a mixture's spreads, probabilities and step should be."""

import math
from dataclasses import dataclass
from typing import Self

import torch

from twincode.closed_form import levels as tables
from twincode.closed_form.modes import Modes, modes_before, water_level
from twincode.closed_form.trellis import Path, Price, points, quantise

WEIGHT = 0.5  # squared error that a bit is worth, in steps squared
# Octaves below the largest spread: finer ones have levels beyond 2^24, of which float32 does not
# tell odd ones from even.
FINEST = 22
LEARNING_TURNS = 5  # of level probabilities and the step together
MOST_TURNS = 16  # of the step alone


def cut_windows(x: torch.Tensor, window: int) -> torch.Tensor:
    """Windows (n, t, C window) of series (n, C, T); the last window repeats the last value."""
    n, C, T = x.shape
    t = -(-T // window)
    if t * window > T:
        x = torch.cat([x, x[:, :, -1:].expand(n, C, t * window - T)], 2)
    return x.reshape(n, C, t, window).transpose(1, 2).reshape(n, t, C * window)


def join_windows(windows: torch.Tensor, channels: int) -> torch.Tensor:
    """Series (n, C, t window) of windows (n, t, C window)."""
    n, t, D = windows.shape
    return windows.reshape(n, t, channels, D // channels).transpose(1, 2).reshape(n, channels, -1)


def spread_correction(z: torch.Tensor, variance: torch.Tensor, rank: int) -> torch.Tensor:
    """How much wider held-out components (r, d) are than their ``variance`` (r, d) says: (d,).

    By rank, smoothed over neighbouring ranks: leading components of few series are too optimistic,
    trailing ones too small. From ``rank`` on they have no variance, and all that is held out is
    news: these are not smoothed together with the others.
    """
    ratio = (z.double().square() / variance).mean(0).clamp(min=1e-3)
    half = len(ratio) // 40
    found = []
    for part in (ratio[:rank].clamp(max=1e3), ratio[rank:]):
        if len(part):
            padded = torch.nn.functional.pad(part.log()[None, None], (half, half), mode="replicate")
            found.append(torch.nn.functional.avg_pool1d(padded, 2 * half + 1, 1)[0, 0].exp())
    return torch.cat(found)


@dataclass(frozen=True)
class Calibration:
    """What held-out windows say about a mixture: see ``calibrate``."""

    correction: torch.Tensor  # (d,) factor on variances
    rank: int  # how many components those variances were learnt of
    log2_step: float
    frequencies: torch.Tensor  # (2, contexts, width)
    error: float  # squared error a window at the bits asked for


@dataclass(frozen=True)
class HeldOut:
    """Held-out windows in the modes chosen for them: components (n, t, d), their variances in
    those modes (n, t, d), and the bits (n,) that name the modes of each series."""

    z: torch.Tensor
    variance: torch.Tensor
    naming: torch.Tensor

    @classmethod
    def of(cls, modes: Modes, windows: torch.Tensor, bits: float) -> Self:
        """``windows`` (n, t, D) in ``modes`` that were fitted without them."""
        labels, z = modes.assign(windows, water_level(modes.variance, modes.prior, bits))
        return cls(z, modes.variance[labels], naming_bits(labels, -modes.transition_prior.log2()))


def naming_bits(labels: torch.Tensor, cost: torch.Tensor) -> torch.Tensor:
    """Bits (n,) that name the modes ``labels`` (n, t) one after another; ``cost`` (M + 1, M)."""
    return cost[modes_before(labels, cost.shape[1]), labels].sum(1).float()


def rank_major(z: torch.Tensor) -> torch.Tensor:
    """Coding order (d t, n) of (n, t, d): the leading component of every window comes first."""
    return z.permute(2, 1, 0).flatten(0, 1).contiguous()


@dataclass(frozen=True)
class Coded:
    """The levels of components at a step: their path, the values ``y`` (S, n) in steps, their
    price, and the squared error (n,) of components left out, silent in every series."""

    path: Path
    y: torch.Tensor
    price: Price
    left_out: torch.Tensor

    @property
    def bits(self) -> torch.Tensor:
        """Bits (S, n) of each level."""
        return self.price.of(self.path.levels.abs().int(), self.path.quantisers.int())

    @property
    def error(self) -> torch.Tensor:
        """Squared error (S, n) of each level, in steps."""
        return (self.y - points(self.path.levels, self.path.quantisers)).square()


def code_levels(
    z: torch.Tensor,
    ratio: torch.Tensor,
    step: torch.Tensor,
    cost: torch.Tensor,
    weight: torch.Tensor,
) -> Coded:
    """Code components ``z`` (n, t, d) at ``step`` (n,); ``ratio`` (n, t, d) is log2 of spread over
    step in sixteenths, ``weight`` (n,) what a bit is worth in steps squared."""
    loud = (ratio >= int(tables.LOWEST * tables.UNITS)).flatten(0, 1).any(0)
    d = int(loud.nonzero().max()) + 1 if bool(loud.any()) else 1
    y = rank_major(z[:, :, :d]) / step
    relative = rank_major(ratio[:, :, :d]).int()
    price = Price(cost, *tables.contexts(relative))
    path = quantise(y, price, tables.largest_level(relative), weight)
    return Coded(path, y, price, z[:, :, d:].square().sum((1, 2)))


def calibrate(parts: list[HeldOut], bits: float, windows: int) -> Calibration:
    """Spread, level probabilities and the step at which ``parts`` cost ``bits`` a series.

    The modes of each were fitted to so many ``windows`` at least.
    """
    z = torch.cat([part.z for part in parts])
    variance = torch.cat([part.variance for part in parts])
    naming = torch.cat([part.naming for part in parts])
    n, t, d = z.shape
    rank = min(d, max(1, windows - 1))
    correction = spread_correction(z.reshape(-1, d), variance.reshape(-1, d), rank)
    variance = variance * correction
    log2_spread = variance.log2() / 2
    spread_out = (z.reshape(-1) / variance.sqrt().reshape(-1)).float()
    prior = tables.level_prior(spread_out[:: max(1, len(spread_out) // 40_000)])
    frequencies = tables.whole_frequencies(prior)
    level = water_level(variance.reshape(1, -1), torch.ones(1, dtype=torch.float64), bits * n)
    finest = float(log2_spread.max()) - FINEST
    log2_step = max(finest, math.log2(level) / 2 + 0.4)
    log2_error = spent = 0.0
    slope = 1.0
    low, high = -math.inf, math.inf
    for turn in range(LEARNING_TURNS + MOST_TURNS):
        ratio = ((log2_spread - log2_step) * tables.UNITS).round().long()
        step = torch.full((n,), 2.0**log2_step)
        cost = tables.level_costs(frequencies)
        coded = code_levels(z, ratio, step, cost, torch.full((n,), WEIGHT))
        spent = float((naming + coded.bits.sum(0)).mean())
        error = float((coded.error.sum(0) * step.square() + coded.left_out).mean())
        log2_error = math.log2(max(error, 1e-30))
        # An octave of the step is worth about a bit for each component that stands above it.
        slope = max(1.0, float((ratio > 0).sum()) / n)
        # Later it may go ever further, as many bits ask for, until the step is bracketed.
        most = min(8, 0.5 * 2 ** max(0, turn - LEARNING_TURNS))
        change = max(-most, min(most, (spent - bits) / slope))
        if turn < LEARNING_TURNS:
            row = coded.path.quantisers * (tables.CONTEXTS + 1) + coded.price.context
            size = coded.path.levels.abs() >> coded.price.shift
            place = row * tables.WIDTH + size
            counts = torch.bincount(place.flatten(), minlength=cost.numel()).view(cost.shape)
            frequencies = tables.level_frequencies(prior, counts[:, 1:])
            log2_step = max(finest, log2_step + change)
            continue
        # With the tables settled, the rate falls as the step grows: bracket the step.
        if abs(spent - bits) < 0.004 * bits:
            break
        low, high = (log2_step, high) if spent > bits else (low, log2_step)
        inside = low < log2_step + change < high
        log2_step = max(finest, log2_step + change if inside else (low + high) / 2)
    at_bits = log2_error + 2 * (spent - bits) / slope
    # Infinite where no step is near to so few bits.
    error = float(torch.tensor(at_bits, dtype=torch.float64).exp2()) / t
    return Calibration(correction, rank, log2_step, frequencies, error)
