"""What every prior keeps to, and what sets one apart from another."""

import importlib
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import (
    CLASSES,
    NETWORKS,
    ROW,
    TWO,
    generator,
    labels,
    made,
    neighbourly,
    tokens_of,
    trained,
)

from twincode.errors import TwincodeError
from twincode.priors import PRIORS, Grids, IterativeSampling, Sampling, prior
from twincode.priors.decoding import decoding_steps
from twincode.priors.frequencies import log_frequencies
from twincode.priors.masks import SCHEDULES, bound_masks, training_masks
from twincode.priors.prior import CHUNK, draw, guided, gumbel, uniform
from twincode.quantize import Grid, Layout

KINDS = tuple(PRIORS)
TINY = Grids.of(Layout((Grid("a", 1, 2), Grid("b", 1, 3))), 2)  # 2 * 2 * 3 * 3 grids in all
SIX = Grids.of(Layout((Grid("", 3, 3),)), 2)


def filled_grid(tokens, known, logits, how, noise):
    """The tokens after the last step of decoding."""
    *_, (drawn, hidden) = decoding_steps(tokens, known, logits, how, noise)
    assert not hidden.any()
    return drawn


def every(grids):
    return torch.tensor(list(itertools.product(*map(range, grids.places().size.tolist()))))


def chain(n, seed):
    """Three tokens of two codes: the next one is the same with probability 0.8."""
    noise = generator(seed)
    turns = torch.rand(n, 3, generator=noise) < torch.tensor([0.5, 0.2, 0.2])
    return turns.long().cumsum(1) % 2


# -- likelihood ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["autoregressive", "independent", "tree"])
@pytest.mark.parametrize("grids", [TINY, Grids.of(TINY.layout, 1)], ids=["two grids", "one row"])
def test_probabilities_of_all_grids_sum_to_one(kind, grids):
    found, all_grids = made(kind, grids), every(grids)
    for label in range(CLASSES + 1):
        bits = found.bits(all_grids, torch.full((len(all_grids),), label)).total
        assert (2**-bits).sum().item() == pytest.approx(1, abs=1e-5)


