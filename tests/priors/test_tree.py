"""The tree of tokens beside plain restatements of it, over all grids that there are."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import CLASSES, ROW, generator, labels, linked_tokens, made, tokens_of

from twincode.priors import PRIORS, Grids, Sampling, prior
from twincode.priors.frequencies import log_frequencies
from twincode.quantize import Grid, Layout

TWO_GRIDS = Grids.of(Layout((Grid("a", 2, 3), Grid("b", 1, 2))), 2)
LARGE = Grids.of(Layout((Grid("mode", 1, 3), Grid("level", 2, 300))), 1)


def fitted(tokens, y, grids, classes=CLASSES, expected=None, **settings):
    found = PRIORS.build(prior("tree", **settings), grids, classes)
    found.start(tokens, y, expected)
    return found


def every(grids):
    return torch.tensor(list(itertools.product(*map(range, grids.places().size.tolist()))))


def probabilities(found, grids, label):
    """Those of all grids."""
    all_grids = every(grids)
    bits = found.bits(all_grids, torch.full((len(all_grids),), label)).total
    return all_grids, (2**-bits).numpy()


def quantile_groups(share, size):
    """The group of each code, by the definition."""
    if size <= 128:
        return np.arange(size)
    middle = np.cumsum(share[:size]) - share[:size] / 2
    quantile = np.minimum(np.floor(16 * middle), 15)
    return np.searchsorted(np.unique(quantile), quantile)


def restated(found, tokens, y, train, labels_of_train, grids):
    """log2 p(s | y), one series, one token at a time."""
    p = log_frequencies(train, labels_of_train, grids, CLASSES, 0.5).exp().numpy()
    sizes, train = grids.places().size.tolist(), train.numpy()
    total = []
    for series, label in zip(tokens.tolist(), y.tolist(), strict=True):
        log_p = 0.0
        for i, j in enumerate(found.parent.tolist()):
            share = p[label, i, : sizes[i]]
            if j < 0:
                log_p += math.log2(share[series[i]])
                continue
            group = quantile_groups(p[-1, i], sizes[i])
            before = quantile_groups(p[-1, j], sizes[j])
            J = group.max() + 1
            beside = before[train[:, j]] == before[series[j]]
            seen = np.bincount(group[train[beside, i]], minlength=J)
            own = np.bincount(group, share, J)
            overall = np.bincount(group, p[-1, i, : sizes[i]], J)
            lent = max(1, np.count_nonzero(seen))
            pair = (seen + lent * overall) / (seen.sum() + lent) * own / overall
            g = group[series[i]]
            log_p += math.log2(pair[g] / pair.sum() * share[series[i]] / own[g])
        total.append(-log_p)
    return total


@pytest.mark.parametrize("grids", [ROW, TWO_GRIDS, LARGE], ids=["row", "two grids", "large"])
def test_bits_are_those_of_the_definition(grids):
    train, told = linked_tokens(grids, 300), labels(300)
    found = fitted(train, told, grids)
    assert (found.parent >= 0).sum() >= 2
    tokens, y = linked_tokens(grids, 40, seed=1), labels(40, seed=1)
    expected = restated(found, tokens, y, train, told, grids)
    assert found.bits(tokens, y).total.tolist() == pytest.approx(expected, rel=1e-5)
    assert not found.bits(tokens, y).error.any()
    mean = found.loss(tokens, y, generator()).item() * tokens.shape[1] / math.log(2)
    assert mean == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("grids", [ROW, TWO_GRIDS], ids=["row", "two grids"])
@given(seed=st.integers(0, 1000))
def test_what_is_hidden_has_its_exact_probability(grids, seed):
    """Given what is known in its grid and all grids before it, with all else summed over."""
    found, y = made("tree", grids), labels(3, seed=seed)
    tokens = tokens_of(grids, 3, seed)
    hidden = torch.rand(tokens.shape, generator=generator(seed)) < 0.5
    log_p = found.log_probabilities(tokens, hidden, y)
    ends = np.cumsum(grids.sizes)
    for row, label in enumerate(y.tolist()):
        all_grids, p = probabilities(found, grids, label)
        for place in hidden[row].nonzero()[:, 0].tolist():
            part = int(np.searchsorted(ends, place, side="right"))
            first, end = ends[part] - grids.sizes[part], ends[part]
            known = ~hidden[row].clone()
            known[:first], known[end:] = True, False
            agree = (all_grids == tokens[row])[:, known].all(1).numpy()
            own = (all_grids[:, place] == tokens[row, place]).numpy()
            expected = math.log(p[agree & own].sum() / p[agree].sum())
            assert log_p[row, place].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("known", [(), (0, 3), (5,), (1, 2, 4, 5)])
def test_draws_are_as_likely_as_they_should_be(known):
    """Whatever is known, before a token or after it."""
    found = made("tree", ROW)
    label, n = 1, 20_000
    tokens = tokens_of(ROW, 1).expand(n, -1)
    mask = torch.zeros(6, dtype=torch.bool)
    mask[list(known)] = True
    y = torch.full((n,), label)
    drawn = found.fill(tokens, mask.expand(n, 6), y, Sampling(), 0)
    assert torch.equal(drawn[:, mask], tokens[:, mask])
    all_grids, p = probabilities(found, ROW, label)
    agree = (all_grids == tokens[0])[:, mask].all(1).numpy()
    for place in (~mask).nonzero()[:, 0].tolist():
        for beside in range(6):
            # Of every pair of tokens, not of each alone.
            sizes = ROW.places().size
            pairs = all_grids[:, place] * sizes[beside] + all_grids[:, beside]
            expected = np.bincount(pairs[agree], p[agree], int(sizes[place] * sizes[beside]))
            own = drawn[:, place] * sizes[beside] + drawn[:, beside]
            share = torch.bincount(own, minlength=len(expected)).numpy() / n
            assert share == pytest.approx(expected / expected.sum(), abs=0.015)


@pytest.mark.parametrize(("guidance", "temperature"), [(2.0, 1.0), (1.0, 0.5), (0.5, 2.0)])
def test_guidance_and_temperature_are_those_of_codes(guidance, temperature):
    """Though groups are drawn first: given its parent, a token has the guided logits of codes."""
    found = made("tree", LARGE)
    assert (found.parent[1:] >= 0).all()
    pair, within, _ = found._tables(0, Sampling(guidance, temperature))
    plain, blind = found._tables(0, Sampling()), found._tables(CLASSES, Sampling())
    for place in (1, 2):
        group = found.group[place].long()
        for before in range(pair.shape[1]):
            own, none = (each.pair[place, before, group] + each.within[place]
                         for each in (plain, blind))  # fmt: skip
            expected = ((none + guidance * (own - none)) / temperature).log_softmax(0)
            assert torch.allclose(pair[place, before, group] + within[place], expected)


@pytest.mark.parametrize("known", [(), (0, 2), (1,)])
def test_at_a_low_temperature_the_likeliest_is_drawn(known):
    """However unlikely what is known is then."""
    found, label, n = made("tree", LARGE), 0, 50
    tokens = tokens_of(LARGE, n)
    mask = torch.zeros(tokens.shape, dtype=torch.bool)
    mask[:, list(known)] = True
    pair, within, p_pair = found._tables(label, Sampling(1.0, 1e-4))
    for table in (pair, within, p_pair):
        assert not table.isnan().any()
    drawn = found.fill(tokens, mask, torch.full((n,), label), Sampling(1.0, 1e-4), 0)
    assert torch.equal(drawn[mask], tokens[mask])
    if not known:
        pair, within, _ = found._tables(label, Sampling())
        before = found._groups_of(drawn)[1]
        for place, size in enumerate(LARGE.places().size.tolist()):
            of_groups = pair[place, before[:, place]]
            log_p = of_groups[:, found.group[place, :size].long()] + within[place, :size]
            own = log_p.gather(1, drawn[:, [place]])[:, 0]
            assert torch.allclose(own, log_p.amax(1), atol=1e-3)


def test_a_chain_is_found_and_learnt_to_its_entropy():
    """The parent of each token is the one before it."""
    noise = generator()
    turns = (torch.rand(4000, 5, generator=noise) < 0.2).long()
    turns[:, 0] = (torch.rand(4000, generator=noise) < 0.5).long()
    tokens, y = turns.cumsum(1) % 2, torch.zeros(4000, dtype=torch.long)
    grids = Grids.of(Layout((Grid("", 5, 2),)), 1)
    found = fitted(tokens[:3000], y[:3000], grids, 1)
    assert found.parent.tolist() == [-1, 0, 1, 2, 3]
    fresh = turns[3000:, 1:].double().mean()
    exact = 1 - 4 * (fresh * math.log2(0.2) + (1 - fresh) * math.log2(0.8))
    bits = found.bits(tokens[3000:], y[3000:]).total.mean().item()
    assert bits == pytest.approx(exact.item(), rel=0.01)


@pytest.mark.parametrize("n", [0, 1, 2, 400])
def test_tokens_that_know_nothing_of_one_another_have_no_parents(n):
    """And are those of the independent prior."""
    tokens, y = tokens_of(ROW, n), labels(n)
    found, control = fitted(tokens, y, ROW), PRIORS.build(prior("independent"), ROW, CLASSES)
    control.start(tokens, y)
    assert (found.parent < 0).all()
    some, told = tokens_of(ROW, 20, seed=1), labels(20, seed=1)
    own, expected = (each.bits(some, told).total.tolist() for each in (found, control))
    assert own == pytest.approx(expected, rel=1e-5)


def test_a_parent_must_pay_for_being_named():
    """One of many tokens that are alike by chance alone is not taken."""
    grids = Grids.of(Layout((Grid("", 60, 3),)), 1)
    found = fitted(tokens_of(grids, 100), labels(100), grids)
    assert (found.parent >= 0).sum() <= 6


def test_what_a_label_tells_is_not_told_twice_by_a_parent():
    """Tokens that are alike only because of their class have no parent."""
    y = torch.arange(600) % CLASSES  # in turn: every second series is of one class
    noise = generator()
    tokens = torch.where(torch.rand(600, 4, generator=noise) < 0.1, 1 - y[:, None], y[:, None])
    grids = Grids.of(Layout((Grid("", 4, 2),)), 1)
    assert (fitted(tokens, y, grids).parent < 0).all()
    unlabelled = fitted(tokens, torch.full_like(y, CLASSES), grids)
    assert (unlabelled.parent[1:] >= 0).all()


def test_levels_by_the_hundred_are_told_apart_by_quantiles():
    tokens, y = linked_tokens(LARGE, 500), labels(500)
    found, control = fitted(tokens, y, LARGE), PRIORS.build(prior("independent"), LARGE, CLASSES)
    control.start(tokens, y)
    group = found.group.long()
    assert group[0, :3].tolist() == [0, 1, 2]
    for place in (1, 2):
        assert (group[place].diff() >= 0).all()
        shares = torch.bincount(group[place][tokens[:, place]], minlength=16) / 500
        assert shares == pytest.approx(1 / 16, abs=0.03)
    fresh, told = linked_tokens(LARGE, 200, seed=1), labels(200, seed=1)
    saved = control.bits(fresh, told).total - found.bits(fresh, told).total
    assert saved.mean() > 2
