"""The mixture coder: its trellis, its tables, its rate, and the bits it packs into."""

import itertools
import math

import numpy as np
import pytest
import torch
from conftest import make_waves
from hypothesis import given, settings
from hypothesis import strategies as st

from twincode.closed_form import levels as tables
from twincode.closed_form.arithmetic import Decoder, Encoder, running_total
from twincode.closed_form.calibration import WEIGHT, cut_windows, join_windows
from twincode.closed_form.mixture import MixtureCoder, _windows
from twincode.closed_form.modes import Modes, water_level
from twincode.closed_form.steps import FINER, STEPS
from twincode.closed_form.trellis import NEXT_STATE, Price, follow, points, quantise, zero_tail
from twincode.data import load_dataset
from twincode.errors import TwincodeError
from twincode.evaluate.rate import gaussian_bound
from twincode.recipes import recipe
from twincode.train import fit


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_price(S: int, n: int, ratio: float = 0.0) -> Price:
    prior = tables.level_prior(torch.randn(2000, generator=seeded()))
    costs = tables.level_costs(tables.whole_frequencies(prior))
    return Price(costs, *tables.contexts(torch.full((S, n), int(16 * ratio))))


def cost_of(levels: list[int], y: torch.Tensor, price: Price, weight: float) -> float:
    """A plain restatement: follow the states one level after another."""
    state, total = 0, 0.0
    for s, level in enumerate(levels):
        quantiser = state >> 1
        point = 2 * level - quantiser * ((level > 0) - (level < 0))
        bits = float(price.bits[quantiser, int(price.context[s, 0]), abs(level)])
        total += (float(y[s, 0]) - point) ** 2 + weight * bits
        state = int(NEXT_STATE[state, level & 1])
    return total


@pytest.mark.parametrize("seed", range(5))
def test_the_trellis_finds_the_best_levels_there_are(seed: int) -> None:
    y = 1.5 * torch.randn(4, 1, generator=seeded(seed))
    price = some_price(4, 1, 0.5)
    path = quantise(y, price, torch.full((4, 1), 31), torch.full((1,), 0.5))
    found = cost_of(path.levels[:, 0].tolist(), y, price, 0.5)
    every = itertools.product(range(-3, 4), repeat=4)
    least = min(cost_of(list(levels), y, price, 0.5) for levels in every)
    # Only the nearest level of each parity, and zero, are tried: near the best, not always it.
    assert found <= least * 1.05 + 1e-6


def test_the_decoder_follows_the_encoders_states() -> None:
    y = 3 * torch.randn(50, 20, generator=seeded())
    path = quantise(y, some_price(50, 20, 1.0), torch.full((50, 20), 31), torch.full((20,), 0.5))
    assert torch.equal(follow(path.levels), path.quantisers)


@given(S=st.integers(1, 12), n=st.integers(1, 3), seed=st.integers(0, 50))
def test_the_trellis_finds_the_cheapest_path_of_a_plain_search(S: int, n: int, seed: int) -> None:
    """State by state in float64, among zero, the nearest even and the nearest odd level."""
    y = 1.5 * torch.randn(S, n, generator=seeded(seed)).round(decimals=2)
    price = some_price(S, n, 0.5)
    path = quantise(y, price, torch.full((S, n), 31), torch.full((n,), 0.5))
    for i in range(n):
        least = {0: 0.0}
        for s in range(S):
            a, reached = abs(float(y[s, i])), {}
            for state, total in least.items():
                quantiser = state >> 1
                exact = (a + quantiser) / 2
                even, odd = 2 * round(exact / 2), 2 * max(0, round((exact - 1) / 2)) + 1
                for level in (0, even, odd):
                    point = 2 * level - quantiser * (level > 0)
                    bits = float(price.bits[quantiser, int(price.context[s, i]), level])
                    after = int(NEXT_STATE[state, level & 1])
                    cost = total + (a - point) ** 2 + 0.5 * bits
                    reached[after] = min(reached.get(after, math.inf), cost)
            least = reached
        own = Price(price.bits, price.context[:, i : i + 1], price.shift[:, i : i + 1])
        found = cost_of(path.levels[:, i].tolist(), y[:, i : i + 1], own, 0.5)
        assert found == pytest.approx(min(least.values()), rel=1e-5)


