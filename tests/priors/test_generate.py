"""Both stages together: new series, likelihood, gaps, what comes next, and what is surprising."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch
from conftest import make_waves, tiny, untrained
from hypothesis import given
from hypothesis import strategies as st
from toys import NETWORKS

from twincode.errors import TwincodeError, TwincodeWarning
from twincode.generate import Stages, surprise_along
from twincode.generate.gaps import interpolated, overlapping
from twincode.generate.likelihood import pseudo_bits
from twincode.generate.stages import sample_tokens
from twincode.generate.surprise import odd_width, surprise
from twincode.model import Model
from twincode.priors import PRIORS, Grids, load_prior, prior
from twincode.quantize import Grid, Layout
from twincode.tokenizers import TOKENIZERS, embed
from twincode.train import fit, fit_prior
from twincode.train.prior_task import PriorTask

QUICK = {"model_width": 8, "layers": 1, "feedforward": 1, "steps": 3, "batch_size": 16}
KINDS = tuple(PRIORS)
QUANTIZERS = ("vq", "fsq", "residual", "product")
# A tokenizer that takes a quantiser is tried with one of them each, the plain one with all.
COMBINATIONS = [
    *(("vqvae", each) for each in QUANTIZERS),
    *(("bands", "vq"), ("vqvae2", "residual"), ("contrastive", "vq")),
    *((name, None) for name in ("mixture", "pca-pq", "patch-rvq", "warm")),
]


def quick(kind, **changes):
    return prior(kind, **(QUICK if kind in NETWORKS else {}), **changes)


@pytest.fixture(scope="module")
def models(waves):
    model = fit(tiny("vqvae", epochs=1, evaluations=0), waves)
    return {kind: fit_prior(quick(kind), model, waves) for kind in KINDS}


def test_every_tokenizer_is_tried():
    without = {"raw", "encoder"}  # without codes; without a decoder
    assert {name for name, _ in COMBINATIONS} == set(TOKENIZERS) - without


@pytest.mark.parametrize(("name", "quantizer"), COMBINATIONS)
def test_every_tokenizer_with_codes_generates(name, quantizer):
    data = make_waves(16, 3, channels=2, length=37)
    changes = {"quantizer": quantizer} if quantizer else {}
    if name == "contrastive":
        changes["background_classes"] = "a"
    config = untrained("vqvae", tokenizer=name, **changes)
    for kind in KINDS if name in ("bands", "pca-pq") else ("masked",):
        model = fit_prior(quick(kind), fit(config, data), data)
        series, labels = model.sample(3, seed=1)
        drawn, _ = sample_tokens(model._stages, 20, None, 0, model._stages.sampling({}))
        assert (drawn < model.prior.prior.grids.places().size).all()
        assert series.shape == (3, 2, 37)
        assert np.isfinite(series).all()
        assert set(labels) <= {"a", "b"}
        bits = model.bits(data.X_test, labels=["a", "b", "a"])
        assert bits.shape == (3,)
        assert np.isfinite(bits).all()
        gappy = data.X_test.copy()
        gappy[:, 0, 30:] = np.nan
        filled = model.impute(gappy, draws=2)
        assert filled.shape == (2, 3, 2, 37)
        assert np.isfinite(filled).all()
        if kind == "masked":
            surprising = model.surprise(data.X_test)
            assert surprising.shape == (3, model.tokenizer.grid[0], 37)
            assert (surprising > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_samples_depend_on_the_seed_alone(kind, models):
    model = models[kind]
    random = torch.get_rng_state()
    few, many = model.sample(4, labels="train", seed=3), model.sample(9, labels="train", seed=3)
    assert few.series.shape == (4, 1, 33)
    assert np.allclose(few.series, many.series[:4], atol=1e-5)
    assert few.labels.tolist() == many.labels[:4].tolist()
    assert torch.equal(random, torch.get_rng_state())
    assert not np.array_equal(few.series, model.sample(4, seed=4).series)


@pytest.mark.parametrize(("name", "quantizer"), COMBINATIONS)
def test_the_enhanced_scheme_draws_from_every_tokenizer(name, quantizer):
    """By the vectors of its codes where it has them; by probabilities everywhere."""
    data = make_waves(16, 3, length=37)
    changes = {"quantizer": quantizer} if quantizer else {}
    if name == "contrastive":
        changes["background_classes"] = "a"
    config = untrained("vqvae", tokenizer=name, **changes)
    model = fit_prior(quick("masked"), fit(config, data), data)
    few = {"decoding_steps": 3, "sampling_scheme": "ess"}
    by_code, other = (
        model.sample(2, **few, ess_distance=kind).series for kind in ("code", "log_probability")
    )
    assert np.isfinite(by_code).all()
    without = quantizer == "fsq" or name == "mixture"
    assert (model.prior.prior.vectors is None) == without
    assert not without or np.array_equal(by_code, other)


def test_samples_have_the_units_of_the_data(waves):
    far = 100 * waves.X_train + 1000
    model = fit(tiny("pca-pq"), far)
    series, _ = fit_prior(quick("independent"), model, far).sample(20)
    assert series.mean() == pytest.approx(1000, abs=20)
    assert 20 < series.std() < 200


@pytest.mark.parametrize("kind", ["independent", "masked"])
def test_rare_levels_of_a_mixture_are_drawn_rarely(kind):
    """Its alphabets are larger than train: smoothed evenly, samples are many times as wide."""
    data = make_waves(400, 4)
    model = fit_prior(quick(kind), fit(tiny("mixture"), data), data)
    drawn = np.abs(model.sample(200, labels="none").series).max((1, 2))
    assert np.quantile(drawn, 0.95) < 1.5 * np.abs(data.X_train).max()


def test_labels_are_drawn_chosen_or_left_out(models):
    model = models["independent"]
    drawn = model.sample(400).labels
    assert 0.4 < (drawn == "a").mean() < 0.6
    assert model.sample(3, labels="b").labels.tolist() == ["b"] * 3
    assert model.sample(2, labels=["b", "a"]).labels.tolist() == ["b", "a"]
    assert model.sample(2, labels="none").labels is None
    with pytest.raises(TwincodeError, match="unknown class '4'"):
        model.sample(2, labels=4)
    for wrong, message in (("c", "unknown class 'c'"), (["a"], "there are 1 labels for 2 series")):
        with pytest.raises(TwincodeError, match=message):
            model.sample(2, labels=wrong)


@pytest.mark.parametrize("wrong", [0, 2.5, True, "3"])
def test_numbers_of_things_are_whole(models, waves, wrong):
    model, message = models["masked"], "must be a whole number of at least 1, not"
    for ask in (
        lambda: model.sample(wrong),
        lambda: model.impute(waves.X_test, draws=wrong),
        lambda: model.bits(waves.X_test, draws=wrong),
        lambda: model.forecast(waves.X_test[..., 3:], steps=wrong),
    ):
        with pytest.raises(TwincodeError, match=message):
            ask()


@pytest.mark.parametrize("seed", [-1, 1.5, "3", True])
def test_a_seed_is_a_whole_number(models, seed):
    with pytest.raises(TwincodeError, match="seed must be a whole number of at least 0, not"):
        models["masked"].sample(2, seed=seed)


def test_labels_of_series_that_are_there_are_not_drawn(models, waves):
    model = models["masked"]
    for use in (model.bits, model.impute, model.surprise):
        with pytest.raises(TwincodeError, match="is for new series; of given ones name the class"):
            use(waves.X_test, labels="train")


@pytest.mark.parametrize("counts", [(30, 10), (1, 19)])
def test_labels_are_drawn_as_often_as_in_train(models, counts):
    model = models["independent"]
    fitted = dataclasses.replace(model.prior, counts=counts)
    y = Stages(model.tokenizer, fitted).labels_for(2000, "train")
    share = counts[1] / sum(counts)
    assert y.double().mean().item() == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize("kind", KINDS)
def test_bits_need_a_draw(models, waves, kind):
    with pytest.raises(TwincodeError, match="draws must be a whole number of at least 1, not 0"):
        models[kind].bits(waves.X_test, draws=0)


def test_bits_a_dimension_are_those_of_the_equation(models, waves):
    model = models["independent"]
    stages, x = model._stages, torch.from_numpy(model.scaling.apply(waves.X_test))
    x_hat = model.tokenizer.reconstruct(x)["time"][1].double().numpy()
    train = torch.from_numpy(model.scaling.apply(waves.X_train))
    variance = float(
        (model.tokenizer.reconstruct(train)["time"][1] - train).double().square().mean()
    )
    total = model.bits(waves.X_test, unit="series")
    density = -np.log(2 * np.pi * variance) / 2 - (x.numpy() - x_hat) ** 2 / (2 * variance)
    expected = (total - density.sum((1, 2)) / math.log(2)) / 33
    assert model.bits(waves.X_test) == pytest.approx(expected, rel=1e-4)
    N = stages.fitted.prior.grids.tokens_a_series
    assert model.bits(waves.X_test, unit="token") == pytest.approx(total / N)
    assert model.bits(waves.X_test, unit="step") == pytest.approx(total / 33)
    with pytest.raises(TwincodeError, match="unknown unit 'tokens'; did you mean 'token'"):
        model.bits(waves.X_test, unit="tokens")


def test_pseudo_likelihood_is_a_mean_over_tokens_left_out(models, waves):
    for kind in ("masked", "independent"):
        stages = models[kind]._stages
        tokens = stages.tokens(torch.from_numpy(models[kind].scaling.apply(waves.X_test[:3])))
        y = torch.tensor([0, 1, 2])
        expected = torch.zeros(3)
        for n in range(tokens.shape[1]):
            hidden = torch.zeros_like(tokens).bool()
            hidden[:, n] = True
            expected -= stages.fitted.prior.log_probabilities(tokens, hidden, y)[:, n]
        expected /= math.log(2) * tokens.shape[1]
        found = pseudo_bits(stages, tokens, y)
        assert torch.allclose(found.float(), expected, rtol=1e-5)
        if kind == "independent":
            exact = stages.fitted.prior.bits(tokens, y).total / tokens.shape[1]
            assert torch.allclose(found, exact, rtol=1e-5)


def test_a_model_without_a_prior_says_so(models, waves):
    whole = models["masked"]
    bare = Model(whole.tokenizer, whole.scaling, whole.config, whole.source)
    for use in (bare.sample, bare.bits, bare.impute, bare.surprise):
        with pytest.raises(TwincodeError, match="has no prior yet; fit one"):
            use(waves.X_test if use != bare.sample else 2)


def test_sampling_settings_of_another_prior_are_errors(models):
    for kind in ("autoregressive", "independent"):
        line = f"^sampling_scheme is for drawing from a prior of kind masked; this one is {kind}$"
        with pytest.raises(TwincodeError, match=line):
            models[kind].sample(1, sampling_scheme="ess")
    with pytest.raises(TwincodeError, match="did you mean 'guidance'"):
        models["masked"].sample(1, guidanse=3)
    with pytest.raises(TwincodeError, match="decoding_steps must be at least 1"):
        models["masked"].sample(1, decoding_steps=0)


# -- gaps ------------------------------------------------------------------------------------------


def test_gaps_are_filled_and_what_was_observed_stays(models, waves):
    model, gappy = models["masked"], waves.X_test.copy()
    gappy[0, 0, 5:12], gappy[1, 0, 20:], gappy[2, 0, 0] = np.nan, np.nan, np.nan
    filled = model.impute(gappy, draws=3)
    assert filled.shape == (3, 20, 1, 33)
    observed = ~np.isnan(gappy)
    assert all(np.array_equal(each[observed], gappy[observed]) for each in filled)
    assert np.isfinite(filled).all()
    assert not np.array_equal(filled[0], filled[1])
    assert np.array_equal(filled, model.impute(gappy, draws=3))
    # Gaps of other sizes beside it do not change what a series gets.
    alone = model.impute(gappy[:1], draws=3)
    assert np.allclose(alone, filled[:, :1], atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_what_was_observed_stays_to_the_last_digit(waves, dtype):
    X = (waves.X_test[:3].astype(np.float64) * 1e8 / 3).astype(dtype)
    far = fit(tiny("vqvae", epochs=0, evaluations=0), X)
    model = fit_prior(quick("masked"), far, X)
    gaps = np.zeros(X.shape, bool)
    gaps[..., 10:15] = True
    filled = model.impute(np.ma.array(X, mask=gaps))[0]
    assert np.array_equal(filled[~gaps], X[~gaps])
    assert filled.dtype == (np.float32 if dtype is np.float32 else np.float64)
    with pytest.raises(TwincodeError, match="every step of a series is surprising"):
        model.counterfactual(X, threshold=-1e9)
    assert np.array_equal(model.counterfactual(X, threshold=1e9)[0], X)


def test_where_every_token_covers_a_gap_that_is_told(waves):
    model = fit_prior(quick("tree"), fit(tiny("mixture"), waves), waves)
    assert model.tokenizer.layout.grids[0].width == 1
    gappy = waves.X_test[:3].copy()
    gappy[:2, 0, 16] = np.nan
    with pytest.warns(TwincodeWarning, match="of 2 of 3 series every token covers a gap"):
        blind = model.impute(gappy, draws=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near = model.impute(gappy, draws=20, candidates=20)
        model.impute(gappy[2:])
    missed = [np.abs(each[:, :2, 0, 16] - waves.X_test[:2, 0, 16]).mean() for each in (blind, near)]
    assert missed[1] < 0.7 * missed[0]


def test_what_is_masked_is_a_gap(models, waves):
    X = waves.X_test[:3].copy()
    gaps = np.zeros(X.shape, bool)
    gaps[..., 10:15] = True
    hidden = np.where(gaps, -999, X)
    filled = models["masked"].impute(np.ma.array(hidden, mask=gaps))
    X[gaps] = np.nan
    assert np.array_equal(filled, models["masked"].impute(X))


def test_only_the_tokens_of_a_gap_are_drawn(models, waves):
    model = models["masked"]
    stages = model._stages
    places, gaps = stages.places, torch.zeros(1, 33, dtype=torch.bool)
    gaps[0, 10] = True
    hidden = overlapping(places, gaps, 0)[0]
    ends = zip(places.start, places.end, places.read_start, places.read_end, strict=True)
    by_hand = [
        (s * 33 < 11 and e * 33 > 10) or (r * 33 < 11 and o * 33 > 10) for s, e, r, o in ends
    ]
    assert hidden.tolist() == [bool(each) for each in by_hand]
    assert 0 < hidden.sum() < len(hidden)
    assert overlapping(places, gaps, 1).sum() > hidden.sum()
    assert overlapping(places, gaps, 99).all()
    x = torch.from_numpy(model.scaling.apply(waves.X_test[:1]))
    tokens = stages.tokens(x)
    filled = model.prior.prior.fill(
        tokens, ~hidden[None], torch.tensor([2]), model.prior.prior.sampling(), 0
    )
    assert torch.equal(filled[:, ~hidden], tokens[:, ~hidden])


def test_a_gap_is_where_a_token_is_read_and_where_it_is_written():
    """Of 70 steps the encoder reads 16 for each of 4 columns, and the rest for the last."""
    layout = Layout((Grid("a", 4, 3, read=70 / 16),))
    places = Grids.of(layout, 1).places()
    for step, hidden in (
        (16, [1, 1, 0, 0]),
        (35, [0, 0, 1, 0]),
        (50, [0, 0, 1, 1]),
        (69, [0, 0, 0, 1]),
    ):
        gap = torch.zeros(1, 70, dtype=torch.bool)
        gap[0, step] = True
        assert overlapping(places, gap, 0)[0].int().tolist() == hidden
    assert places.read_end[-1] == 1


@pytest.mark.parametrize(("channel", "reach"), [(0, 0), (1, 0), (1, 2)])
def test_a_gap_in_any_channel_is_one_and_reaches_as_far_as_it_is_told(channel, reach, monkeypatch):
    data = make_waves(16, 3, channels=2, length=64)
    model = fit_prior(quick("masked"), fit(tiny("vqvae", epochs=0), data), data)
    gappy, asked = data.X_test.copy(), []
    gappy[:, channel, 30:34] = np.nan
    fill = model.prior.prior.fill
    monkeypatch.setattr(
        model.prior.prior, "fill",
        lambda tokens, known, *rest: asked.append(known) or fill(tokens, known, *rest),
    )  # fmt: skip
    model.impute(gappy, reach=reach, refinements=1)
    places = model.prior.prior.grids.places()
    width = (places.end - places.start)[0]
    first, after = 30 / 64 - reach * width, 34 / 64 + reach * width
    open_ = (places.start < after - 1e-6) & (places.end > first + 1e-6)
    assert 0 < open_.sum() < len(open_)
    assert torch.equal(~asked[0], open_.expand(3, -1))


def test_candidates_are_those_nearest_to_what_was_observed(models, waves, monkeypatch):
    model, gappy = models["independent"], waves.X_test[:4].copy()
    gappy[:, 0, 3:30] = np.nan
    decoded, series_of = [], Stages.series

    def series(stages, tokens):
        decoded.append(series_of(stages, tokens))
        return decoded[-1]

    monkeypatch.setattr(Stages, "series", series)
    chosen = model.impute(gappy, draws=2, candidates=6, refinements=1)
    tried = model.scaling.invert(decoded[0].numpy()).reshape(4, 12, 1, 33)
    for i in range(4):
        here = ~np.isnan(gappy[i])
        misses = ((tried[i] - gappy[i]) ** 2)[:, here].sum(1)
        best = sorted(np.argsort(misses)[:2])
        assert np.allclose(chosen[:, i][:, ~here], tried[i][best][:, ~here], atol=1e-5)


def test_a_gap_is_refined_from_what_was_drawn_before(models, waves, monkeypatch):
    model, gappy = models["masked"], waves.X_test[:4].copy()
    gappy[:, :, 10:20] = np.nan
    seen, tokens_of = [], Stages.tokens

    def tokens(stages, x):
        seen.append(x)
        return tokens_of(stages, x)

    monkeypatch.setattr(Stages, "tokens", tokens)
    once = model.scaling.apply(model.impute(gappy, refinements=1)[0])
    model.impute(gappy, refinements=2)
    given = interpolated(torch.from_numpy(model.scaling.apply(gappy)))
    assert torch.equal(seen[1], given)
    assert torch.allclose(seen[2], torch.from_numpy(once), atol=1e-5)
    assert not torch.allclose(seen[2], given, atol=1e-2)


def test_linear_interpolation():
    nan = float("nan")
    x = torch.tensor([[[nan, 1.0, nan, nan, 4.0, nan], [nan] * 6]])
    assert interpolated(x).tolist() == [[[1, 1, 2, 3, 4, 4], [0] * 6]]
    assert x.isnan().sum() == 10


def test_what_comes_next(models, waves):
    for model in models.values():
        future = model.forecast(waves.X_test[:, :, :25], steps=8, draws=2)
        assert future.shape == (2, 20, 1, 8)
        assert np.isfinite(future).all()
    with pytest.raises(
        TwincodeError, match=r"25 steps and 9 to come are not 33 in all.*the last 24"
    ):
        model.forecast(waves.X_test[:, :, :25], steps=9)
    with pytest.raises(TwincodeError, match="series must be an array"):
        model.forecast(waves.X_test[0, 0], steps=8)
    by_row = fit_prior(quick("autoregressive", token_order="frequency"), model, waves)
    with pytest.raises(TwincodeError, match="token_order=time to continue series"):
        by_row.forecast(waves.X_test[:, :, :25], steps=8)
    assert by_row.sample(2).series.shape == (2, 1, 33)


def test_an_autoregressive_prior_continues_and_fills_no_gaps(models, waves):
    gappy = waves.X_test[:2].copy()
    gappy[:, :, 10:15] = np.nan
    with pytest.raises(TwincodeError, match="autoregressive continues series only"):
        models["autoregressive"].impute(gappy)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 0}, "draws must be a whole number of at least 1"),
        ({"reach": -1}, "reach must be at least 0"),
        ({"refinements": "two"}, "refinements must be of type int"),
        ({"decodingsteps": 3}, "did you mean 'decoding_steps'"),
    ],
)
def test_what_cannot_be_filled_is_an_error(models, waves, settings, message):
    with pytest.raises(TwincodeError, match=message):
        models["masked"].impute(waves.X_test, **settings)
    with pytest.raises(TwincodeError, match="no observed value at all"):
        models["masked"].impute(np.full((1, 1, 33), np.nan))


# -- surprise --------------------------------------------------------------------------------------


def test_surprise_is_that_of_the_equation(models, waves):
    """Window by window and column by column, a mean over the tokens inside by row."""
    model = models["masked"]
    stages = model._stages
    x = torch.from_numpy(model.scaling.apply(waves.X_test[:3]))
    y = torch.full((3,), 2)
    codes = embed(model.tokenizer, x).codes
    H, W = codes.shape[1:]
    expected = torch.zeros(3, H, W)
    for share in (0.3, 0.9):
        q = odd_width(share * W) // 2
        for w in range(W):
            inside = [v for v in range(W) if abs(v - w) <= q]
            hidden = torch.zeros(3, H, W, dtype=torch.bool)
            hidden[:, :, inside] = True
            log_p = model.prior.prior.log_probabilities(codes.flatten(1), hidden.flatten(1), y)
            expected[:, :, w] -= log_p.unflatten(1, (H, W))[:, :, inside].mean(2) / math.log(2)
    found = surprise(stages, x, y, (0.3, 0.9))
    steps = 2 * 2 ** int(math.log2(17 / W))  # of a column of the encoder: so many of 17 frames
    column = [min(int((t + 0.5) / steps), W - 1) for t in range(33)]
    assert torch.allclose(found, expected[:, :, column], atol=1e-4)


@pytest.mark.parametrize("wrong", [(), 0.2, "0.1", (0.2, 0), [1.5], [[0.1]], None])
def test_windows_are_a_list_of_parts(models, waves, wrong):
    model = models["masked"]
    with pytest.raises(TwincodeError, match="windows must be a list of parts of a series"):
        model.surprise(waves.X_test, windows=wrong)
    own = [model.surprise(waves.X_test, windows=each) for each in ([0.2], np.array([0.2]))]
    assert np.array_equal(*own)


@given(st.integers(1, 80), st.integers(0, 5), st.integers(1, 400))
def test_columns_that_only_meet_do_not_overlap(W, half, L):
    places = Grids.of(Layout((Grid("a", W, 3),)), 1).places()
    for w in range(W):
        near = [abs(v - w) <= half for v in range(W)]
        assert places.overlap(w - half, w + half + 1, W).tolist() == near
    steps = torch.eye(L, dtype=torch.bool)
    columns = range(W)
    for t, found in enumerate(overlapping(places, steps, 0)):
        assert found.tolist() == [v * L < (t + 1) * W and (v + 1) * L > t * W for v in columns]


@pytest.mark.parametrize(("width", "odd"), [(0.8, 1), (1.9, 1), (2.4, 3), (4, 5), (3, 3), (9.1, 9)])
def test_windows_have_odd_widths(width, odd):
    assert odd_width(width) == odd


def test_long_series_are_covered_to_their_last_step(models, monkeypatch):
    """Constant surprise gives a constant; a spike anywhere is the maximum, at the end too."""
    stages = models["masked"]._stages
    L, T = stages.tokenizer.length, 71
    y = torch.tensor([2])

    def of_step(_stages, x, _y, _windows):
        return x.abs().sum(1, keepdim=True)

    monkeypatch.setattr("twincode.generate.surprise.surprise", of_step)
    flat = surprise_along(stages, torch.ones(1, 1, T), y)
    assert torch.allclose(flat, torch.ones(1, 1, T))
    for place in (0, 1, 40, T - 2, T - 1):
        x = torch.ones(1, 1, T)
        x[0, 0, place] = 5.0
        assert surprise_along(stages, x, y)[0, 0].argmax() == place
    assert surprise_along(stages, torch.ones(1, 1, L), y).shape == (1, 1, L)
    with pytest.raises(TwincodeError, match=f"this model needs at least {L}"):
        surprise_along(stages, torch.ones(1, 1, L - 1), y)


def test_an_odd_stretch_is_the_most_surprising_and_is_drawn_anew(tmp_path):
    data = make_waves(100, 4)
    model = fit(tiny("vqvae", steps=40, codebook_size=8, evaluations=0, batch_size=50), data)
    settings = prior("masked", model_width=16, layers=1, steps=60, batch_size=45, patience=0)
    model = fit_prior(settings, model, data, tmp_path)
    X = data.X_test.copy()
    X[:, :, 16:22] = 3 * np.array([1, -1, 1, -1, 1, -1])
    score = model.surprise(X).sum(1)
    assert model.surprise(data.X_test).mean() < score.mean()
    assert (score[:, 14:24].mean(1) > score[:, :8].mean(1)).all()
    # One step in a hundred of held-out series is above the threshold, which is kept.
    task = PriorTask(settings, model, data)
    held = model.surprise(data.X_train[task.held.numpy()]).sum(1)
    assert model.surprise_threshold == pytest.approx(np.quantile(held, 0.99), rel=1e-5)
    assert load_prior(tmp_path, model.tokenizer).threshold == model.surprise_threshold
    # What is surprising is drawn anew, what is not stays.
    least = float(np.median(score))
    other = model.counterfactual(X, draws=3, threshold=least)
    surprising = np.broadcast_to((score > least)[:, None], X.shape)
    assert all(np.array_equal(each[~surprising], X[~surprising]) for each in other)
    misses = [np.square(each - data.X_test)[surprising].mean() for each in (*other, X)]
    assert max(misses[:-1]) < misses[-1]
    assert np.array_equal(model.counterfactual(X, threshold=1e9)[0], X)
    with pytest.raises(TwincodeError, match="every step of a series is surprising"):
        model.counterfactual(X, threshold=-1.0)


def test_surprise_needs_a_prior_that_sees_both_sides(models, waves):
    with pytest.raises(TwincodeError, match="train one of kind masked"):
        models["autoregressive"].surprise(waves.X_test)
    with pytest.raises(TwincodeError, match="surprise windows must be"):
        models["masked"].surprise(waves.X_test, windows=(0.0,))


@pytest.mark.parametrize(
    ("name", "changes"),
    [("mixture", {"window_steps": 20, "modes": 4}), ("patch-rvq", {"bits": 40}), ("pca-pq", {})],
)
def test_a_token_of_a_closed_form_stands_where_it_changes_the_series(name, changes):
    """47 steps are no whole number of windows: the last one is cut off.

    An odd change of a level would change what all later ones stand for.
    """
    data = make_waves(60, length=47)
    model = fit(tiny(name, **changes), data)
    grids = Grids.of(model.tokenizer.layout, 1)
    places, codes = grids.places(), model.encode(data.X_test[:1])
    before, covered = model.decode(codes)[0], np.zeros(47, bool)
    known = grids.flatten(torch.from_numpy(codes))[0]
    for token in range(grids.tokens_a_series):
        start, end, size = (float(each[token]) for each in (places.start, places.end, places.size))
        changed = known[None].clone()
        others = {*range(int(known[token]) % 2, int(size), 2)} - {int(known[token])}
        if not others:
            continue
        changed[0, token] = min(others)
        after = model.decode(grids.unflatten(changed).numpy())[0]
        steps = np.flatnonzero(np.abs(after - before).max(0) > 1e-6)
        assert all(steps > 47 * start - 1e-3)
        assert all(steps < 47 * end - 1e-3)
        covered[steps] = True
    assert covered.all()
    gap = torch.zeros(1, 47, dtype=torch.bool)
    gap[0, 19] = True
    if name == "mixture":  # the last step of the first of three windows
        window = torch.arange(places.book.numel()) % 3
        assert overlapping(places, gap, 0)[0].tolist() == (window == 0).tolist()


def test_columns_of_coarse_and_fine_grids_overlap_a_gap_alike():
    places = Grids.of(Layout((Grid("a", 2, 3), Grid("b", 4, 3))), 2).places()
    gaps = torch.zeros(1, 40, dtype=torch.bool)
    gaps[0, 25] = True  # in the second half, and the third quarter
    assert overlapping(places, gaps, 0)[0].tolist() == [
        *(False, True) * 2, *(False, False, True, False) * 2
    ]  # fmt: skip
