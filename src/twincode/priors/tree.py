"""Tokens that each know one other: a tree, fitted in seconds, and exact both ways."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from twincode.priors.frequencies import log_frequencies
from twincode.priors.grids import Grids
from twincode.priors.prior import (
    CHUNK,
    Bits,
    Prior,
    PriorSettings,
    Sampling,
    chunks,
    draw,
    guided,
    uniform,
)
from twincode.randomness import stream

# A codebook of more codes than this is told apart by so many quantiles of its codes.
MOST_GROUPS, QUANTILES = 128, 16
FOLDS = 2
# Tokens that choose the parents, at most.
MOST_TOKENS = 1 << 22
# What is known may be all but impossible at low temperatures, and has to weigh something even so.
LEAST_LOG_P = -600.0


class Tables(NamedTuple):
    """log p (N, J, J) of groups, given the parent's, and (N, K) of codes, given their group.

    ``p_pair`` is p of the former.
    """

    pair: Tensor
    within: Tensor
    p_pair: Tensor


class Fold(NamedTuple):
    """Series that pairs are learnt from and judged by, and shares (classes + 1, N, J) of groups."""

    learnt: Tensor
    judged: Tensor
    shares: Tensor


@dataclass(frozen=True)
class TreeSettings(PriorSettings):
    """Those that every prior has."""


class TreePrior(Prior):
    """p(s | y) = product of p(s_i | s_j, y), s_j one token before s_i, or none.

    A tree after Chow and Liu (1968), but that a token's parent stands before it, as samples are
    drawn; theirs may choose among all. Codes are told apart by groups g: each code is one, or, of
    a large codebook, each of 16 quantiles. p(g_i | g_j, y) goes as p(g_i | g_j) p(g_i | y) /
    p(g_i), and within its group a code has its frequency in the class. Pairs are smoothed towards
    p(g_i), which is lent as many series as different groups were seen beside g_j (Witten and Bell,
    1991). A parent is the token that saves most nats of series that the frequencies have not seen,
    half of all after half, if that pays for naming it each time.
    """

    log_p: Tensor
    group: Tensor
    parent: Tensor
    log_pair: Tensor

    def __init__(self, settings: TreeSettings, grids: Grids, classes: int) -> None:
        super().__init__(grids, classes)
        self.smoothing, self._seed = settings.smoothing, settings.seed
        self._sizes = grids.places().size.tolist()
        n, K = grids.tokens_a_series, grids.largest_codebook
        groups = max(size if size <= MOST_GROUPS else QUANTILES for size in self._sizes)
        self.register_buffer("log_p", torch.empty(classes + 1, n, K))
        self.register_buffer("group", torch.empty(n, K, dtype=torch.uint8))
        self.register_buffer("parent", torch.empty(n, dtype=torch.long))
        self.register_buffer("log_pair", torch.empty(n, groups, groups))
        nothing = torch.empty(0, n, dtype=torch.long)
        self.start(nothing, nothing[:, 0])

    def start(self, tokens: Tensor, y: Tensor, expected: Tensor | None = None) -> None:
        """Find the tree, and take the frequencies of train."""
        tokens, y = tokens.cpu(), y.cpu()
        expected = None if expected is None else expected.cpu()

        def shares(rows: Tensor) -> Tensor:
            """(classes + 1, N, K) of these series."""
            told = self.grids, self.none, self.smoothing, expected
            return log_frequencies(tokens[rows], y[rows], *told).exp()

        p = shares(torch.arange(len(tokens)))
        group, counts = _groups(p[-1], self._sizes)
        own = group.gather(1, tokens.T).T
        some = torch.randperm(len(tokens), generator=stream(self._seed, "held_out"))
        some, folds = some[: max(1, MOST_TOKENS // tokens.shape[1])], []
        for fold in range(FOLDS):
            judged = torch.arange(len(some)) % FOLDS == fold
            learnt = some[~judged]
            folds.append(Fold(learnt, some[judged], self._of_groups(shares(learnt), group)))
        parent = _parents(own, y, counts, folds)
        of_groups = self._of_groups(p, group)[-1]
        J = self.log_pair.shape[1]
        pair = of_groups[:, None].repeat(1, J, 1)
        for i, j in enumerate(parent.tolist()):
            if j >= 0:
                seen = torch.bincount(own[:, j] * J + own[:, i], minlength=J * J).view(J, J)
                pair[i] = _smoothed(seen, of_groups[i])
        for name, found in (("log_p", p.log()), ("group", group), ("parent", parent)):
            getattr(self, name).copy_(found)
        self.log_pair.copy_(pair.log())

    def loss(self, tokens: Tensor, y: Tensor, generator: Generator) -> Tensor:
        """The mean of -log p."""
        del generator
        return -self._log_p(tokens, y).mean() / tokens.shape[1]

    def bits(self, tokens: Tensor, y: Tensor, seed: int = 0, draws: int = 8) -> Bits:
        """Exact."""
        del seed, draws
        return Bits.exact(self._log_p(tokens, y))

    def fill(
        self, tokens: Tensor, known: Tensor, y: Tensor, sampling: Sampling, seed: int
    ) -> Tensor:
        """Exact draws given all that is known, from the first token on."""
        filled = tokens.clone()
        u = torch.empty(tokens.shape, device=tokens.device)
        for chunk, generator in chunks(len(tokens), seed):
            u[chunk] = uniform(generator, tokens[chunk])
        for rows, tables in self._by_label(y, sampling):
            filled[rows] = self._draw(tokens[rows], known[rows], u[rows], tables)
        return filled

    def log_probabilities(self, tokens: Tensor, hidden: Tensor, y: Tensor) -> Tensor:
        """Exact."""
        found = torch.zeros(tokens.shape, device=tokens.device)
        for rows, tables in self._by_label(y, Sampling()):
            first = 0
            for size in self.grids.sizes:
                known = ~hidden[rows]
                known[:, :first], known[:, first + size :] = True, False
                log_p = self._log_posterior(tokens[rows], known, tables)
                found[rows, first : first + size] = log_p[:, first : first + size].float()
                first += size
        return found

    def _of_groups(self, p: Tensor, group: Tensor) -> Tensor:
        """Shares (classes + 1, N, J) of groups, by those of codes (classes + 1, N, K)."""
        found = p.new_zeros(*p.shape[:2], self.log_pair.shape[1])
        return found.scatter_add_(2, group.long().expand(p.shape), p)

    def _by_label(self, y: Tensor, sampling: Sampling) -> Iterator[tuple[Tensor, Tables]]:
        """The rows of each label, ``CHUNK`` at most, and its tables."""
        for label in y.unique().tolist():
            tables = self._tables(label, sampling)
            for rows in (y == label).nonzero()[:, 0].split(CHUNK):
                yield rows, tables

    def _tables(self, label: int, how: Sampling) -> Tables:
        """Those of a label, guided and at a temperature as they would be code by code."""
        pair, within = self._plain(label)
        if how.guidance != 1:
            blind_pair, blind_within = self._plain(self.none)
            pair = guided(torch.cat([pair, blind_pair]), how.guidance)
            within = guided(torch.cat([within, blind_within]), how.guidance)
        within = within / how.draw_temperature
        # At low temperatures all codes of a group may be beyond what numbers can hold.
        group = self.group.long()
        top = within.new_full(self.log_pair.shape[:2], -math.inf)
        top = top.scatter_reduce(1, group, within, "amax")
        shares = (within - top.gather(1, group)).exp()
        total = top + self._of_groups(shares[None], self.group)[0].log()
        pair = (pair / how.draw_temperature + total[:, None]).log_softmax(2)
        return Tables(pair, within - total.gather(1, group), pair.clamp(min=LEAST_LOG_P).exp())

    def _plain(self, label: int) -> tuple[Tensor, Tensor]:
        """log p of both of a label, neither guided nor at a temperature."""
        log_p = self.log_p[[label, self.none]].double()
        of_label, of_all = self._of_groups(log_p.exp(), self.group).log()
        more = torch.where(of_all.isinf(), 0.0, of_label - of_all)
        pair = (self.log_pair.double() + more[:, None]).log_softmax(2)
        return pair, log_p[0] - of_label.gather(1, self.group.long())

    def _groups_of(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The groups (B, N) of tokens, and those of their parents, 0 where there is none."""
        own = self.group.gather(1, tokens.T).T.long()
        return own, torch.where(self.parent >= 0, own[:, self.parent.clamp(min=0)], 0)

    def _log_p(self, tokens: Tensor, y: Tensor) -> Tensor:
        """log p(s | y) (B,), in nats."""
        found = torch.zeros(len(tokens), dtype=torch.float64, device=tokens.device)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        for rows, (pair, within, _) in self._by_label(y, Sampling()):
            own, before = self._groups_of(tokens[rows])
            found[rows] = (pair[places, before, own] + within[places, tokens[rows]]).sum(1)
        return found

    def _draw(self, tokens: Tensor, known: Tensor, u: Tensor, tables: Tables) -> Tensor:
        """Tokens (B, N) with the unknown ones drawn by u (B, N)."""
        belief = self._beliefs(tokens, known, tables)[0].log()
        tokens = tokens.clone()
        before = torch.zeros_like(tokens)
        for i, (j, size) in enumerate(zip(self.parent.tolist(), self._sizes, strict=True)):
            of_groups = tables.pair[i, before[:, j] if j >= 0 else 0] + belief[i]
            group = self.group[i, :size].long()
            drawn, _ = draw((of_groups[:, group] + tables.within[i, :size])[:, None], u[:, i, None])
            tokens[:, i] = torch.where(known[:, i], tokens[:, i], drawn[:, 0])
            before[:, i] = group[tokens[:, i]]
        return tokens

    def _log_posterior(self, tokens: Tensor, known: Tensor, tables: Tables) -> Tensor:
        """log p (B, N) of each token that is not known given those that are."""
        belief, message = self._beliefs(tokens, known, tables)
        pair, posterior = tables.p_pair, torch.empty_like(belief)
        own, before = self._groups_of(tokens)
        for i, j in enumerate(self.parent.tolist()):
            expected = pair[i, before[:, i]]
            if j >= 0 and len(free := (~known[:, j]).nonzero()[:, 0]):
                # What its parent knows without it.
                expected[free] = posterior[j, free] / message[i, free] @ pair[i]
            posterior[i] = expected * belief[i]
            posterior[i] /= posterior[i].sum(1, keepdim=True)
        places, rows = torch.arange(tokens.shape[1]), torch.arange(len(tokens))[:, None]
        return posterior[places, rows, own].log() + tables.within[places, tokens]

    def _beliefs(self, tokens: Tensor, known: Tensor, tables: Tables) -> tuple[Tensor, Tensor]:
        """What each token and all that hang on it say of its group, and of its parent's.

        Both are (N, B, J), up to a factor (Pearl, 1982).
        """
        own, pair = self._groups_of(tokens)[0], tables.p_pair
        groups = torch.arange(pair.shape[1], device=tokens.device)
        belief = (~known.T[..., None] | (own.T[..., None] == groups)).double()
        message = torch.ones_like(belief)
        for i, j in reversed(list(enumerate(self.parent.tolist()))):
            if j >= 0:
                message[i] = pair[i].T[own[:, i]]
                if len(free := (~known[:, i]).nonzero()[:, 0]):
                    message[i, free] = belief[i, free] @ pair[i].T
                message[i] /= message[i].amax(1, keepdim=True)
                belief[j] *= message[i]
                belief[j] /= belief[j].amax(1, keepdim=True)
        return belief, message