@given(S=st.integers(0, 9), n=st.integers(0, 3), seed=st.integers(0, 50))
def test_quantisers_are_found_without_a_walk_along_the_states(S: int, n: int, seed: int) -> None:
    levels = torch.randint(-4, 5, (S, n), generator=seeded(seed))
    walked = torch.zeros_like(levels)
    for i in range(n):
        state = 0
        for s in range(S):
            walked[s, i] = state >> 1
            state = int(NEXT_STATE[state, int(levels[s, i]) & 1])
    assert torch.equal(follow(levels), walked)


def test_fine_steps_leave_errors_within_a_step() -> None:
    y = 3 * torch.randn(50, 20, generator=seeded())
    path = quantise(y, some_price(50, 20, 1.0), torch.full((50, 20), 31), torch.full((20,), 1e-6))
    assert float((y - points(path.levels, path.quantisers)).abs().max()) <= 1.5


def test_a_tail_of_zeros_costs_what_following_it_costs() -> None:
    price = some_price(7, 1)
    tail = zero_tail(price)
    for start, state in itertools.product(range(8), range(4)):
        bits, now = 0.0, state
        for s in range(start, 7):
            bits += float(price.of_zero(now >> 1)[s, 0])
            now = int(NEXT_STATE[now, 0])
        assert float(tail[start, state, 0]) == pytest.approx(bits, abs=1e-4)


def test_trellis_codes_of_a_gaussian_source_come_near_its_bound() -> None:
    source = torch.randn(2000, 1, 32, generator=seeded())
    for bits in (32, 64):
        coder = MixtureCoder.fit(source, bits, seeded(), rate="average", window=32, modes=1)
        fresh = torch.randn(1000, 1, 32, generator=seeded(1))
        codes = coder.encode(fresh)
        spent = float(coder.bits_of(codes).mean())
        assert spent == pytest.approx(bits, rel=0.05)
        error = float((coder.decode(codes) - fresh).square().sum((1, 2)).mean())
        assert error < 1.45 * gaussian_bound(np.ones(32), spent)


@settings(max_examples=6, deadline=None)
@given(bits=st.integers(8, 300), length=st.integers(1, 90), seed=st.integers(0, 5))
def test_no_series_takes_more_than_the_cap_and_packing_proves_it(
    bits: int, length: int, seed: int
) -> None:
    x = torch.randn(60, 1, 30, generator=seeded(seed)).cumsum(2)
    coder = MixtureCoder.fit(x, bits, seeded(), rate="capped", window=10, modes=2)
    wild = 100 ** torch.rand(20, 1, length, generator=seeded(seed)) - 30
    codes = coder.encode(wild)
    assert float(coder.bits_of(codes).max()) <= coder.budget(length)
    packed = coder.pack(codes, length)
    assert {len(stored) for stored in packed} == {math.ceil(coder.budget(length) / 8)}
    assert torch.equal(coder.unpack(packed, length), codes)
    assert coder.budget(30) == bits


def test_an_average_rate_packs_into_the_bits_it_says() -> None:
    x = torch.randn(200, 2, 24, generator=seeded()).cumsum(2)
    coder = MixtureCoder.fit(x, 90, seeded(), rate="average")
    codes = coder.encode(x)
    packed = coder.pack(codes)
    assert torch.equal(coder.unpack(packed), codes)
    stored = torch.tensor([8.0 * len(one) for one in packed])
    assert bool((stored >= coder.bits_of(codes) - 0.01).all())
    assert bool((stored <= coder.bits_of(codes) + 9.2).all())


