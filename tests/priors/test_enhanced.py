"""The enhanced sampling scheme against a plain restatement of it, a series at a time."""

import math

import numpy as np
import pytest
import torch
from toys import TWO, generator, labels, made, neighbourly, tokens_of

from twincode.errors import TwincodeError
from twincode.priors import Grids, IterativeSampling
from twincode.priors.critic import (
    EVERY,
    distance_of,
    enhanced_steps,
    log_confidence,
    turning_steps,
)
from twincode.priors.masks import left_hidden, lowest
from twincode.priors.prior import gumbel, uniform
from twincode.quantize import Grid, Layout

B, N, K, S = 5, 9, 4, 7
VECTORS = torch.randn(K, 3, generator=generator(9))
NOWHERE = torch.zeros(N, dtype=torch.long)
KINDS = ("code", "log_probability")


def ess(**changes):
    return IterativeSampling(decoding_steps=S, sampling_scheme="ess", **changes)


# -- the plain restatement -------------------------------------------------------------------------


class Plain:
    """One series of N tokens, of which some are known, by loops in float64."""

    def __init__(self, logits, kind, known, how):
        self.logits, self.kind, self.known, self.how = logits, kind, known, how
        unknown = int((~known).sum())
        self.k = [unknown]
        for t in range(1, S + 1):
            share = math.cos(math.pi * t / (2 * S)) if t < S else 0
            self.k.append(max(0, min(math.floor(unknown * share), self.k[-1] - 1)))

    def said(self, s, hidden):
        mask = torch.zeros(1, N, dtype=torch.bool)
        mask[0, list(hidden)] = True
        return self.logits(torch.tensor(s)[None], mask)[0].double().numpy()

    def error(self, said, n, code):
        if self.kind == "log_probability":
            return math.log(np.exp(said[n]).sum()) - said[n, code]
        return float(((VECTORS[said[n].argmax()] - VECTORS[code]).double() ** 2).sum())

    def critic(self, s):
        open_ = [n for n in range(N) if not self.known[n]]
        minus = {n: -self.error(self.said(s, [n]), n, s[n]) for n in open_}
        total = sum(math.exp(each) for each in minus.values())
        return [math.log(math.exp(minus[n]) / total) if n in minus else math.inf for n in range(N)]

    def lowest(self, c, k):
        return sorted(range(N), key=lambda n: c[n])[:k]

    def turn(self, s, c):
        ratios, later = [], None
        for t in range(S - 1, 0, -1):
            hidden, less = self.lowest(c, self.k[t]), self.lowest(c, self.k[t + 1])
            asked = [n for n in hidden if n not in less]
            if not asked:
                continue
            said = self.said(s, hidden)
            e = sum(self.error(said, n, s[n]) for n in asked) / len(asked)
            if later is not None:
                ratios.append(e / (later + 1e-5))
                if np.mean(ratios[-round(0.3 * S) :]) > 1:
                    return t
            later = e
        return 1

    def run(self, s, u, noise):
        c = self.critic(s)
        t = start = self.turn(s, c)
        hidden = self.lowest(c, self.k[min(start + 1, S)])
        for t in range(start, S):
            said = self.said(s, hidden)
            for n in range(N):
                if self.known[n] or (not self.how.ess_redraws_known and n not in hidden):
                    continue
                reached = (np.exp(said[n]) / np.exp(said[n]).sum()).cumsum()
                s[n] = int((reached <= u[t][n]).sum())
            tau = self.how.choice_temperature * (1 - (t + 1) / S)
            c = [each + tau * more for each, more in zip(self.critic(s), noise[t], strict=True)]
            hidden = self.lowest(c, self.k[t + 1])
        return s


