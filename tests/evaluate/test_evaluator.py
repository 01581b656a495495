from dataclasses import dataclass, replace

import equations
import numpy as np
import pytest
import torch
from conftest import make_waves
from hypothesis import given
from hypothesis import strategies as st
from models import judge, untrained

from twincode.errors import TwincodeError
from twincode.evaluate import (
    METRICS,
    USUAL_METRICS,
    Evaluator,
    Features,
    Metric,
    declared_metrics,
    evaluate_tokenizer,
    make_exhibits,
    readout_features,
)
from twincode.evaluate.reconstruction import reconstruction_errors, series_errors
from twincode.settings import Settings
from twincode.tokenizers import embed


@pytest.mark.parametrize("n", [1, 7, 300])
def test_reconstruction_error_is_equation_4_12_over_the_whole_set(n):
    tokenizer, split, _ = untrained(dataset=make_waves(300, 2, length=9))
    x = split.x_train[:n]
    errors = reconstruction_errors(tokenizer, x)
    pairs = tokenizer.reconstruct(x)
    expected = {
        f"reconstruction_{name}": equations.mean_squared_error(*pair)
        for name, pair in pairs.items()
    }
    for name, value in expected.items():
        assert errors[name] == pytest.approx(value, rel=1e-5)
    assert errors["reconstruction"] == pytest.approx(sum(expected.values()), rel=1e-5)
    assert series_errors(tokenizer, x).mean() == pytest.approx(
        errors["reconstruction_time"], rel=1e-4
    )


def test_nmse_is_the_first_error_told_and_free_of_units():
    """Predicting the mean scores 1, whatever the units; constant series have none."""
    tokenizer, split, config = untrained()
    declared = [each for each in declared_metrics(config.metrics, tokenizer) if each.better]
    errors = [each.title for each in declared if each.better == "lower"]
    assert errors == ["NMSE"]
    found = judge(tokenizer, split, config)
    x, x_hat = (each.double() for each in tokenizer.reconstruct(split.x_test)["time"])
    expected = (x_hat - x).square().mean() / (x - x.mean()).square().mean()
    assert found["", "nmse"] == pytest.approx(expected.item(), rel=1e-6)
    constant = split._replace(x_test=torch.ones_like(split.x_test))
    assert ("", "nmse") not in judge(tokenizer, constant, config)


def test_measurements_are_those_of_the_parts():
    tokenizer, split, config = untrained()
    found = judge(tokenizer, split, config)
    train, test = embed(tokenizer, split.x_train), embed(tokenizer, split.x_test)
    for readout in ("flatten", "mean", "histogram"):
        rows = [readout_features(readout, *part, tokenizer.layout) for part in (train, test)]
        features = Features(*rows, split.y_train, split.y_test, 2)
        scores = {}
        for settings in config.metrics:
            scores |= METRICS.build(settings).probe(features)
        assert {m: v for (r, m), v in found.items() if r == readout} == scores
    used = len(torch.cat([train.codes, test.codes]).unique())
    assert found["", "used_codes"] == used
    assert found["", "dead_codes"] == 6 - used
    assert 1 <= found["", "perplexity"] <= used + 1e-9
    on_train = reconstruction_errors(tokenizer, split.x_train)["reconstruction_time"]
    assert found["", "train_reconstruction_time"] == on_train


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("vqvae2", {"active_units"}),
        ("contrastive-vae", {"perplexity", "used_codes", "dead_codes", "codebook_cosine"}),
        ("fsq-vqvae", {"codebook_cosine", "active_units"}),
        ("simclr", {"reconstruction", "perplexity", "active_units"}),
    ],
)
def test_what_is_measured_is_declared(name, missing):
    tokenizer, split, config = untrained(name)
    measured = {metric for _, metric in judge(tokenizer, split, config)}
    declared = [each.name for each in declared_metrics(config.metrics, tokenizer)]
    assert measured <= set(declared)
    assert not missing & measured
    assert len(declared) == len(set(declared))


def test_the_usual_metrics_are_all_there_are():
    assert tuple(METRICS) == USUAL_METRICS