def _groups(p: Tensor, sizes: Sequence[int]) -> tuple[Tensor, list[int]]:
    """The group (N, K) of each code, of shares p (N, K), and how many groups there are."""
    found, counts = torch.zeros(p.shape, dtype=torch.long), []
    for own, share, size in zip(found, p, sizes, strict=True):
        if size <= MOST_GROUPS:
            own[:size] = torch.arange(size)
        else:
            middle = share[:size].cumsum(0) - share[:size] / 2
            quantile = (middle * QUANTILES).long().clamp(max=QUANTILES - 1)
            own[:size] = quantile.unique(return_inverse=True)[1]
        counts.append(int(own.max()) + 1)
    return found, counts


def _parents(own: Tensor, y: Tensor, counts: Sequence[int], folds: Sequence[Fold]) -> Tensor:
    """The parent (N,) of each token, -1 for none, by groups own (n, N) of so many."""
    first = torch.tensor([0, *counts]).cumsum(0)
    parents = torch.full((len(counts),), -1)
    if not len(own):  # as a tree is made that is still to be read
        return parents
    for i, groups in enumerate(counts):
        if not i:
            continue
        # The groups of all tokens before it, side by side.
        state, states = own[:, :i] + first[:i], int(first[i])
        saved = torch.zeros(i, dtype=torch.float64)
        for learnt, judged, shares in folds:
            p = shares[:, i, :groups]
            pairs = state[learnt] * groups + own[learnt, i, None]
            seen = torch.bincount(pairs.flatten(), minlength=states * groups)
            given = _smoothed(seen.view(states, groups), p[-1])
            total = given @ (p / p[-1]).T
            at, code, label = state[judged], own[judged, i, None], y[judged, None]
            saved += (given[at, code] / p[-1, code] / total[at, label]).log().sum(0)
        best = int(saved.argmax())
        if saved[best] > FOLDS * math.log(i + 1):
            parents[i] = best
    return parents


def _smoothed(seen: Tensor, expected: Tensor) -> Tensor:
    """Shares of pairs (P, J) that were seen so often, smoothed towards ``expected`` (J,)."""
    lent = (seen > 0).sum(1, keepdim=True).clamp(min=1)
    return (seen + lent * expected) / (seen.sum(1, keepdim=True) + lent)
