"""Mixtures of linear transforms: each mode has a mean, principal components and their spread.

Windows that look alike share a mode, so that the components of a mode describe one kind of shape,
and a token that names the mode buys a code fitted to that shape: its mean, its directions and the
bits each direction deserves. After Archer and Leen, "A generalized Lloyd-type algorithm for
adaptive transform coder design" (IEEE Trans. Signal Processing, 2004).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch

from twincode.closed_form.kmeans import kmeans, nearest

ROUNDS = 3  # of Lloyd's iteration over modes
FINE = 1e-5  # a coding error that is such a part of the largest variance
SHRINKAGE = 0.3  # the shared covariance counts as this many windows for each dimension


def water_level(variance: torch.Tensor, weights: torch.Tensor, bits: float) -> float:
    """The error per component at which ``variance`` (M, d) costs ``bits`` a window in the mean.

    Reverse water-filling with one level over all modes, weighed by ``weights`` (M,) that sum to 1;
    the smallest variance at least.
    """
    low, high = float(variance.min().log()), float(variance.max().log())
    for _ in range(60):
        level = (low + high) / 2
        spent = (variance.log() - level).clamp(min=0).sum(1) @ weights / 2
        low, high = (level, high) if float(spent) > bits * math.log(2) else (low, level)
    return float(torch.tensor(high).exp())


def least_variance(variance: torch.Tensor) -> float:
    """What a component has at least, beside others of ``variance``."""
    return max(1e-9 * float(variance.max()), 1e-12)


@dataclass(frozen=True)
class Modes:
    """M linear transforms of windows of D values: ``mean`` (M, D), ``basis`` (M, D, d) with
    orthonormal columns, ``variance`` (M, d) in falling order, and ``transitions`` (M + 1, M), how
    often each mode followed each other one; the last row counts the modes that opened a series.
    """

    mean: torch.Tensor
    basis: torch.Tensor
    variance: torch.Tensor
    transitions: torch.Tensor

    @property
    def prior(self) -> torch.Tensor:
        """Probability (M,) of each mode."""
        counts = self.transitions.double().sum(0) + 0.5
        return counts / counts.sum()

    @property
    def transition_prior(self) -> torch.Tensor:
        """Probabilities (M + 1, M) of a mode after each other one, smoothed to ``prior``."""
        strength = len(self.prior) ** 0.5
        counts = self.transitions.double() + strength * self.prior
        return counts / counts.sum(1, keepdim=True)

    @cached_property
    def _largest(self) -> float:
        """The largest variance, as a number: a graph could not ask for it."""
        return float(self.variance.max())

    @classmethod
    def fit(
        cls, windows: torch.Tensor, modes: int, bits: float, generator: torch.Generator
    ) -> Self:
        """Fit on windows (n, t, D) of n series, for a code of ``bits`` a window.

        k-means in the leading components starts the modes, then windows move to the mode that
        codes them most cheaply and every mode is fitted again.
        """
        n, t, D = windows.shape
        rows = windows.reshape(n * t, D)
        if modes == 1:
            return cls._from_labels(windows, torch.zeros(n * t, dtype=torch.long), 1)
        centred = rows - rows.mean(0)
        _, vectors = torch.linalg.eigh((centred.T @ centred).double())
        leading = centred @ vectors[:, -16:].float()
        sample = leading[torch.randperm(len(leading), generator=generator)[:20_000]]
        labels = nearest(leading, kmeans(sample, modes, generator, iterations=10))
        fitted = cls._from_labels(windows, labels, modes)
        for _ in range(ROUNDS - 1):
            level = water_level(fitted.variance, fitted.prior, bits)
            labels = fitted.assign(windows, level)[0].flatten()
            fitted = cls._from_labels(windows, labels, modes)
        return fitted

    @classmethod
    def _from_labels(cls, windows: torch.Tensor, labels: torch.Tensor, modes: int) -> Self:
        n, t, D = windows.shape
        rows = windows.reshape(n * t, D)
        count = torch.bincount(labels, minlength=modes)
        mean = torch.zeros(modes, D).index_add_(0, labels, rows) / count.clamp(min=1)[:, None]
        mean[count == 0] = rows.mean(0)
        residual = rows - mean[labels]
        shared = (residual.T @ residual).double() / len(rows)
        strength = SHRINKAGE * D
        bases, variances = [], []
        for mode in range(modes):
            own = residual[labels == mode]
            covariance = ((own.T @ own).double() + strength * shared) / (len(own) + strength)
            values, vectors = torch.linalg.eigh(covariance)
            bases.append(vectors.flip(1).float())
            variances.append(values.flip(0))
        variance = torch.stack(variances)
        least = least_variance(variance)
        variance = variance.clamp(min=least)
        # What lies beyond the rank of the windows is rounding.
        variance[:, max(1, len(rows) - 1) :] = least
        sequence = labels.view(n, t)
        before = modes_before(sequence, modes)
        transitions = torch.bincount(
            (before * modes + sequence).flatten(), minlength=modes * (modes + 1)
        )
        return cls(mean, torch.stack(bases), variance, transitions.view(modes + 1, modes))

    def assign(self, windows: torch.Tensor, level: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The mode (n, t) of each window (n, t, D), and its components (n, t, d) in that mode.

        A mode's price is the code length of its Gaussian with the coding error ``level`` added to
        every variance, and that of naming the mode after the one before it.
        """
        n, t, D = windows.shape
        M, d = self.variance.shape
        chunk = max(1, 4_000_000 // (t * M * d))
        if n > chunk:
            parts = [self.assign(part, level) for part in windows.split(chunk)]
            return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
        modes = self.choose(windows, level)
        rows, labels = windows.reshape(n * t, D), modes.flatten()
        z = torch.empty(n * t, d)
        for mode in labels.unique():
            here = labels == mode
            z[here] = (rows[here] - self.mean[mode]) @ self.basis[mode]
        return modes, z.view(n, t, d)

    def choose(self, windows: torch.Tensor, level: float) -> torch.Tensor:
        """The mode (n, t) of each window alone, of all windows at once; see ``assign``."""
        n, t, D = windows.shape
        rows = windows.reshape(n * t, D)
        fine = level < FINE * self._largest
        price = (self._fine_price if fine else self._price)(rows, level).view(n, t, -1)
        naming = -self.transition_prior.log().to(price)
        chosen = []
        previous = torch.full((n,), len(self.mean))
        for place in range(t):
            previous = (price[:, place] + naming[previous]).argmin(1)
            chosen.append(previous)
        return torch.stack(chosen, 1)

    def _price(self, rows: torch.Tensor, level: float) -> torch.Tensor:
        """The code lengths (r, M), in nats, of rows (r, D) in each mode."""
        M, d = self.variance.shape
        noisy = (self.variance + level).float()
        # Of the squared distance over level, a component takes back what its spread explains.
        explained = self.basis * (1 / level - 1 / noisy).clamp(min=0).sqrt()[:, None]
        at_mean = torch.einsum("md,mdk->mk", self.mean, explained).flatten()
        table = explained.transpose(0, 1).reshape(rows.shape[1], M * d)
        within = torch.addmm(-at_mean, rows, table).view(-1, M, d)
        # One way for few rows and for many: else a graph could not leave their number open.
        far = torch.cdist(rows, self.mean, compute_mode="use_mm_for_euclid_dist")
        distance = far.square() / level
        return (
            distance - torch.linalg.vector_norm(within, dim=2).square() + noisy.log().sum(1)
        ) / 2

    def _fine_price(self, rows: torch.Tensor, level: float) -> torch.Tensor:
        """The same without a difference of squares, which over so small a level would be noise."""
        mean, basis, noisy = self.mean.double(), self.basis.double(), self.variance + level
        moved = rows.double()[:, None] - mean
        z = torch.einsum("rmk,mkd->rmd", moved, basis)
        left = moved - torch.einsum("rmd,mkd->rmk", z, basis)
        within = (z.square() / noisy + noisy.log()).sum(2)
        return (within + left.square().sum(2) / level) / 2


def modes_before(labels: torch.Tensor, M: int) -> torch.Tensor:
    """The mode before each of ``labels`` (n, t), of which there are M; M before the first."""
    return torch.cat([torch.full_like(labels[:, :1], M), labels[:, :-1]], 1)
