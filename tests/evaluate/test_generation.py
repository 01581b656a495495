"""Every metric of generated series against a plain restatement, and against damage."""

import math
import warnings

import numpy as np
import pytest
import torch
from conftest import make_waves, tiny
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from sklearn.linear_model import Ridge
from torch.nn import functional as F

import twincode.generate.judging
from twincode.errors import TwincodeError
from twincode.evaluate.generation import (
    GENERATION_METRICS,
    GenerationSettings,
    Real,
    Row,
    judge_rows,
    some_rows,
    two_samples,
)
from twincode.evaluate.generation.classes import agreement, inception_score
from twincode.evaluate.generation.extractor import (
    Budget,
    Classifier,
    RandomConvolutions,
    Seen,
    kept_accuracy,
    kept_classifier,
    train_classifier,
)
from twincode.evaluate.generation.frechet import frechet_distance, relative_frechet_distance
from twincode.evaluate.generation.memory import memorised, nearest_distances, repeated_share
from twincode.evaluate.generation.neighbours import neighbour_scores
from twincode.evaluate.generation.series import (
    autocorrelation_difference,
    marginal_distance,
    mean_autocorrelation,
    spread,
)
from twincode.evaluate.generation.two_samples import (
    discriminative,
    forecast_errors,
    maximum_mean_discrepancy,
    median_distance,
    predictive,
)
from twincode.priors import IndependentPrior, prior
from twincode.train import fit, fit_prior


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Classifiers of a few channels."""
    monkeypatch.setattr("twincode.nets.fcn.WIDTHS", (16, 16, 16))


@pytest.fixture(scope="module")
def three():
    """Three draws of one distribution: train, test and what passes for samples."""
    return [make_waves(120, 2, seed=seed) for seed in (0, 1, 2)]


# -- distances of features -------------------------------------------------------------------------


@given(F=st.integers(1, 6), n=st.integers(8, 40), seed=st.integers(0, 99))
def test_fid_is_that_of_scipys_root(F, n, seed):
    a, b = gaussian(n, F, seed=seed), 2 * gaussian(n + 3, F, seed=seed + 1) + 1
    A, B = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    root = sqrtm(A @ B).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(A + B - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)
    assert frechet_distance(a, a) < 1e-6
    assert relative_frechet_distance(a, b) == pytest.approx(expected / np.trace(B), rel=1e-5)
    assert relative_frechet_distance(3 * a, 3 * b) == pytest.approx(
        relative_frechet_distance(a, b), rel=1e-6
    )


def test_fid_of_gaussians_with_few_series_and_a_dead_feature():
    x = gaussian(20, 128)
    x[:, 5] = 0
    assert 0 <= frechet_distance(x, x) < 1e-6
    assert frechet_distance(x + 2, x) == pytest.approx(4 * 128, rel=1e-6)
    # sd 1 against sd 2 in each of two features: (2 - 1)^2 each
    wide = gaussian(200_000, 2)
    assert frechet_distance(wide, 2 * wide) == pytest.approx(2, rel=0.02)


def test_the_inception_score_of_sure_and_even_classes():
    sure = np.eye(4)[np.arange(4000) % 4]
    assert inception_score(sure, 1) == pytest.approx(4)
    assert inception_score(np.full((50, 4), 0.25)) == pytest.approx(1)
    assert inception_score(sure[:1000], 10) > 3.8
    # Sorted ones, of which ten parts in their order would have few classes each, are no worse.
    assert inception_score(sure[np.argsort(sure.argmax(1))], 10) > 3.9
    order = np.random.default_rng(5).permutation(4000)
    p = np.random.default_rng(0).dirichlet(np.ones(4) / 3, 4000)
    p = p[np.argsort(p[:, 0])]
    assert inception_score(p, 1) == pytest.approx(inception_score(p[order], 1))
    assert inception_score(p, 10) == pytest.approx(inception_score(p[order], 10), rel=0.01)


def test_neighbours_by_hand():
    real, samples = np.array([[0.0], [1.0], [2.0], [10.0]]), np.array([[0.5], [3.0], [30.0]])
    found = neighbour_scores(samples, real, k=1)
    # Balls of the real: [-1, 1], [0, 2], [1, 3], [2, 18]; of samples: [-2, 3], [.5, 5.5], [3, 57].
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == 1
    assert found["density"] == pytest.approx((2 + 2 + 0) / 3)
    assert found["coverage"] == 1


def test_recall_is_precision_the_other_way_round():
    """With many points on the edge of a ball, as whole numbers have them."""
    one, other = np.random.default_rng(0).integers(0, 9, (2, 30, 2)).astype(float)
    there, back = neighbour_scores(one, other, k=2), neighbour_scores(other, one, k=2)
    assert there["recall"] == back["precision"]
    assert there["precision"] == back["recall"]


@pytest.mark.parametrize("F", [1, 8])
def test_a_set_covers_itself(F):
    x = gaussian(40, F)
    found = neighbour_scores(x, x)
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    far = neighbour_scores(x + 100, x)
    assert (far["precision"], far["recall"], far["density"], far["coverage"]) == (0, 0, 0, 0)


@pytest.mark.parametrize("n", [2, 3, 5, 6, 20])
def test_density_counts_over_as_many_neighbours_as_there_are(n):
    x = gaussian(n, 3)
    k = min(5, n - 1)  # and each point is in its own ball
    assert neighbour_scores(x, x)["density"] == pytest.approx((k + 1) / k)


def test_mmd_is_the_sum_over_pairs():
    a, b = gaussian(6, 3), gaussian(5, 3, seed=1) + 1

    def kernel(x, y):
        return math.exp(-((x - y) ** 2).sum() / (2 * 1.5**2))

    expected = np.mean([kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    expected += np.mean([kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    expected -= 2 * np.mean([kernel(x, y) for x in a for y in b])
    assert maximum_mean_discrepancy(a, b, 1.5) == pytest.approx(expected)
    assert median_distance(np.array([[0.0], [1.0], [5.0]])) == 4
    assert median_distance(np.ones((5, 2))) == 1


# -- series ----------------------------------------------------------------------------------------


def test_spread_is_a_ratio_of_variances_within_classes():
    y = np.arange(120) % 2
    real = gaussian(120, 1, 9) + 10 * y[:, None, None]
    half = (real - 10 * y[:, None, None]) / 2 + 10 * y[:, None, None]
    assert spread(real, real, y, y) == pytest.approx(1)
    assert spread(half, real, y, y) == pytest.approx(0.25)
    assert spread(np.repeat(real[:1], 120, 0), real, y, y) == pytest.approx(0)
    assert spread(real[y == 0], real, y[y == 0], y) == 0  # a class that is missing
    one = np.r_[np.flatnonzero(y == 0), 1]  # of one sample nothing is known
    assert spread(real[one], real, y[one], y) == pytest.approx(1)
    few = slice(0, 15)  # with no class of 20 series all are one
    assert spread(real[few], real[few], y[few], y[few]) == pytest.approx(1)
    # A few series of a class are as varied as many, in the mean over draws of them.
    of_class = [np.flatnonzero(y == c) for c in range(2)]
    fives = [np.concatenate([own[i : i + 5] for own in of_class]) for i in range(0, 60, 5)]
    assert np.mean([spread(real[i], real, y[i], y) for i in fives]) == pytest.approx(1, abs=0.05)
    # Without labels the classes' distance counts as spread, and hides what is lost.
    assert spread(half, real) > 0.9


def test_autocorrelations_are_those_of_the_definition():
    x = gaussian(3, 2, 11)
    centred = x - x.mean(2, keepdims=True)
    expected = np.zeros((2, 11))
    for lag in range(11):
        products = centred[:, :, : 11 - lag] * centred[:, :, lag:]
        expected[:, lag] = (products.sum(2) / (centred**2).sum(2)).mean(0)
    assert mean_autocorrelation(x) == pytest.approx(expected)
    assert mean_autocorrelation(x + 100) == pytest.approx(expected)  # centred
    assert autocorrelation_difference(x, 3 * x) == pytest.approx(0, abs=1e-12)
    other = gaussian(5, 2, 11, seed=1)
    apart = np.abs(expected - mean_autocorrelation(other))[:, 1:6]  # lags 1 .. L / 2
    assert autocorrelation_difference(x, other) == pytest.approx(apart.mean())
    assert (mean_autocorrelation(np.ones((2, 1, 5))) == 0).all()


def test_marginal_distance_is_a_shift_in_deviations():
    x = gaussian(50, 2, 9)
    shift = np.array([1.0, 3.0])[:, None]
    assert marginal_distance(x + shift, x, np.array([2.0, 3.0])) == pytest.approx((0.5 + 1) / 2)


def test_copies_of_train_are_seen():
    train, test = gaussian(200, 1, 6), gaussian(300, 1, 6, seed=1)
    usual = nearest_distances(test, train)
    assert memorised(usual, usual)["memorised_distance"] == 1
    assert memorised(usual, usual)["memorised_share"] == pytest.approx(0.01, abs=0.005)
    copied = memorised(nearest_distances(train, train), usual)
    assert copied == {"memorised_distance": 0, "memorised_share": 1}
    tokens = np.array([[1, 2], [3, 4], [1, 3]])
    assert repeated_share(np.array([[3, 4], [4, 3], [1, 2], [9, 9]]), tokens) == 0.5


@pytest.mark.parametrize("shared", [0.05, 0.6])
def test_copies_are_seen_where_codes_of_test_are_in_train_too(shared):
    """As they are where codes are few; beyond half of test its distance is none."""
    train, test = gaussian(200, 1, 6).astype("f"), gaussian(300, 1, 6, seed=1).astype("f")
    test[: int(shared * 300)] = train[np.arange(int(shared * 300)) % 200]
    usual = nearest_distances(test, train)
    assert (usual == 0).mean() == pytest.approx(shared, abs=0.01)
    copied = memorised(nearest_distances(train, train), usual)
    assert copied["memorised_share"] == 1
    assert ("memorised_distance" in copied) == (shared < 0.5)
    assert memorised(usual, usual)["memorised_share"] == pytest.approx(shared, abs=0.01)
    new = memorised(nearest_distances(gaussian(100, 1, 6, seed=2), train), usual)
    assert new["memorised_share"] == 0


@pytest.mark.parametrize("C", [1, 2])
def test_real_is_not_told_from_real_and_noise_is(C):
    real, other = (make_waves(90, 2, C, seed=seed).X_train for seed in (0, 1))
    same = discriminative(other, real)
    assert same["discriminative"] < 0.2
    assert 0.3 < same["discriminative_auc"] < 0.7
    noise = discriminative(gaussian(90, C, 33).astype(np.float32), real)
    assert noise["discriminative"] > 0.45
    assert noise["discriminative_auc"] > 0.95


@pytest.mark.parametrize("C", [1, 2])
def test_forecasts_learnt_from_samples(C):
    train, test, other = (make_waves(60, 2, C, seed=seed).X_train for seed in (0, 1, 2))
    usual = forecast_errors(train, test)
    assert predictive(usual, usual) == 1
    assert predictive(forecast_errors(other, test), usual) == pytest.approx(1, abs=0.1)
    assert predictive(forecast_errors(gaussian(60, C, 33), test), usual) > 1.5


@pytest.mark.parametrize("C", [1, 2])
def test_forecasts_are_those_of_a_ridge_on_all_windows(C, monkeypatch):
    monkeypatch.setattr(two_samples, "MOST_NUMBERS", 33 * C * 8 * 7)  # seven series at once
    x, test = make_waves(60, 2, C).X_train, make_waves(20, 2, C, seed=1).X_train
    expected = []
    for ahead in (1, 4):
        (past, future), (shown, hidden) = (
            [
                np.array([s[:, first : first + 8].ravel() for s in part for first in starts]),
                np.array([s[:, first + 7 + ahead] for s in part for first in starts]),
            ]
            for part in (x.astype(np.float64), test.astype(np.float64))
            for starts in [range(33 - 7 - ahead)]
        )
        guess = Ridge().fit(past, future).predict(shown).reshape(hidden.shape)
        expected.append(np.abs(guess - hidden).mean())
    assert forecast_errors(x, test) == pytest.approx(expected, rel=1e-9)


def test_smooth_series_are_forecast_without_a_warning():
    """Though one step of them is nearly another: in float32 the ridge could not tell."""
    steps = np.linspace(0, 2 * np.pi, 200)
    starts = np.linspace(0, 6, 300)
    x = (8 * np.sin(steps + starts[:, None]))[:, None].astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(forecast_errors(x[:100], x[200:]) > 0)


# -- classifiers -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("bfloat16")
def test_a_classifier_is_judged_by_its_last_weights(three):
    train, test, _ = three
    x, y = train.X_train, train.y_train
    net = train_classifier(x, y, 2, Budget(25, 0))
    with torch.no_grad():
        logits = net.net(torch.from_numpy(test.X_train)).numpy()
    by_hand = (logits.argmax(1) == test.y_train).mean()
    assert net.accuracy(test.X_train, test.y_train) == pytest.approx(by_hand)
    assert by_hand > 0.9
    assert net.look(x[:5]).features.shape == (5, 16)
    assert agreement(net.look(x).probabilities, y) > 0.9
    again, other = (train_classifier(x, y, 2, Budget(2, seed)) for seed in (0, 1))
    first = train_classifier(x, y, 2, Budget(2, 0))
    assert np.array_equal(again.look(x).features, first.look(x).features)
    assert not np.allclose(again.look(x).features, other.look(x).features)
    rounded = train_classifier(x, y, 2, Budget(25, 0, "bfloat16"))
    assert not np.array_equal(rounded.look(x).features, net.look(x).features)
    assert rounded.accuracy(test.X_train, test.y_train) == pytest.approx(by_hand, abs=0.05)
    exact = Classifier(rounded.net).look(x).features
    assert not np.array_equal(rounded.look(x).features, exact)
    assert np.allclose(rounded.look(x).features, exact, atol=0.05 * exact.std())


def test_its_convolutions_are_as_long_as_series(three):
    x = torch.from_numpy(three[0].X_train[:6])
    net = train_classifier(three[0].X_train, three[0].y_train, 2, Budget(3, 0)).net
    layers = list(net.convolutions)
    with torch.no_grad():
        found = net.features(x)
        for convolution, norm in zip(layers[1::4], layers[2::4], strict=True):
            k = len(convolution.weight[0, 0])
            padded = F.pad(x, ((k - 1) // 2, k // 2))
            x = F.conv1d(padded, convolution.weight, convolution.bias)
            assert x.shape[-1] == three[0].X_train.shape[-1]
            x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu()
    assert torch.allclose(found, x.mean(-1), atol=1e-6)


def test_features_without_labels_are_of_fixed_convolutions(three):
    train, test, _ = three
    found = RandomConvolutions(train.X_train, seed=0)
    first, again = found.look(test.X_train), found.look(test.X_train)
    assert first.features.shape == (120, 120)  # no more axes than series
    assert np.array_equal(first.features, again.features)
    assert first.probabilities is None


# -- the table -------------------------------------------------------------------------------------


class Waves:
    """Features and class probabilities of the made-up series: their spectra below and above."""

    def look(self, x):
        power = np.abs(np.fft.rfft(x[:, 0]))
        slow, fast = power[:, 1:4].sum(1), power[:, 4:7].sum(1)
        return Seen(power[:, :8], np.stack([slow, fast], 1) ** 4 / (slow**4 + fast**4)[:, None])


def row(name, series, labels=None):
    """A row whose grids are its first channel in steps of an eighth."""
    return Row(name, series, np.floor(8 * series[:, 0]), labels)


def judged(rows, three, settings=None, lessons=(), **changes):
    train, test, _ = three
    parts = [row("part", d.X_train, d.y_train) for d in (train, test)]
    settings = settings or GenerationSettings()
    extractors = [Waves()] * settings.extractor_seeds
    lessons = {each.name: each for each in lessons}
    scores = judge_rows(rows, Real(*parts, *parts), lessons, 2, extractors, settings, **changes)
    return {(each.row, each.metric): each.value for each in scores}


def test_damage_moves_what_is_meant_to_notice_it(three):
    """Five steps of each damage: the metric meant for it moves one way."""
    train, _, samples = three
    X, y, noise = samples.X_train, samples.y_train, gaussian(120, 1, 33)
    means = np.stack([X[y == label].mean(0) for label in (0, 1)])[y]
    order = np.random.default_rng(0).permutation(33)
    share = np.linspace(0, 1, 5)
    rows = []
    for i, s in enumerate(share):
        rows.append(row(f"noise {i}", (X + s * noise).astype(np.float32), y))
        rows.append(row(f"narrow {i}", (means + (1 - s) * (X - means)).astype(np.float32), y))
        kept = (y == 0) | (np.arange(120) >= s * 120)
        rows.append(row(f"class {i}", X[kept], y[kept]))
        shuffled = X.copy()
        shuffled[: round(s * 120)] = shuffled[: round(s * 120)][:, :, order]
        rows.append(row(f"time {i}", shuffled, y))
        swapped = np.where(np.arange(120) < s * 120, 1 - y, y)
        rows.append(row(f"labels {i}", X, swapped))
        copied = np.concatenate([train.X_train[: round(s * 120)], X[round(s * 120) :]])
        rows.append(row(f"copies {i}", copied, y))
    found = judged(rows, three)
    taught = GenerationSettings(extractor_seeds=1, extractor_steps=25, cas=True)
    found |= judged([each for each in rows if each.name.startswith("labels")], three, taught)

    def path(damage, metric):
        return [found[f"{damage} {i}", metric] for i in range(5)]

    for damage, metric, way in (
        ("noise", "fid", 1), ("noise", "predictive", 1), ("noise", "autocorrelation_difference", 1),
        ("noise", "precision", -1), ("noise", "coverage", -1), ("noise", "mmd", 1),
        ("narrow", "recall", -1), ("time", "coverage", -1), ("labels", "cas", -1),
        ("narrow", "spread", -1), ("narrow", "marginal_distance", 1), ("class", "spread", -1),
        ("class", "inception_score_whole", -1), ("class", "fid", 1),
        ("time", "autocorrelation_difference", 1), ("time", "discriminative_auc", 1),
        ("labels", "agreement", -1), ("copies", "memorised_share", 1),
        ("copies", "repeated_share", 1),
    ):  # fmt: skip
        values = path(damage, metric)
        steps = np.diff(values) * way
        assert steps.min() >= -0.02 * np.ptp(values), (damage, metric, values)
        assert (values[-1] - values[0]) * way > 0, (damage, metric, values)
    assert path("narrow", "spread")[-1] == pytest.approx(0)
    assert found["narrow 2", "spread"] == pytest.approx(found["narrow 0", "spread"] / 4, rel=0.01)
    assert path("copies", "memorised_share")[-1] == 1


def test_train_as_samples_has_the_real_accuracy_and_shuffled_labels_the_majoritys(three):
    train = three[0]
    rare = np.flatnonzero((train.y_train == 0) | (np.arange(120) < 40))  # 60 of one, 20 of another
    shuffled = np.random.default_rng(0).permutation(train.y_train[rare])
    rows = [
        row("train", train.X_train, train.y_train),
        row("shuffled", train.X_train[rare], shuffled),
        row("none", train.X_train),
    ]
    found = judged(rows, three, GenerationSettings(extractor_seeds=1, extractor_steps=25, cas=True))
    net = train_classifier(train.X_train, train.y_train, 2, Budget(25, 0))
    assert found["train", "cas"] == net.accuracy(three[1].X_train, three[1].y_train) > 0.9
    assert found["shuffled", "cas"] == 0.5  # the majority's, on an even test part
    both = [np.concatenate([own, own]) for own in (train.X_train, train.y_train)]
    net = train_classifier(*both, 2, Budget(25, 0))
    assert found["train", "cas_both"] == net.accuracy(three[1].X_train, three[1].y_train)
    assert found["shuffled", "cas_both"] > 0.9
    assert not {("none", "cas"), ("none", "cas_both")} & set(found)
    assert ("none", "agreement") not in found


def test_a_row_sorted_by_class_has_every_class_in_its_accuracy(three, monkeypatch):
    monkeypatch.setattr("twincode.evaluate.generation.harness.CAS_SAMPLES", 40)
    x, y = three[0].X_train, three[0].y_train
    order = np.argsort(np.tile(y, 3), kind="stable")
    rows = [row("sorted", np.tile(x, (3, 1, 1))[order], np.tile(y, 3)[order])]
    found = judged(rows, three, GenerationSettings(extractor_seeds=1, extractor_steps=25, cas=True))
    assert found["sorted", "cas"] > 0.9


def test_classifiers_learn_from_as_many_series_as_train_has(three, monkeypatch):
    monkeypatch.setattr("twincode.evaluate.generation.harness.CAS_SAMPLES", 40)
    _, test, other = three
    few = row("drawn", other.X_train[:8], other.y_train[:8])
    many = row("drawn", np.tile(other.X_train, (2, 1, 1)), np.tile(other.y_train, 2))
    settings = GenerationSettings(extractor_seeds=1, extractor_steps=5, cas=True)
    given, learn = [], train_classifier
    monkeypatch.setattr(
        "twincode.evaluate.generation.harness.train_classifier",
        lambda x, *rest: given.append(len(x)) or learn(x, *rest),
    )
    found = judged([few], three, settings, [many])
    assert given == [120, 240]  # as many as train has; these and train
    some = np.sort(np.random.default_rng(0).permutation(240)[:120])
    net = train_classifier(many.series[some], many.labels[some], 2, Budget(5, 0))
    assert found["drawn", "cas"] == net.accuracy(test.X_train, test.y_train)
    alone = judged([few], three, settings.replace(cas=False))
    assert all(found[name] == value for name, value in alone.items())


def test_accuracies_are_kept_by_all_that_decides_them(three, tmp_path, monkeypatch):
    train, test, other = three
    rows = [row("train", train.X_train, train.y_train), row("other", other.X_train, other.y_train)]
    settings = GenerationSettings(extractor_seeds=1, extractor_steps=2, cas=True)
    found = judged(rows, three, settings, folder=tmp_path)
    assert found == judged(rows, three, settings)
    kept = {path.name for path in tmp_path.iterdir()}
    assert len(kept) == 4  # of each row, alone and with train
    with monkeypatch.context() as patch:
        for room in ("harness", "extractor"):
            patch.setattr(f"twincode.evaluate.generation.{room}.train_classifier", None)
        assert found == judged(rows, three, settings, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept
    judged(rows, three, settings.replace(extractor_steps=3), folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 8
    judged(rows, (train, other, test), settings, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 12


def test_a_network_kept_for_its_features_is_not_trained_again_for_its_accuracy(three, tmp_path):
    x, y = three[0].X_train, three[0].y_train
    test = three[1].X_train, three[1].y_train
    budget = Budget(2, 0)
    net = kept_classifier(tmp_path, x, y, 2, budget)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twincode.evaluate.generation.extractor.train_classifier", None)
        assert kept_accuracy(tmp_path, x, y, test, 2, budget) == net.accuracy(*test)


@pytest.mark.usefixtures("bfloat16")
def test_classifiers_are_kept_for_each_precision_apart(three, tmp_path):
    train = three[0]
    for precision in ("float32", "bfloat16", "float32"):
        kept_classifier(tmp_path, train.X_train, train.y_train, 2, Budget(2, 0, precision))
    assert len(list(tmp_path.iterdir())) == 2


def test_real_series_are_those_of_test_but_for_what_is_named_after_train(three):
    """Each score by hand, of parts that differ all from one another."""
    train, test, samples = three
    x, y, real = samples.X_train[:70] * 1.1, samples.y_train[:70], test.X_train
    copies = row("copies", train.X_train + 0.1)
    reconstruction = row("reconstruction", real + 0.2)
    own, extractor = row("drawn", x, y), Waves()
    parts = row("train", train.X_train, train.y_train), row("test", real, test.y_train)
    parts = Real(*parts, copies, reconstruction)
    scores = judge_rows([own], parts, {}, 2, [extractor], GenerationSettings())
    found = {each.metric: each.value for each in scores if each.row == "drawn"}
    seen, of_test, of_train = (extractor.look(each) for each in (x, real, train.X_train))
    draw = np.random.default_rng(0)
    some, others = (f[draw.permutation(len(f))[:70]] for f in (seen.features, of_test.features))
    expected = {
        "fid": frechet_distance(seen.features, of_test.features),
        "fid_relative": relative_frechet_distance(seen.features, of_test.features),
        "fid_train": frechet_distance(seen.features, of_train.features),
        **neighbour_scores(some, others),
        "mmd": maximum_mean_discrepancy(some, others, median_distance(of_train.features)),
        "inception_score": inception_score(seen.probabilities, 10, 0),
        "inception_score_whole": inception_score(seen.probabilities, 1, 0),
        "agreement": agreement(seen.probabilities, y),
        "spread": spread(x, real, y, test.y_train),
        **memorised(
            *(nearest_distances(each, copies.series) for each in (x, reconstruction.series))
        ),
        **discriminative(x, real, 0),
        "predictive": predictive(forecast_errors(x, real), forecast_errors(train.X_train, real)),
        "marginal_distance": marginal_distance(x, real, train.X_train.std((0, 2))),
        "autocorrelation_difference": autocorrelation_difference(x, real),
        "repeated_share": repeated_share(own.tokens, copies.tokens),
    }
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert found["precision"] != found["recall"]
    ceiling = {each.metric: each.value for each in scores if each.row == "test"}
    assert ceiling == {
        "inception_score": inception_score(of_test.probabilities, 10, 0),
        "inception_score_whole": inception_score(of_test.probabilities, 1, 0),
    }


def test_every_score_is_declared_and_every_metric_measured(three):
    own = row("copies", three[2].X_train, three[2].y_train)
    settings = GenerationSettings(extractor_seeds=1, extractor_steps=2, cas=True)
    found = judged([own], three, settings)
    declared = {metric.name for metric in GENERATION_METRICS}
    assert {name for _, name in found} == declared - {
        "pseudo_bits",
        "bits_per_dimension",
    }  # need a prior
    assert all(np.isfinite(value) for value in found.values())


def test_a_model_and_its_prior_are_judged_beside_all_controls():
    data = make_waves(60, 50)
    model = fit(tiny("vqvae", epochs=1, evaluations=0), data)
    small = prior("masked", model_width=8, layers=1, steps=3)
    quick = {"samples": 64, "extractor_seeds": 1, "extractor_steps": 3}
    scores = fit_prior(small, model, data).evaluate_generation(data, **quick, decoding_steps=2)
    rows = list(dict.fromkeys(each.row for each in scores))
    assert rows == ["train", "copies", "reconstruction", "independent", "masked",
                    "masked, no labels", "test"]  # fmt: skip
    found = {(each.row, each.metric): each for each in scores}
    assert found["copies", "memorised_distance"].value == pytest.approx(0, abs=1e-6)
    assert found["copies", "repeated_share"].value == 1
    assert 0 < found["masked", "pseudo_bits"].value < found["independent", "pseudo_bits"].value + 1
    # Without labels, by features that know none.
    bare = fit_prior(small, fit(tiny("vqvae", epochs=1, evaluations=0), data.X_train), data.X_train)
    with pytest.raises(TwincodeError, match="these data have none"):
        bare.evaluate_generation(type(data).from_arrays(data.X_train))
    unlabelled = type(data).from_arrays(data.X_train, test=(data.X_test, None))
    scores = bare.evaluate_generation(unlabelled, **quick)
    assert {each.metric for each in scores} >= {"fid", "spread", "recall", "memorised_share"}


def test_rows_are_drawn_and_told_what_their_names_say(monkeypatch):
    """Which labels series are drawn for and told, and that the control has seen all of train."""
    data = make_waves(60, 50)
    model = fit(tiny("vqvae", epochs=1, evaluations=0), data)
    model = fit_prior(prior("masked", model_width=8, layers=1, steps=3), model, data)
    none, told = model.prior.prior.none, {"sample_tokens": [], "bits": [], "pseudo_bits": []}
    judging = twincode.generate.judging
    drawn, likely, typical = judging.sample_tokens, judging.bits, judging.pseudo_bits

    def drawing(stages, n, labels, *rest):
        tokens, y = drawn(stages, n, labels, *rest)
        told["sample_tokens"].append(y)
        return tokens, y

    def judging_bits(stages, x, y, **rest):
        told["bits"].append(y)
        return likely(stages, x, y, **rest)

    def judging_pseudo_bits(stages, tokens, y):
        told["pseudo_bits"].append(y)
        return typical(stages, tokens, y)

    monkeypatch.setattr(judging, "sample_tokens", drawing)
    monkeypatch.setattr(judging, "bits", judging_bits)
    monkeypatch.setattr(judging, "pseudo_bits", judging_pseudo_bits)
    started, start = [], IndependentPrior.start
    monkeypatch.setattr(
        IndependentPrior, "start",
        lambda self, tokens, *rest: started.append(len(tokens)) or start(self, tokens, *rest),
    )  # fmt: skip
    quick = {"samples": 40, "extractor_seeds": 1, "extractor_steps": 1}
    model.evaluate_generation(data, **quick, decoding_steps=2)
    assert started == [60]
    # The control, the prior, and the prior without labels.
    assert [bool((y == none).any()) for y in told["sample_tokens"]] == [False, False, True]
    assert [bool((y == none).any()) for y in told["bits"]] == [False, False, True]
    assert (told["sample_tokens"][2] == none).all()
    rows = some_rows(50, 500, 0)
    assert told["bits"][1].tolist() == data.y_test[np.sort(rows)].tolist()
    assert all((y == none).all() for y in told["pseudo_bits"])


def test_what_is_chosen_by_train_has_read_nothing_of_test(monkeypatch):
    data = make_waves(60, 50)
    started, start = [], IndependentPrior.start
    monkeypatch.setattr(
        IndependentPrior, "start",
        lambda self, tokens, *rest: started.append(len(tokens)) or start(self, tokens, *rest),
    )  # fmt: skip
    model = fit(tiny("vqvae", epochs=1, evaluations=0), data)
    model = fit_prior(prior("tree"), model, data)
    quick = {"samples": 40, "extractor_seeds": 1, "extractor_steps": 1, "cas": True}
    by_train = dict(quick, reference="train")
    named = [data.classes[i] for i in data.y_train]
    other = type(data).from_arrays(
        data.X_train, named, test=(-3 * data.X_test, [data.classes[0]] * 50)
    )
    none = type(data).from_arrays(data.X_train, named)
    found = model.evaluate_generation(data, **by_train)
    assert {each.metric for each in found} >= {"fid", "spread", "recall", "cas"}
    assert started == [60]  # as much as the priors beside it have seen
    for without in (other, none):
        assert model.evaluate_generation(without, **by_train) == found
    by_test = model.evaluate_generation(data, **quick)
    scores = [{(s.row, s.metric): s.value for s in each} for each in (found, by_test)]
    differing = {m for r, m in scores[0] if scores[0][r, m] != scores[1].get((r, m))}
    assert {"fid", "spread", "bits_per_dimension"} <= differing
    # Copies are of the rest of train: what is held back is not among them.
    assert scores[0]["reconstruction", "repeated_share"] < 1
    with pytest.raises(TwincodeError, match="unknown reference 'trian'; did you mean 'train'"):
        GenerationSettings(reference="trian")


def test_train_series_stand_in_their_row_once(monkeypatch):
    data = make_waves(60, 50)
    seen = {}
    judge_all = twincode.generate.judging.judge_rows
    monkeypatch.setattr(
        "twincode.generate.judging.judge_rows",
        lambda rows, *rest: seen.update({row.name: row for row in rows}) or judge_all(rows, *rest),
    )
    model = fit(tiny("vqvae", epochs=1, evaluations=0), data)
    model = fit_prior(prior("independent"), model, data)
    for samples in (20, 64):
        quick = {"samples": samples, "extractor_seeds": 1, "extractor_steps": 1}
        model.evaluate_generation(data, **quick)
        assert len(np.unique(seen["train"].series, axis=0)) == min(samples, 60)
        assert len(seen["train"].series) == len(seen["copies"].series) == min(samples, 60)
        assert len(seen["independent"].series) == samples


def test_an_independent_prior_is_the_control_and_drawn_as_it_was_told():
    data = make_waves(60, 50)
    model = fit(tiny("vqvae", epochs=1, evaluations=0), data)
    quick = {"samples": 40, "extractor_seeds": 1, "extractor_steps": 1}

    def scores(told, **how):
        found = told.evaluate_generation(data, **quick, **how)
        return {(each.row, each.metric): each.value for each in found}

    own = fit_prior(prior("independent", smoothing=50.0), model, data)
    made = scores(fit_prior(prior("masked", model_width=8, layers=1, steps=1), model, data))
    plain, sharp = scores(own), scores(own, draw_temperature=0.1)
    assert {name for name, _ in plain} == {name for name, _ in made if "masked" not in name} | {
        "independent, no labels"
    }
    bits = "independent", "bits_per_dimension"
    assert plain[bits] == sharp[bits] > made[bits] + 0.01
    assert sharp["independent", "spread"] < plain["independent", "spread"]


def test_classes_are_those_of_their_names_whatever_the_order(monkeypatch):
    """Other data may have more classes, and so count those of the prior differently."""
    data = make_waves(60, 50)
    model = fit(tiny("vqvae", epochs=1, evaluations=0), data)
    model = fit_prior(prior("independent"), model, data)
    first = data.X_train[:1], ["0"]  # sorts before the others
    X = np.concatenate([data.X_train, first[0]])
    named = [*np.array(data.classes)[data.y_train], "0"]
    test = data.X_test, np.array(data.classes)[data.y_test]
    more = type(data).from_arrays(X, named, test)
    assert more.classes == ("0", "a", "b")
    monkeypatch.setattr("twincode.generate.judging.make_extractors", lambda *_: [Waves()])
    quick = {"samples": 40, "extractor_seeds": 1}
    rows = {}
    judge_all = twincode.generate.judging.judge_rows
    monkeypatch.setattr(
        "twincode.generate.judging.judge_rows",
        lambda found, *rest: (
            rows.update({each.name: each for each in found}) or judge_all(found, *rest)
        ),
    )
    found = {
        (each.row, each.metric): each.value for each in model.evaluate_generation(data, **quick)
    }
    plain = rows["independent"]
    also = {
        (each.row, each.metric): each.value for each in model.evaluate_generation(more, **quick)
    }
    assert np.array_equal(rows["independent"].series, plain.series)
    assert np.array_equal(rows["independent"].labels, plain.labels + 1)
    for name in ("bits_per_dimension", "spread"):
        assert found["independent", name] == pytest.approx(also["independent", name])


def test_what_cannot_be_judged_is_told_before_anything_is_computed(monkeypatch):
    data = make_waves(60, 50)
    model = fit(tiny("vqvae", epochs=1, evaluations=0), data)
    model = fit_prior(prior("independent"), model, data)
    monkeypatch.setattr("twincode.generate.judging.make_extractors", None)
    one = type(data).from_arrays(data.X_train, data.y_train, test=(data.X_test[:1], None))
    with pytest.raises(TwincodeError, match="at least two series of train and of test"):
        model.evaluate_generation(one)
    few = type(data).from_arrays(data.X_train[:7], np.array(data.classes)[data.y_train[:7]])
    with pytest.raises(TwincodeError, match="of 7 series that is fewer than two"):
        model.evaluate_generation(few, reference="train")
    with pytest.raises(TwincodeError, match='use reference="train"'):
        model.evaluate_generation(few)
    with pytest.raises(TwincodeError, match="unknown sampling setting 'seed'"):
        model.evaluate_generation(data, seed=1)
    test = data.X_test, np.array(["b", "c"])[data.y_test]
    other = type(data).from_arrays(data.X_train, np.array(["b", "c"])[data.y_train], test)
    with pytest.raises(TwincodeError, match="series of class 'a', and these data have none"):
        model.evaluate_generation(other)
    monkeypatch.setattr("twincode.generate.judging.find_spec", lambda _name: None)
    with pytest.raises(TwincodeError, match=r"judged with aeon: .*\[aeon\]"):
        model.evaluate_generation(data)


def test_a_channel_that_never_moves_in_train_is_measured_in_its_own_units(three):
    parts = [np.concatenate([d.X_train, 0 * d.X_train], 1) for d in three]
    rows = [row(name, x) for name, x in zip(("train", "test", "moved"), parts, strict=True)]
    rows[2].series[:, 1] += 0.5
    settings = GenerationSettings(extractor_seeds=1)
    scores = judge_rows(rows[2:], Real(*rows[:2], *rows[:2]), {}, 2, [Waves()], settings)
    found = {each.metric: each.value for each in scores}
    assert 0.25 < found["marginal_distance"] < 0.5


def test_as_many_samples_as_test_series_but_no_fewer_than_256():
    assert GenerationSettings().number(4500) == 4500
    assert GenerationSettings().number(20) == 256
    assert GenerationSettings(samples=7).number(4500) == 7
    with pytest.raises(TwincodeError, match=r"samples must be 0, .* or at least 2"):
        GenerationSettings(samples=1)
    with pytest.raises(TwincodeError, match="unknown extractor 'rocket'"):
        GenerationSettings(extractor="rocket")
