import numpy as np
import pytest
import torch
from conftest import make_waves, tiny
from hypothesis import given
from hypothesis import strategies as st

from twincode.data import Scaling
from twincode.evaluate import evaluate_tokenizer, prepare
from twincode.evaluate.evaluator import embed
from twincode.evaluate.posterior import ACTIVE_VARIANCE, active_units, latent_values
from twincode.tokenizers import build_tokenizer


@given(n=st.integers(1, 9), units=st.integers(1, 6), seed=st.integers(0, 50))
def test_a_unit_is_active_when_its_mean_varies_over_the_data(n, units, seed):
    generator = np.random.default_rng(seed)
    means = generator.normal(size=(n, units)) * generator.choice([0.01, 0.1, 1.0], size=units)
    varied = [sum((m - column.mean()) ** 2 for m in column) / n for column in means.T]
    expected = sum(variance > ACTIVE_VARIANCE for variance in varied)
    assert active_units(torch.from_numpy(means)[:, :, None, None]) == expected


def measured(name, **changes):
    waves = make_waves()
    config = tiny(name, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = build_tokenizer(config, waves.channels, waves.length)
    split = prepare(waves, Scaling.fit(waves.X_train), torch.device("cpu"))
    found = evaluate_tokenizer(tokenizer, split, config.evaluation)
    return tokenizer, split, {(m.readout, m.metric): m.value for m in found}


def test_active_units_are_counted_over_both_parts_where_there_is_a_posterior():
    tokenizer, split, found = measured("vae")
    means = torch.cat([embed(tokenizer, part)[0] for part in (split.x_train, split.x_test)])
    assert found["", "active_units"] == active_units(means)
    assert ("", "perplexity") not in found
    assert "histogram" not in {readout for readout, _ in found}


def test_active_units_are_counted_in_every_part_of_the_latents():
    tokenizer, split, _ = measured("contrastive-vae")
    with torch.no_grad():
        tokenizer.quantizer.part(1).project.weight.zero_()
    config = tiny("contrastive-vae").evaluation
    found = {m.metric: m.value for m in evaluate_tokenizer(tokenizer, split, config)}
    assert found["active_units_salient"] == 0
    assert found["active_units_shared"] == found["active_units"] > 0
    H, W = tokenizer.grid
    half = tokenizer.latent_channels * H * W // 2
    assert latent_values(tokenizer) == {
        "active_units_shared": half, "active_units_salient": half,
    }  # fmt: skip
    plain, _, _ = measured("vae")
    H, W = plain.grid
    assert latent_values(plain) == {"active_units": plain.latent_channels * H * W}


def test_a_collapsed_posterior_has_no_active_units():
    tokenizer, split, _ = measured("vae")
    with torch.no_grad():
        tokenizer.quantizer.project.weight.zero_()
    config = tiny("vae").evaluation
    found = {m.metric: m.value for m in evaluate_tokenizer(tokenizer, split, config)}
    assert found["active_units"] == 0


@pytest.mark.parametrize("name", ["vqvae", "raw-series", "fsq-vqvae"])
def test_without_a_posterior_there_are_no_units(name):
    assert ("", "active_units") not in measured(name)[2]