def test_only_chosen_metrics_are_measured():
    tokenizer, split, config = untrained(metrics="dimension,codebook", readouts="mean")
    assert [name for name, _ in judge(tokenizer, split, config)] == ["mean", *4 * [""]]


@given(
    n_train=st.integers(2, 8), n_test=st.integers(1, 5), channels=st.integers(1, 2),
    labelled=st.booleans(), constant=st.booleans(), raw=st.booleans(),
)  # fmt: skip
def test_no_measurement_is_ever_nan(n_train, n_test, channels, labelled, constant, raw):
    dataset = make_waves(n_train, n_test, channels, 12)
    if constant:
        dataset = replace(dataset, X_train=0 * dataset.X_train, X_test=0 * dataset.X_test)
    if not labelled:
        dataset = replace(dataset, y_train=None, y_test=None, classes=())
    tokenizer, split, config = untrained("raw-series" if raw else "vqvae", dataset)
    found = judge(tokenizer, split, config)
    assert all(np.isfinite(value) for value in found.values())
    needing = {each.name for each in declared_metrics(config.metrics, tokenizer) if each.labels}
    assert bool(needing & {metric for _, metric in found}) == labelled
    exhibits = make_exhibits(tokenizer, split)
    assert all(np.isfinite(array).all() for array in exhibits.values() if array.dtype.kind != "U")


def test_without_a_test_part_nothing_is_measured():
    dataset = make_waves()
    dataset = replace(dataset, X_test=dataset.X_test[:0], y_test=None)
    tokenizer, split, config = untrained(dataset=dataset)
    assert judge(tokenizer, split, config) == {}
    assert make_exhibits(tokenizer, split) == {}


@pytest.mark.parametrize("name", ["vqvae", "contrastive-vae"])
def test_evaluation_changes_nothing_in_the_model(name):
    tokenizer, split, config = untrained(name)
    tokenizer.train()
    tokenizer.quantizer.eval()
    modes = [module.training for module in tokenizer.modules()]
    state = {key: value.clone() for key, value in tokenizer.state_dict().items()}
    of_torch, of_numpy = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    first = judge(tokenizer, split, config)
    assert all(torch.equal(value, state[key]) for key, value in tokenizer.state_dict().items())
    assert [module.training for module in tokenizer.modules()] == modes
    assert torch.equal(torch.get_rng_state(), of_torch)
    for before, after in zip(of_numpy, np.random.get_state(), strict=True):  # noqa: NPY002
        np.testing.assert_array_equal(before, after)
    np.random.seed(2)  # noqa: NPY002
    assert judge(tokenizer, split, config) == first


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_features_that_are_not_finite_are_refused(bad):
    tokenizer, split, config = untrained("raw-series")
    split.x_test[3, 0, 2] = bad
    with pytest.raises(TwincodeError, match="diverged"):
        judge(tokenizer, split, config)


@dataclass(frozen=True)
class ReachSettings(Settings):
    reach_power: float = 1.0


class Reach(Evaluator):
    metrics = (Metric("reach", "Farthest feature", "lower"), Metric("train_size", "Train size"))

    def probe(self, features):
        return {"reach": float(np.abs(features.points).max() ** self.settings.reach_power)}

    def measure(self, judged):
        return {"train_size": float(len(judged.train.latents))}


def test_a_metric_from_outside_is_a_part_with_settings_of_its_own(monkeypatch):
    for table in ("_settings", "_builders"):
        monkeypatch.setattr(METRICS, table, dict(getattr(METRICS, table)))
    METRICS.register("reach", Reach, ReachSettings)
    tokenizer, split, config = untrained(metrics="reach,codebook", reach_power=0, readouts="mean")
    found = judge(tokenizer, split, config)
    assert found["mean", "reach"] == 1
    assert found["", "train_size"] == 40
    assert declared_metrics(config.metrics, tokenizer)[:2] == list(Reach.metrics)
    assert evaluate_tokenizer(tokenizer, split, [], ["mean"]) == []