def test_leave_one_out_probabilities_of_a_masked_prior_sum_to_one():
    """Of each token, over its own codes, with all impossible ones at nothing."""
    found, tokens = made("masked", ROW), tokens_of(ROW, 4)
    for place, size in enumerate(ROW.places().size.tolist()):
        hidden = (torch.arange(tokens.shape[1]) == place).expand(tokens.shape)
        total = torch.zeros(4)
        for code in range(size):
            other = tokens.clone()
            other[:, place] = code
            total += found.log_probabilities(other, hidden, labels(4))[:, place].exp()
        assert torch.allclose(total, torch.ones(4), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grids", [TWO, ROW])
def test_the_uniform_prior_costs_log2_of_every_codebook(kind, grids):
    found = made(kind, grids, scale=0.0) if kind in NETWORKS else PRIORS.build(
        prior(kind), grids, CLASSES
    )  # fmt: skip
    exact = grids.places().size.double().log2().sum().item()
    estimated = kind == "masked" and grids is ROW  # codebooks of several sizes in one mask
    bits = found.bits(tokens_of(grids, 5), labels(5), draws=300 if estimated else 8)
    assert bits.total.tolist() == pytest.approx([exact] * 5, rel=0.06 if estimated else 1e-5)
    assert (bits.error > 0.01).all() == estimated


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("grids", [TWO, ROW])
def test_a_network_begins_as_the_independent_prior(kind, grids):
    tokens, y = tokens_of(grids, 40), labels(40)
    control, found = made("independent", grids), made(kind, grids, scale=0.0)
    control.start(tokens, y)
    found.start(tokens, y)
    own, expected = found.bits(tokens, y, draws=100).total, control.bits(tokens, y).total
    assert own.mean().item() == pytest.approx(expected.mean().item(), rel=0.02)
    if kind == "autoregressive":
        assert torch.allclose(own, expected, rtol=1e-5)


def test_the_bound_of_a_masked_prior_is_what_it_says():
    """The mean over sizes of masks, and over all masks of a size, by enumeration."""
    found, tokens = made("masked", TINY), tokens_of(TINY, 3)
    expected = torch.zeros(3)
    for first in (0, 2):  # two grids of two tokens
        for m in (1, 2):
            masks = list(itertools.combinations((first, first + 1), m))
            for mask in masks:
                hidden = torch.zeros(4, dtype=torch.bool)
                hidden[list(mask)] = True
                log_p = found.log_probabilities(tokens, hidden.expand(3, 4), labels(3))
                expected -= 2 * (log_p * hidden).sum(1) / m / len(masks) / 2
    bits = found.bits(tokens, labels(3), draws=200)
    assert bits.total.tolist() == pytest.approx((expected / math.log(2)).tolist(), rel=0.06)
    assert (bits.error < 0.06 * bits.total).all()
    assert (bits.error > 0).all()


def test_frequencies_of_a_class_lean_on_those_of_all():
    grids = Grids.of(Layout((Grid("", 2, 3),)), 1)
    found = PRIORS.build(prior("independent", smoothing=1.0), grids, 2)
    found.start(torch.tensor([[0, 0], [0, 1], [2, 2]]), torch.tensor([0, 0, 0]))
    overall = torch.tensor([3, 1, 2]) / 6
    assert torch.allclose(found.log_p[2, 0].exp(), overall)
    assert torch.allclose(found.log_p[1, 0].exp(), overall)  # a class without series
    assert torch.allclose(found.log_p[0, 0].exp(), (torch.tensor([2, 0, 1]) + 3 * overall) / 6)


@given(smoothing=st.floats(0.01, 5), seed=st.integers(0, 20))
def test_frequencies_lean_on_what_is_expected(smoothing, seed):
    rng = np.random.default_rng(seed)
    tokens, y = rng.integers(0, 3, (7, 2)), rng.integers(0, 2, 7)
    expected = rng.dirichlet(np.ones(3), 2)
    grids = Grids.of(Layout((Grid("", 2, 3),)), 1)
    found = log_frequencies(
        *map(torch.from_numpy, (tokens, y)), grids, 2, smoothing, torch.from_numpy(expected)
    )
    for place in range(2):
        counts = np.bincount(tokens[:, place], minlength=3)
        lent = smoothing * math.sqrt(7)
        overall = (counts + lent * expected[place]) / (7 + lent)
        assert np.allclose(found[2, place].exp(), overall)
        for label in range(2):
            own = np.bincount(tokens[y == label, place], minlength=3) + 3 * smoothing * overall
            assert np.allclose(found[label, place].exp(), own / own.sum())


def test_labels_that_decide_everything_leave_no_bits():
    """And they are told: withheld in evaluation they would leave one bit."""
    y = torch.arange(64) % 2
    tokens = y[:, None].expand(64, 6)
    for kind in NETWORKS:
        found = trained(kind, SIX, tokens, y, steps=60, rate=3e-2)
        once, twice = (found.bits(tokens, y).total for _ in range(2))
        assert torch.equal(once, twice)
        assert once.max() < 0.3


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_chain_is_learnt_to_its_entropy(kind):
    tokens, fresh = chain(2000, 0), chain(1000, 1)
    y = torch.zeros(len(tokens), dtype=torch.long)
    grids = Grids.of(Layout((Grid("", 3, 2),)), 1)
    steps = 500 if kind == "masked" else 120
    found = trained(kind, grids, tokens, y, steps, rate=2e-2, model_width=16)
    bits = found.bits(fresh, y[: len(fresh)], draws=64).total.mean()
    # What these very draws cost under the chain: a bit, then one for each step.
    stays = (fresh[:, 1:] == fresh[:, :-1]).double()
    exact = 1 - (stays * math.log2(0.8) + (1 - stays) * math.log2(0.2)).sum(1).mean()
    assert bits.item() == pytest.approx(exact.item(), rel=0.01)


@pytest.mark.parametrize("kind", ["autoregressive", "tree"])
def test_what_comes_next_depends_on_what_was(kind):
    tokens, y = chain(2000, 0), torch.zeros(2000, dtype=torch.long)
    grids = Grids.of(Layout((Grid("", 3, 2),)), 1)
    if kind == "tree":
        found = made(kind, grids, classes=1)
        found.start(tokens, y)
    else:
        found = trained(kind, grids, tokens, y, 120, rate=2e-2, model_width=16)
    known = torch.tensor([True, False, False]).expand(2000, 3)
    drawn = found.fill(tokens, known, y, found.sampling(), 0)
    assert torch.equal(drawn[:, 0], tokens[:, 0])
    for place in (1, 2):
        stays = (drawn[:, place] == drawn[:, place - 1]).float().mean().item()
        assert stays == pytest.approx(0.8, abs=0.04)


# -- masks -----------------------------------------------------------------------------------------


def test_shares_of_masks_are_not_swapped():
    shares = {
        name: training_masks(4000, 20, schedule, generator()).float().mean().item()
        for name, schedule in SCHEDULES.items()
    }
    assert shares["cosine"] == pytest.approx(2 / math.pi + 0.025, abs=0.01)
    assert shares["kept_cosine"] == pytest.approx(1 - 2 / math.pi + 0.025, abs=0.01)
    assert shares["uniform"] == pytest.approx(0.525, abs=0.01)


def test_every_series_has_a_mask_of_its_own_size_and_places():
    masks = training_masks(64, 20, SCHEDULES["cosine"], generator())
    count = masks.sum(1)
    assert count.min() >= 1
    assert len(count.unique()) > 10
    assert 0.5 < masks[:, 0].float().mean() < 0.8
    assert training_masks(5, 1, SCHEDULES["kept_cosine"], generator()).all()


def test_shares_of_a_batch_are_spread_over_all():
    """One from each of B equal parts of (0, 1): sizes fall from series to series."""
    B, n = 20, 1000
    count = training_masks(B, n, SCHEDULES["uniform"], generator()).sum(1)
    edges = n - n * torch.arange(B + 1) / B
    assert (count <= edges[:-1] + 1).all()
    assert (count >= edges[1:]).all()


def test_a_batch_is_about_a_grid_as_often_as_it_has_tokens(monkeypatch):
    found, tokens, y, first = made("masked", TWO), tokens_of(TWO, 1), labels(1), []
    logits_of = found._logits

    def spy(tokens, hidden, y, begin):
        first.append(begin)
        return logits_of(tokens, hidden, y, begin)

    monkeypatch.setattr(found, "_logits", spy)
    noise = generator()
    for _ in range(500):
        found.loss(tokens, y, noise)
    share = TWO.sizes[0] / TWO.tokens_a_series
    assert first.count(0) / 500 == pytest.approx(share, abs=0.06)
    assert set(first) == {0, TWO.sizes[0]}


def test_one_share_a_batch_where_asked_for():
    """As the code of TimeVQVAE has it: of equal sizes, at places of their own."""
    sizes = set()
    for seed in range(8):
        masks = training_masks(16, 20, SCHEDULES["cosine"], generator(seed), one_share=True)
        assert len(masks.sum(1).unique()) == 1
        assert len(masks.unique(dim=0)) > 1 or masks.all()
        sizes.add(int(masks[0].sum()))
    assert len(sizes) > 4
    found, tokens, y = made("masked", SIX, share_per="batch"), tokens_of(SIX, 30), labels(30)
    other = made("masked", SIX)
    assert found.loss(tokens, y, generator()) != other.loss(tokens, y, generator())


def test_sizes_of_the_bounds_masks_are_uniform():
    masks, count = bound_masks(5, 40, generator())
    assert torch.equal(masks.sum(2), count)
    assert torch.bincount(count.flatten(), minlength=6)[1:].float().div(40 * CHUNK).tolist() == (
        pytest.approx([0.2] * 5, abs=0.01)
    )


def test_visible_tokens_teach_nothing(monkeypatch):
    found, tokens, y = made("masked", TWO), tokens_of(TWO, 16), labels(16)
    for loss_on, learnt in (("masked", False), ("all", True)):
        found.settings = found.settings.replace(loss_on=loss_on)
        seen = {}
        logits_of = found._logits

        def spy(tokens, hidden, y, first, logits_of=logits_of, seen=seen):
            logits = logits_of(tokens, hidden, y, first)
            logits.retain_grad()
            seen.update(logits=logits, hidden=hidden)
            return logits

        monkeypatch.setattr(found, "_logits", spy)
        found.loss(tokens, y, generator()).backward()
        monkeypatch.undo()
        assert bool(seen["logits"].grad[~seen["hidden"]].any()) == learnt
        assert seen["logits"].grad[seen["hidden"]].any()


def test_a_masked_token_and_later_grids_are_not_seen():
    found, y = made("masked", TWO), labels(6)
    tokens, other = tokens_of(TWO, 6), tokens_of(TWO, 6, seed=1)
    hidden = torch.zeros(6, 18, dtype=torch.bool)
    hidden[:, [0, 3, 7]] = True
    visible = found._logits(tokens[:, :6], hidden[:, :6], y, 0)
    changed = torch.where(hidden, other, tokens)
    assert torch.equal(visible, found._logits(changed[:, :6], hidden[:, :6], y, 0))
    changed[:, 6:] = other[:, 6:]
    own = torch.zeros(6, 18, dtype=torch.bool)
    own[:, 0] = True
    changed[:, 1:6], changed[:, 0] = tokens[:, 1:6], tokens[:, 0]
    first = found.log_probabilities(changed, own, y)[:, :6]
    assert torch.equal(first, found.log_probabilities(tokens, own, y)[:, :6])


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("grids", [TWO, ROW])
def test_no_two_codebooks_share_an_embedding(kind, grids):
    network, tokens = made(kind, grids).network, tokens_of(grids, 200)
    order = made(kind, grids).order if kind == "autoregressive" else torch.arange(len(tokens[0]))
    content, book = network.content(tokens[:, order]), grids.places().book[order]
    seen = [set(content[:, book == each].flatten().tolist()) for each in book.unique()]
    assert [len(each) for each in seen] == list(grids.layout.codebook_sizes)
    assert sorted(set.union(*seen)) == list(range(network.mask))


@pytest.mark.parametrize("order", ["time", "frequency"])
@pytest.mark.parametrize("grids", [TWO, ROW])
def test_later_tokens_are_not_seen(grids, order):
    found, y = made("autoregressive", grids, token_order=order), labels(4)
    tokens = tokens_of(grids, 4)
    logits, _ = found._logits(tokens, y)
    for place in range(tokens.shape[1]):
        other = tokens.clone()
        own = found.order[place]
        other[:, own] = (other[:, own] + 1) % grids.places().size[own]
        changed, _ = found._logits(other, y)
        assert torch.allclose(changed[:, : place + 1], logits[:, : place + 1], atol=1e-5)
        if place + 1 < tokens.shape[1]:
            assert not torch.allclose(changed[:, place + 1], logits[:, place + 1], atol=1e-4)


def test_tokens_stand_in_the_order_of_time_or_of_frequency():
    by_time = made("autoregressive", TWO).order.tolist()
    assert by_time[:6] == [0, 2, 4, 1, 3, 5]
    assert by_time[6:12] == [6, 10, 14, 7, 11, 15]
    assert made("autoregressive", TWO, token_order="frequency").order.tolist() == list(range(18))
    # step, then the modes and levels of each window
    assert made("autoregressive", ROW).order.tolist() == [0, 1, 3, 4, 2, 5]


# -- drawing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grids", [TWO, ROW])
def test_samples_are_codes_and_known_tokens_stay(kind, grids):
    found, y, tokens = made(kind, grids), labels(7), tokens_of(grids, 7)
    known = torch.rand(tokens.shape, generator=generator(3)) < 0.5
    before = {name: tensor.clone() for name, tensor in found.state_dict().items()}
    settings = getattr(found, "settings", None)
    found.train()
    filled = found.fill(tokens, known, y, found.sampling(), 0)
    assert found.training
    assert getattr(found, "settings", None) == settings
    assert torch.equal(filled[known], tokens[known])
    assert (filled != tokens).any()
    drawn = found.sample(y, found.sampling(), 0)
    for each in (filled, drawn):
        assert each.min() >= 0
        assert (each < grids.places().size).all()
    assert all(torch.equal(before[name], each) for name, each in found.state_dict().items())
    assert torch.equal(drawn, found.sample(y, found.sampling(), 0))
    assert not torch.equal(drawn, found.sample(y, found.sampling(), 1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_series_does_not_depend_on_those_beside_it(kind):
    """Nor on how many gaps they have."""
    found, tokens = made(kind, TWO), tokens_of(TWO, 3)
    known = torch.ones_like(tokens).bool()
    for row, gap in enumerate((2, 9, 18)):
        known[row, :gap] = False
    y = torch.tensor([0, 1, CLASSES])
    whole = found.fill(tokens, known, y, found.sampling(), 0)
    alone = found.fill(tokens[:1], known[:1], y[:1], found.sampling(), 0)
    assert torch.equal(whole[:1], alone)
    order = torch.tensor([0, 2, 1])
    assert torch.equal(
        found.fill(tokens[order], known[order], y[order], found.sampling(), 0)[:1], alone
    )


@pytest.mark.parametrize("grids", [TWO, ROW])
def test_decoding_step_by_step_ends_in_the_sample(grids):
    """Tokens that are kept stay, and what is still hidden becomes less."""
    found, y = made("masked", grids), labels(3)
    how = IterativeSampling(decoding_steps=4)
    told = found.decoding(y, how, 5)
    assert torch.equal(told[-1].tokens, found.sample(y, how, 5))
    assert not told[-1].hidden.any()
    assert [m.begun for m in told] == sorted(m.begun for m in told)
    for before, after in itertools.pairwise(told):
        assert (after.hidden <= before.hidden).all()
        assert after.hidden.sum() < before.hidden.sum()
        assert torch.equal(after.tokens[~before.hidden], before.tokens[~before.hidden])


@pytest.mark.parametrize("kind", NETWORKS)
def test_of_large_alphabets_a_network_sees_few_series_at_once(kind, monkeypatch):
    whole = made(kind, TWO)
    assert whole.at_once == CHUNK
    room = importlib.import_module("twincode.priors.prior")  # not the function of that name
    monkeypatch.setattr(room, "MOST_LOGITS", 3 * 18 * 5)
    found = made(kind, TWO)
    assert found.at_once == 3
    y = labels(7)
    drawn = found.sample(y, found.sampling(), 0)
    assert torch.equal(drawn[:5], found.sample(y[:5], found.sampling(), 0))
    if kind == "autoregressive":
        assert torch.allclose(found.bits(drawn, y).total, whole.bits(drawn, y).total)


def test_many_series_are_drawn_in_chunks_that_do_not_show(monkeypatch):
    found = made("independent", TWO)
    y = labels(CHUNK + 3)
    whole = found.sample(y, Sampling(), 0)
    monkeypatch.setattr("twincode.priors.independent.MOST_LOGITS", 100)  # and those in parts
    assert torch.equal(whole, found.sample(y, Sampling(), 0))
    assert torch.equal(whole[:5], found.sample(y[:5], Sampling(), 0))
    assert not torch.equal(whole[:3], whole[CHUNK:])


@pytest.mark.parametrize("kind", KINDS)
def test_guidance_of_one_is_plain_and_of_nothing_is_none(kind):
    found, y = made(kind, TWO), torch.arange(6) % 2
    none = torch.full_like(y, found.none)
    sample = found.sampling
    plain = found.sample(y, sample(), 0)
    assert torch.equal(found.sample(y, sample(guidance=1.0), 0), plain)
    unguided = found.sample(none, sample(), 0)
    assert torch.equal(found.sample(y, sample(guidance=0.0), 0), unguided)
    assert not torch.equal(plain, unguided)
    assert not torch.equal(found.sample(y, sample(guidance=3.0), 0), plain)


def test_guided_logits_are_those_of_none_and_so_many_times_the_way_to_the_label():
    of_label, of_none = torch.randn(2, 3, 4, 5, generator=generator())
    of_label[..., 2] = of_none[..., 2] = -torch.inf
    possible = torch.arange(5) != 2
    for g in (0.0, 0.5, 1.0, 2.5):
        found = guided(torch.cat([of_label, of_none]), g)
        expected = (1 - g) * of_none[..., possible] + g * of_label[..., possible]
        assert torch.allclose(found[..., possible], expected, atol=1e-6)
        assert (found[..., 2] == -torch.inf).all()


@pytest.mark.parametrize(("guidance", "rows"), [(1.0, 4), (2.0, 8)])
def test_a_guided_pass_costs_two_and_a_plain_one_one(guidance, rows, monkeypatch):
    found, seen = made("masked", TWO), []
    forward = found.network.forward

    def count(content, *rest, **more):
        seen.append(len(content))
        return forward(content, *rest, **more)

    monkeypatch.setattr(found.network, "forward", count)
    found.sample(torch.arange(4) % 2, IterativeSampling(guidance=guidance, decoding_steps=3), 0)
    assert seen == [rows] * 6  # three steps for each of two grids


@pytest.mark.parametrize(("guidance", "rows"), [(1.0, 4), (2.0, 8)])
def test_so_does_a_guided_step_of_an_autoregressive_prior(guidance, rows, monkeypatch):
    found, seen = made("autoregressive", TWO), []
    step = found.network.step

    def count(content, *rest):
        seen.append(len(content))
        return step(content, *rest)

    monkeypatch.setattr(found.network, "step", count)
    found.sample(torch.arange(4) % 2, Sampling(guidance=guidance), 0)
    assert seen == [rows] * TWO.tokens_a_series


def test_drawn_codes_have_their_probabilities():
    logits = torch.tensor([0.1, -torch.inf, 1.2, 0.4, -torch.inf]).expand(1, 20000, 5)
    u = torch.rand(1, 20000, generator=generator())
    codes, log_p = draw(logits, u)
    shares = torch.bincount(codes[0], minlength=5) / 20000
    expected = logits[0, 0].softmax(0)
    assert shares.tolist() == pytest.approx(expected.tolist(), abs=0.012)
    assert torch.allclose(log_p.exp(), expected[codes])
    for edge in (0.0, 1 - 2**-24):
        code, own = draw(logits[:, :1], torch.full((1, 1), edge))
        assert code.shape == own.shape == (1, 1)
        assert expected[code] > 0
    rare = torch.tensor([-40.0, 0.0]).expand(1, 1, 2)
    assert draw(rare, torch.zeros(1, 1))[0].item() == 1  # 0 is one of 2^24 numbers


def equal_pair(tokens, hidden):
    """Two tokens that must be equal, each as likely 0 as 1."""
    other = tokens.flip(1)
    known = torch.where(other[..., None] == torch.arange(2), 0.0, -1e9)
    return torch.where(hidden.flip(1)[..., None], 0.0, known)


@pytest.mark.parametrize(("steps", "share"), [(1, 0.5), (2, 0.0)])
def test_parallel_decoding_is_not_exact_and_one_place_a_step_is(steps, share):
    tokens = torch.zeros(CHUNK, 2, dtype=torch.long)
    how = IterativeSampling(decoding_steps=steps, sampling_order="random")
    drawn = filled_grid(tokens, tokens.bool(), equal_pair, how, generator())
    assert (drawn[:, 0] != drawn[:, 1]).float().mean().item() == pytest.approx(share, abs=0.1)
    assert drawn.float().mean().item() == pytest.approx(0.5, abs=0.1)


def plainly_decoded(logits, s, hidden, u, noise, how):
    """Algorithm 1 of Chang et al. (2022) for one series, by loops in float64."""
    S, left = how.decoding_steps, [len(hidden)]
    for t in range(1, S + 1):
        share = math.cos(math.pi * t / (2 * S)) if t < S else 0
        left.append(max(0, min(math.floor(left[0] * share), left[-1] - 1)))
        mask = torch.zeros(1, len(s), dtype=torch.bool)
        mask[0, list(hidden)] = True
        said = logits(torch.tensor(s)[None], mask)[0].double().numpy() / how.draw_temperature
        sure = {}
        for n in hidden:
            p = np.exp(said[n]) / np.exp(said[n]).sum()
            s[n] = int((p.cumsum() <= u[t][n]).sum())
            tau = how.choice_temperature * (1 - t / S)
            by_confidence = math.log(p[s[n]]) + tau * noise[t][n]
            sure[n] = noise[t][n] if how.sampling_order == "random" else by_confidence
        hidden = sorted(hidden, key=sure.__getitem__)[: left[t]]
    return s


@pytest.mark.parametrize("order", ["confidence", "random"])
@pytest.mark.parametrize("tau", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_decoding_is_the_plain_restatement(order, tau, seed):
    B, N, K = 6, 9, 4
    how = IterativeSampling(
        decoding_steps=5, sampling_order=order, choice_temperature=tau, draw_temperature=0.7
    )
    logits, tokens = neighbourly(N, K, seed), torch.randint(K, (B, N), generator=generator(seed))
    known = torch.arange(N) < 2 * torch.arange(B)[:, None] - 1  # none, one, ... all
    found = filled_grid(tokens, known, logits, how, generator(seed))
    again, u, noise = generator(seed), {}, {}
    for t in range(1, 6):
        u[t], noise[t] = uniform(again, tokens).tolist(), gumbel(again, tokens).tolist()
    for row in range(B):
        hidden = (~known[row]).nonzero().flatten().tolist()
        own = [{t: each[row] for t, each in drawn.items()} for drawn in (u, noise)]
        plain = plainly_decoded(logits, tokens[row].tolist(), hidden, *own, how)
        assert found[row].tolist() == plain, row


def test_columns_of_coarse_and_fine_grids_line_up():
    """By their centres: the middle one of three is where a single one is."""
    grids = Grids.of(Layout((Grid("coarse", 1, 2), Grid("fine", 3, 2))), 2)
    time, places = made("masked", grids).network.time, grids.places()
    coarse, fine = (places.book == book for book in (0, 1))
    middle = fine & ((places.start + places.end) / 2 == 0.5)
    assert middle.sum() == coarse.sum() == 2
    assert torch.equal(time[middle], time[coarse])
    assert not torch.equal(time[fine][:2], time[coarse])


def test_each_step_hides_fewer_and_the_last_none():
    left = []

    def flat(tokens, hidden):
        left.append(hidden.sum(1).tolist())
        return torch.zeros(*tokens.shape, 3)

    tokens = torch.zeros(2, 10, dtype=torch.long)
    known = torch.zeros(2, 10, dtype=torch.bool)
    known[1, :7] = True
    filled_grid(tokens, known, flat, IterativeSampling(decoding_steps=5), generator())
    first = [10, *(math.floor(10 * math.cos(math.pi * t / 10)) for t in range(1, 5))]
    assert [each[0] for each in left] == first
    assert [each[1] for each in left] == [3, 2, 1, 0, 0][: len(left)]


def test_sure_tokens_are_kept_first():
    """The place whose code is certain is kept at the first step, where no noise is in the way."""
    kept = []

    def logits(tokens, hidden):
        kept.append(~hidden)
        found = torch.zeros(*tokens.shape, 4)
        found[:, 3, 1] = 50.0
        return found

    tokens = torch.zeros(8, 5, dtype=torch.long)
    how = IterativeSampling(decoding_steps=5, choice_temperature=0.0)
    drawn = filled_grid(tokens, tokens.bool(), logits, how, generator())
    assert (drawn[:, 3] == 1).all()
    assert kept[1][:, 3].all()
    assert not kept[1][:, 0].all()


def test_each_grid_has_a_network_of_its_own():
    found, tokens, y = made("masked", TWO, prior_per_grid=True), tokens_of(TWO, 20), labels(20)
    networks = [found.network, *found.further]
    assert len(networks) == len(TWO.sizes) == 2
    taught = set()
    for seed in range(8):
        found.zero_grad()
        found.loss(tokens, y, generator(seed)).backward()
        (own,) = [i for i, each in enumerate(networks) if each.bias.grad is not None]
        taught.add(own)
    assert taught == {0, 1}
    everything = torch.ones_like(tokens).bool()
    before = found.log_probabilities(tokens, everything, y)
    with torch.no_grad():
        networks[1].bias += torch.randn(networks[1].bias.shape, generator=generator())
    after = found.log_probabilities(tokens, everything, y)
    n = TWO.sizes[0]
    assert torch.equal(before[:, :n], after[:, :n])
    assert not torch.equal(before[:, n:], after[:, n:])
    again = made("masked", TWO, seed=1, prior_per_grid=True)
    again.load_state_dict(found.state_dict())
    assert torch.equal(again.log_probabilities(tokens, everything, y), after)


def test_a_cache_changes_nothing():
    found, tokens, y = made("autoregressive", ROW), tokens_of(ROW, 3), labels(3)
    logits, ordered = found._logits(tokens, y)
    cache = found.network.begin(y)
    content = torch.full((3,), found.network.mask)
    for place in range(ordered.shape[1]):
        step = found.network.step(content, y, place, cache)
        assert torch.allclose(step, logits[:, place], atol=1e-5)
        content = found.network.content(ordered[:, place, None], first=place)[:, 0]


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_colder_draw_is_likelier(kind):
    found, y = made(kind, TWO), torch.zeros(60, dtype=torch.long)
    usual, cold = (
        found.bits(found.sample(y, found.sampling(draw_temperature=t), 0), y).total.mean()
        for t in (1.0, 0.3)
    )
    assert cold < 0.95 * usual


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grids", [Grids.of(Layout((Grid("", 1, 5),)), 1), TWO])
def test_a_single_series_and_a_single_token_are_no_special_case(kind, grids):
    found, y = made(kind, grids), labels(1)
    tokens = found.sample(y, found.sampling(), 0)
    assert tokens.shape == (1, grids.tokens_a_series)
    assert found.bits(tokens, y).total.shape == (1,)
    assert found.loss(tokens, y, generator()).shape == ()
    beside = found.sample(torch.cat([y, y, y]), found.sampling(), 0)
    assert beside.shape == (3, grids.tokens_a_series)
    assert torch.equal(beside[:1], tokens)
    three = tokens_of(grids, 3)
    together = found.bits(three, labels(3)).total
    assert together[:1].tolist() == pytest.approx(
        found.bits(three[:1], labels(3)[:1]).total.tolist(), rel=1e-5
    )
    if kind != "autoregressive":
        hidden = torch.ones_like(three).bool()
        log_p = found.log_probabilities(three, hidden, labels(3))
        assert log_p.shape == three.shape
        if grids.tokens_a_series == 1:
            assert (-log_p[:, 0] / math.log(2)).tolist() == pytest.approx(
                together.tolist(), rel=1e-5
            )


# -- settings --------------------------------------------------------------------------------------


def test_an_autoregressive_prior_tells_no_token_from_those_around():
    with pytest.raises(TwincodeError, match="train one of kind masked"):
        made("autoregressive").log_probabilities(
            tokens_of(TWO, 1), tokens_of(TWO, 1) > 0, labels(1)
        )


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("maskd", {}, "unknown prior 'maskd'; did you mean 'masked'"),
        ("timevqva", {}, "unknown prior 'timevqva'; did you mean 'timevqvae'"),
        ("timevqvae", {"token_order": "time"}, "of the prior autoregressive; this is timevqvae"),
        ("masked", {"step": 3}, "unknown setting 'step'; did you mean 'steps'"),
        ("masked", {"token_order": "time"}, "setting of the prior autoregressive; this is masked"),
        ("independent", {"steps": 3}, "steps is a setting of the prior masked and autoregressive"),
        ("masked", {"steps": 0}, "steps must be at least 1"),
        ("masked", {"mask_schedule": "cosin"}, "did you mean 'cosine'"),
        ("masked", {"heads": 3}, "model_width must be a multiple of twice the heads, 6"),
        ("masked", {"held_out": 0.6}, "held_out must lie between 0 and 0.5"),
        ("autoregressive", {"token_order": "tim"}, "did you mean 'time'"),
    ],
)
def test_settings_that_make_no_prior_are_errors(kind, settings, message):
    with pytest.raises(TwincodeError, match=message):
        prior(kind, **settings)


def test_equal_settings_have_equal_digests():
    assert prior("masked").digest() == prior("masked", steps=2000).digest()
    digests = {prior(kind, **own).digest() for kind in KINDS for own in ({}, {"seed": 1})}
    assert len(digests) == 2 * len(KINDS)