@pytest.mark.parametrize(("bits", "window", "modes"), [(40, 24, 1), (90, 7, 3), (300, 12, 2)])
def test_a_fixed_sequence_of_operations_does_the_same(bits: int, window: int, modes: int) -> None:
    """Sums in another order decide otherwise where two codes are as good, and then to no harm."""
    x = torch.randn(400, 2, 24, generator=seeded()).cumsum(2)
    coder = MixtureCoder.fit(x[:200], bits, seeded(), "average", window, modes)
    codes, again = coder.encode(x), coder.search(x)
    assert float((codes == again).all(1).float().mean()) >= 0.99
    cost, other = _cost(coder, x, codes), _cost(coder, x, again)
    torch.testing.assert_close(other, cost, rtol=1e-4, atol=0)
    torch.testing.assert_close(coder.restore(codes), coder.decode(codes), rtol=1e-5, atol=1e-5)


def _cost(coder: MixtureCoder, x: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """What coding minimises once modes are chosen, (n,)."""
    error = (cut_windows(coder.decode(codes) - x, coder.window)).square().sum((1, 2))
    return error + WEIGHT * 4**coder.log2_step * coder.bits_of(codes)


def test_too_few_bits_are_refused() -> None:
    with pytest.raises(TwincodeError, match="at least 8 bits"):
        MixtureCoder.fit(torch.randn(20, 1, 16), 4, seeded())


def test_what_is_given_is_kept_and_the_rest_chosen() -> None:
    """Bursts of one shape at any of many places: windows of their size tell them, with modes."""
    generator = seeded()
    shapes = torch.randn(8, 10, generator=generator) * 3
    rows = shapes[torch.randint(8, (400, 6), generator=generator)].flatten(1)[:, None]
    x = rows + 0.1 * torch.randn(rows.shape, generator=generator)
    windows = MixtureCoder.fit(x, 60, seeded(), window=10)
    assert windows.window == 10
    assert len(windows.mean) > 1
    few = MixtureCoder.fit(x, 60, seeded(), modes=2)
    assert len(few.mean) == 2
    error = {
        coder.window: float((coder.decode(coder.encode(x)) - x).square().mean())
        for coder in (MixtureCoder.fit(x, 60, seeded(), window=w, modes=2) for w in (15, 30, 60))
    }
    assert error[few.window] < 1.1 * min(error.values()) < max(error.values()) / 1.1


def test_more_modes_than_windows_can_tell_are_refused() -> None:
    x = torch.randn(24, 1, 80, generator=seeded()).cumsum(2)
    with pytest.raises(TwincodeError, match="100 modes are too many for 24 series of 5 windows"):
        MixtureCoder.fit(x, 200, seeded(), window=16, modes=100)


def test_codes_of_another_shape_are_refused() -> None:
    coder = MixtureCoder.fit(torch.randn(20, 1, 16, generator=seeded()), 30, seeded())
    with pytest.raises(TwincodeError, match="tokens"):
        coder.decode(torch.zeros(2, 0, dtype=torch.long))


@pytest.mark.parametrize("C", [1, 5, 6, 12, 2000])
@pytest.mark.parametrize("L", [5, 16, 140, 2000])
def test_windows_that_are_tried_have_few_values(C: int, L: int) -> None:
    """But for a step of very many channels; what few channels have is not touched."""
    windows = _windows(C, L)
    assert windows
    assert all(1 <= window <= L for window in windows)
    assert all(C * window <= 1024 for window in windows) or windows == [1]
    if C == 1:
        few = {5: [5], 16: [16], 140: [16, 35, 70, 140], 2000: [16, 33, 65, 125]}
        assert windows == few[L]


def test_windows_go_there_and_back() -> None:
    x = torch.randn(3, 2, 17, generator=seeded())
    assert torch.equal(join_windows(cut_windows(x, 5), 2)[:, :, :17], x)


def test_frequencies_are_whole_and_sum_to_a_power_of_two() -> None:
    whole = tables.whole_frequencies(torch.rand(4, 300, dtype=torch.float64, generator=seeded()))
    assert bool((whole >= 1).all())
    assert whole.sum(1).tolist() == [1 << tables.FREQUENCY_BITS] * 4


@pytest.mark.parametrize("rate", ["average", "capped"])
def test_few_bits_are_no_trouble_where_many_modes_are_tried(rate: str) -> None:
    """Their names alone would take more, in windows as short as are tried."""
    x = torch.randn(50, 1, 500, generator=seeded()).cumsum(2)
    coder = MixtureCoder.fit(x, 10, seeded(), rate)
    assert float(coder.bits_of(coder.encode(x)).mean()) < 12


@pytest.mark.parametrize("rate", ["average", "capped"])
@pytest.mark.parametrize("large", [1e6, 1e10, 3e37])
def test_values_however_large_have_codes(rate: str, large: float) -> None:
    """They are cut off at 32 deviations."""
    x = torch.randn(60, 1, 30, generator=seeded()).cumsum(2)
    coder = MixtureCoder.fit(x, 40, seeded(), rate)
    one = x[:1].clone()
    one[0, 0, 7] = large
    for series in (one, -large * torch.ones(1, 1, 30)):
        codes = coder.encode(series)
        assert bool(coder.decode(codes).isfinite().all())
        assert rate == "average" or float(coder.bits_of(codes)) <= 40


def test_a_capped_code_is_about_the_best_of_all_steps() -> None:
    """A path that was cut may be hundreds of times worse than one of a coarser step."""
    data = load_dataset("ItalyPowerDemand")
    scale = data.X_train.std()
    x, test = (torch.from_numpy(part / scale) for part in (data.X_train, data.X_test[:60]))
    coder = MixtureCoder.fit(x, 200, torch.Generator().manual_seed(0))
    codes = coder.encode(test)
    assert (coder.bits_of(codes) <= 200).all()
    found = (coder.decode(codes) - test).square().sum((1, 2))
    windows = cut_windows(test, coder.window)
    modes, z = coder._modes.assign(windows, coder._coding_error)
    budget, ratio = coder.budget(24) - coder._naming(modes), coder.ratio[modes]
    weight = torch.full((60,), WEIGHT)
    best = torch.stack([
        coder._steps.cut(z, ratio, torch.full((60,), offset), weight, budget).error
        for offset in range(-FINER, STEPS - FINER - 2)
    ]).amin(0)  # fmt: skip
    assert (found <= 2 * best + 1e-9 * test.square().sum()).float().mean() > 0.95
    assert found.sum() <= 1.5 * best.sum()


def test_a_capped_code_uses_its_bits_on_unusual_series_too() -> None:
    """What no train series had is silent at any step, and no reason for a coarse one."""
    time, noise = torch.arange(64) / 63, seeded()

    def waves(n: int) -> torch.Tensor:
        turns = 2 * time + torch.rand(n, 1, generator=noise)
        own = 0.05 * torch.randn(n, 64, generator=noise)
        return ((2 * math.pi * turns).sin() + own)[:, None]

    coder = MixtureCoder.fit(waves(200), 200, seeded(1), window=64, modes=8)
    odd = waves(20)
    odd[..., 20:24] += 2
    assert float(coder.bits_of(coder.encode(odd)).mean()) > 150


@pytest.mark.parametrize(("n", "window"), [(62, 60), (30, 60), (100, 30)])
def test_of_few_series_fresh_ones_take_about_the_bits_asked_for(n: int, window: int) -> None:
    """Fewer than components in two of three parts, if not in all of them."""
    x = torch.randn(n + 300, 1, 60, generator=seeded()).cumsum(2)
    coder = MixtureCoder.fit(x[:n], 100, seeded(), "average", window=window, modes=1)
    assert 85 < float(coder.bits_of(coder.encode(x[n:])).mean()) < 115


@pytest.mark.parametrize("length", [3, 8])
def test_short_series_do_not_take_more_bits_than_their_values_hold(length: int) -> None:
    data = make_waves(100, 20, length=length)
    model = fit(recipe(), data)
    assert model.bits_per_series == 16 * length
    assert {each.metric for each in model.evaluate(data)} >= {"bits", "entropy_bits", "nmse"}


@pytest.mark.parametrize(("n", "length"), [(2, 8), (3, 8), (2, 140)])
def test_very_few_series_are_coded_as_one_is(n: int, length: int) -> None:
    x = torch.randn(n, 1, length, generator=torch.Generator().manual_seed(1)).cumsum(2)
    coder = MixtureCoder.fit(x, 100, torch.Generator().manual_seed(0), rate="average")
    error = (coder.decode(coder.encode(x)) - x).square().mean() / x.var()
    assert error < 0.02
    assert coder.bits_of(coder.encode(x)).mean() < 115


def test_many_bits_are_spent_too() -> None:
    """Smooth series: the last of their components have a millionth of the spread of the first."""
    x = torch.randn(150, 1, 40, generator=seeded()).cumsum(2).cumsum(2).cumsum(2)
    x = (x - x.mean()) / x.std()
    errors = []
    for bits in (150, 300, 450):
        coder = MixtureCoder.fit(x, bits, seeded(), "average", window=20, modes=4)
        codes = coder.encode(x)
        assert float(coder.bits_of(codes).mean()) == pytest.approx(bits, rel=0.1)
        errors.append(float((coder.decode(codes) - x).double().square().mean()))
    assert errors[1] < errors[0] / 20
    assert errors[2] < errors[1] / 20
    beyond = MixtureCoder.fit(x, 2000, seeded(), "average", window=20, modes=4)
    found = beyond.decode(beyond.encode(x))  # as well as float32 can say it
    assert float((found - x).double().square().mean()) < errors[2]


@pytest.mark.parametrize("level", [1e-2, 1e-5, 1e-8, 1e-11])
def test_modes_are_those_of_the_least_price_however_fine_the_code(level: float) -> None:
    x = torch.randn(200, 3, 12, generator=seeded()).cumsum(2).cumsum(2)
    modes = Modes.fit(x, 4, 30.0, seeded())
    found = modes.choose(x, level)
    price = torch.empty(200, 3, 4, dtype=torch.float64)
    for mode in range(4):
        basis = torch.linalg.qr(modes.basis[mode].double())[0]
        covariance = basis @ (modes.variance[mode] + level).diag() @ basis.T
        moved = x.double() - modes.mean[mode].double()
        price[:, :, mode] = (moved * torch.linalg.solve(covariance, moved.mT).mT).sum(2) / 2
        price[:, :, mode] += torch.linalg.slogdet(covariance)[1] / 2
    naming = -modes.transition_prior.log()
    paid, least = torch.zeros(2, 200)
    before = torch.full((200,), 4)
    for place in range(3):
        costs = price[:, place] + naming[before]
        least += costs.min(1).values
        paid += costs.gather(1, found[:, place, None])[:, 0]
        before = found[:, place]
    # Of modes that cost the same any will do.
    assert float((paid - least).max()) < 0.1


@pytest.mark.parametrize("bits", [0.1, 2.0])
def test_water_level_spends_the_bits(bits: float) -> None:
    variance = torch.tensor([[4.0, 1.0, 0.1]], dtype=torch.float64)
    level = water_level(variance, torch.ones(1, dtype=torch.float64), bits)
    assert float((variance / level).log2().clamp(min=0).sum()) / 2 == pytest.approx(bits)
    assert float(variance.clamp(max=level).sum()) == pytest.approx(
        gaussian_bound(variance[0].numpy(), bits)
    )


@given(symbols=st.lists(st.integers(0, 3), max_size=60))
def test_arithmetic_coding_returns_its_symbols(symbols: list[int]) -> None:
    starts = running_total([8, 4, 3, 1])
    bits = math.ceil(sum(4 - math.log2(starts[s + 1] - starts[s]) for s in symbols) + 0.01)
    encoder = Encoder(bits)
    for symbol in symbols:
        encoder.add(starts[symbol], starts[symbol + 1] - starts[symbol], 4)
    number = encoder.close()
    assert number is not None
    decoder = Decoder(number, bits)
    found = [
        decoder.take(starts, lambda share: max(i for i in range(4) if starts[i] <= share), 4)
        for _ in symbols
    ]
    assert found == symbols


@pytest.mark.parametrize("capped", [False, True])
def test_shares_expected_of_codes_are_those_they_are_packed_with(
    capped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A last level's bits tell them; of several series they are a mean."""
    x = torch.randn(80, 1, 24, generator=seeded()).cumsum(2)
    rate = "capped" if capped else "average"
    coder = MixtureCoder.fit(x, 60, seeded(), rate=rate, window=8, modes=3)
    codes = coder.encode(x[:5])
    sizes = [book.size for book in coder.books_of(24) for _ in range(book.tokens)]
    found = coder.expected_shares(codes)
    assert found.shape == (len(sizes), max(sizes))
    assert torch.allclose(found.sum(1), torch.ones(len(sizes)).double())
    assert all((row[:size] > 0).all() and not row[size:].any() for row, size in zip(
        found, sizes, strict=True
    ))  # fmt: skip
    # Every last level, which decides nothing that comes after it, so that none is out of reach.
    last = codes.repeat_interleave(sizes[-1], 0)
    last[:, -1] = torch.arange(sizes[-1]).repeat(5)
    share = torch.exp2(-coder.bits_of(last).double()).view(5, -1)
    share = (share / share.sum(1, keepdim=True)).mean(0)
    least = sizes[-1] / 2**20  # what codes have that would have less
    assert torch.allclose(coder.expected_shares(last)[-1, : sizes[-1]], share, atol=least)
    assert torch.allclose(found[-1, : sizes[-1]], share, atol=least)
    with monkeypatch.context() as patch:
        patch.setattr("twincode.closed_form.mixture.FEW_STEPS", 1 << 20)  # all within reach
        each = [coder.expected_shares(codes[i : i + 1]) for i in range(5)]
        whole = coder.expected_shares(codes)
    assert torch.allclose(whole, torch.stack(each).mean(0), atol=1e-5)
    monkeypatch.setattr("twincode.closed_form.mixture.FEW_STEPS", 1)
    place, middle = coder.expected_shares(codes)[-1, : sizes[-1]], sizes[-1] // 2
    reach = 2 * max(1, int((codes[:, -1] - middle).abs().max()))
    far = (torch.arange(sizes[-1]) - middle).abs() > reach
    assert 0 < int(far.sum()) < len(far)
    assert place[far].sum() < 2**-20
    near = torch.where(far, 0, share)
    assert torch.allclose(place, near / near.sum(), atol=least)
    first = int(capped)
    modes = coder.mode_frequencies[len(coder.mean)].double() / 2**20
    assert torch.allclose(found[first, : len(modes)], modes, atol=1e-5)
    if capped:
        steps = coder.step_frequencies.double() / 2**20
        assert torch.allclose(found[0, : sizes[0]], steps, atol=1e-5)


@given(shift=st.integers(0, 4), row=st.integers(0, tables.CONTEXTS), quantiser=st.integers(0, 1))
def test_levels_share_what_their_symbol_has(shift: int, row: int, quantiser: int) -> None:
    table = tables.whole_frequencies(tables.level_prior(torch.randn(500, generator=seeded())))
    where = torch.tensor([[quantiser], [row], [shift]])
    found = tables.signed_shares(table, where, largest=40)[0]
    for level in range(-40, 41):
        symbol = abs(level) >> shift
        expected = float(table[quantiser, max(row - 1, 0), symbol]) / 2**20 / 2**shift
        expected = expected if row else float(level == 0)
        assert found[level + 40] == pytest.approx(expected / (2 if level else 1), rel=1e-9)


@pytest.mark.parametrize(
    ("n", "length", "bits"), [(200, 100, 50), (300, 150, 45), (50, 100, 20)], ids=str
)
def test_series_without_structure_take_about_the_bits_asked_for(
    n: int, length: int, bits: int
) -> None:
    """The step goes too far at first where a few bits are shared by many equal components."""
    noise = torch.randn(2 * n, 1, length, generator=seeded(3))
    coder = MixtureCoder.fit(noise[:n], bits, seeded(), "average")
    assert coder.bits_of(coder.encode(noise[n:])).mean() < 1.5 * bits


def test_no_series_takes_more_than_the_cap_where_channels_are_constant() -> None:
    x = torch.cat([torch.randn(9, 1, 17, generator=seeded()), torch.full((9, 1, 17), 3.0)], 1)
    coder = MixtureCoder.fit(x, 1000, seeded(), "capped")
    codes = coder.encode(x)
    assert coder.bits_of(codes).max() <= coder.budget(17)
    assert torch.equal(coder.unpack(coder.pack(codes)), codes)