def gaps():
    """Known tokens (B, N): none, some, all but two, all but one, all."""
    known = torch.zeros(B, N, dtype=torch.bool)
    for row, given in enumerate((0, 4, N - 2, N - 1, N)):
        known[row, :given] = True
    return known


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("redraws", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_plain_restatement(kind, redraws, seed):
    """Whole: critic, turning step, steps drawn again; each series has a gap and a t* of its own."""
    how = ess(choice_temperature=1.5, ess_distance=kind, ess_redraws_known=redraws)
    logits, known = neighbourly(N, K, seed), gaps()
    tokens = torch.randint(K, (B, N), generator=generator(seed + 50))
    *_, (drawn, _) = enhanced_steps(
        tokens, [], known, lambda _: logits, distance_of(kind, VECTORS, NOWHERE), how,
        generator(seed),
    )  # fmt: skip
    again, random = generator(seed), {}
    for t in range(1, S):
        random[t] = uniform(again, tokens).tolist(), gumbel(again, tokens).tolist()
    for row in range(B):
        plain = Plain(logits, kind, known[row], how)
        own = [{t: each[i][row] for t, each in random.items()} for i in (0, 1)]
        assert drawn[row].tolist() == plain.run(tokens[row].tolist(), *own), row


@pytest.mark.parametrize("kind", KINDS)
def test_turning_steps_differ_and_are_those_of_the_restatement(kind):
    turns = set()
    for seed in range(12):
        logits, known = neighbourly(N, K, seed), gaps()
        tokens = torch.randint(K, (B, N), generator=generator(seed))
        distance = distance_of(kind, VECTORS, NOWHERE)
        confidence = log_confidence(tokens, known, logits, distance)
        left = left_hidden((~known).sum(1), S)
        turn = turning_steps(tokens, confidence, left, logits, distance)
        for row in range(B):
            plain = Plain(logits, kind, known[row], ess())
            assert left[:, row].tolist() == plain.k
            s = tokens[row].tolist()
            assert confidence[row].tolist() == pytest.approx(plain.critic(s), abs=1e-4)
            assert turn[row] == plain.turn(s, confidence[row].tolist())
        turns |= set(turn.tolist())
    assert len(turns) > 3


# -- its parts by hand -----------------------------------------------------------------------------


def test_confidence_is_a_softmax_of_distances_between_codes():
    vectors = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    tokens, likeliest = torch.tensor([[0, 1, 2, 2]]), torch.tensor([0, 0, 2, 1])
    seen = []

    def logits(tokens, hidden):
        seen.append(hidden[0].tolist())
        said = torch.nn.functional.one_hot(likeliest, 3) * 9.0
        return said.expand(*tokens.shape, 3)

    distance = distance_of("code", vectors, NOWHERE[:4])
    known = torch.zeros(1, 4).bool()
    found = log_confidence(tokens, known, logits, distance)
    assert torch.allclose(found[0], (-torch.tensor([0.0, 1.0, 0.0, 10.0])).log_softmax(0))
    assert seen == torch.eye(4).bool().tolist()  # one pass a place, which is hidden in it


def test_codes_of_later_codebooks_have_their_own_vectors():
    """Those of fewer channels are filled with zeros."""
    found = made("masked", Grids.of(Layout((Grid("a", 1, 2), Grid("b", 1, 3))), 1))
    found.stand_for((torch.tensor([[0.0], [1.0]]), torch.arange(6.0).view(3, 2)))
    assert found.vectors.tolist() == [[0, 0], [1, 0], [0, 1], [2, 3], [4, 5]]
    distance = distance_of("code", found.vectors, torch.tensor([0, 2]))
    logits = torch.tensor([[[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]])  # codes 0, and 2 of the second
    assert distance(logits, torch.tensor([[1, 0]]), EVERY).tolist() == [[1.0, 32.0]]
    assert distance(logits[:, 1:], torch.tensor([[1]]), slice(1, 2)).tolist() == [[8.0]]


def test_codes_without_vectors_are_doubted_by_their_probability():
    logits = torch.randn(2, 3, 4, generator=generator())
    tokens = torch.tensor([[0, 1, 3], [2, 2, 0]])
    expected = -logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    for how in (("code", None), ("log_probability", torch.zeros(4, 1))):
        assert torch.allclose(distance_of(*how, NOWHERE[:3])(logits, tokens, EVERY), expected)


def test_as_many_are_hidden_as_in_plain_decoding_and_none_at_the_end():
    left = left_hidden(torch.tensor([10, 3, 0, 1]), 5)
    assert left[:, 0].tolist() == [10, 9, 8, 5, 3, 0]
    assert left[:, 1].tolist() == [3, 2, 1, 0, 0, 0]
    assert left[:, 2:].T.tolist() == [[0] * 6, [1, 0, 0, 0, 0, 0]]
    assert left_hidden(torch.tensor([40]), 3)[:, 0].tolist() == [40, 34, 20, 0]
    values = torch.tensor([[3.0, 1.0, torch.inf, 2.0, 1.0]])
    assert lowest(values, torch.tensor([2])).tolist() == [[False, True, False, False, True]]


# -- of a prior ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_series_alone_is_drawn_as_among_others(kind):
    """Gaps of other sizes included; what is known stays, and grids keep to their own codes."""
    found, tokens, y = made("masked", TWO), tokens_of(TWO, 5), labels(5)
    found.stand_for((torch.randn(4, 3, generator=generator(2)), torch.randn(5, 2)))
    known = torch.ones_like(tokens).bool()
    for row, gap in enumerate((18, 9, 2, 1, 0)):
        known[row, :gap] = False
    how = ess(ess_distance=kind, guidance=2.0)
    whole = found.fill(tokens, known, y, how, 0)
    assert torch.equal(whole[known], tokens[known])
    assert (whole < TWO.places().size).all()
    assert torch.equal(found.fill(tokens[:1], known[:1], y[:1], how, 0), whole[:1])
    order = [0, 2, 1, 4, 3]
    assert torch.equal(found.fill(tokens[order], known[order], y[order], how, 0)[:1], whole[:1])
    assert torch.equal(found.fill(tokens, known, y, how, 0), whole)
    plain = found.fill(tokens, known, y, how.replace(sampling_scheme="plain"), 0)
    assert not torch.equal(plain, whole)
    none = torch.full_like(y, found.none)
    assert torch.equal(
        found.sample(y, how.replace(guidance=0), 3), found.sample(none, how.replace(guidance=1), 3)
    )


def test_what_is_shown_of_decoding_ends_in_the_sample():
    found, y = made("masked", TWO), labels(2)
    told = found.decoding(y, ess(), 5)
    assert torch.equal(told[-1].tokens, found.sample(y, ess(), 5))
    assert not told[-1].hidden.any()
    assert len(told) > len(found.decoding(y, IterativeSampling(decoding_steps=S), 5))


def test_it_costs_no_more_passes_than_it_says(monkeypatch):
    """A series at a time N (1 + S - t*) + 2 S for each grid, among others too."""
    found, passes, turns = made("masked", TWO, seed=1), [], []
    forward = found.network.forward

    def count(content, *rest, **more):
        passes.append(len(content))
        return forward(content, *rest, **more)

    def turning(*arguments):
        turns.append(turning_steps(*arguments))
        return turns[-1]

    monkeypatch.setattr(found.network, "forward", count)
    monkeypatch.setattr("twincode.priors.critic.turning_steps", turning)
    found.sample(labels(20), ess(), 0)
    allowed = sum(
        int((n * (1 + S - turn) + 2 * S).sum()) for n, turn in zip(TWO.sizes, turns, strict=True)
    )
    assert len(turns) == 2
    assert len(torch.cat(turns).unique()) > 2
    assert sum(passes) <= allowed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampling_scheme": "es"}, "unknown sampling_scheme 'es'; did you mean 'ess'"),
        ({"ess_distance": "cod"}, "unknown ess_distance 'cod'; did you mean 'code'"),
    ],
)
def test_what_is_no_scheme_is_an_error(changes, message):
    with pytest.raises(TwincodeError, match=message):
        IterativeSampling(**changes)
