import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from models import judge, untrained

from twincode.evaluate import declared_metrics
from twincode.evaluate.posterior import ACTIVE_VARIANCE, active_units, latent_values
from twincode.tokenizers import embed


@given(n=st.integers(1, 9), units=st.integers(1, 6), seed=st.integers(0, 50))
def test_a_unit_is_active_when_its_mean_varies_over_the_data(n, units, seed):
    generator = np.random.default_rng(seed)
    means = generator.normal(size=(n, units)) * generator.choice([0.01, 0.1, 1.0], size=units)
    varied = [sum((m - column.mean()) ** 2 for m in column) / n for column in means.T]
    expected = sum(variance > ACTIVE_VARIANCE for variance in varied)
    assert active_units(torch.from_numpy(means)[:, :, None, None]) == expected


def test_active_units_are_counted_over_both_parts_where_there_is_a_posterior():
    tokenizer, split, config = untrained("vae")
    found = judge(tokenizer, split, config)
    means = torch.cat([embed(tokenizer, x).latents for x in (split.x_train, split.x_test)])
    assert found["", "active_units"] == active_units(means)
    H, W = tokenizer.grid
    assert latent_values(tokenizer) == {"active_units": tokenizer.latent_channels * H * W}


def test_a_collapsed_posterior_has_no_active_units():
    tokenizer, split, config = untrained("vae")
    with torch.no_grad():
        tokenizer.quantizer.project.weight.zero_()
    assert judge(tokenizer, split, config)["", "active_units"] == 0


def test_active_units_are_counted_in_every_part_of_the_latents():
    tokenizer, split, config = untrained("contrastive-vae")
    with torch.no_grad():
        tokenizer.quantizer.part(1).project.weight.zero_()
    found = judge(tokenizer, split, config)
    assert found["", "active_units_salient"] == 0
    assert found["", "active_units_shared"] == found["", "active_units"] > 0
    titles = {each.name: each.title for each in declared_metrics(config.metrics, tokenizer)}
    assert titles["active_units_salient"] == "Active units, salient"
    H, W = tokenizer.grid
    half = tokenizer.latent_channels * H * W // 2
    assert latent_values(tokenizer) == {"active_units_shared": half, "active_units_salient": half}


@pytest.mark.parametrize("name", ["vqvae", "raw-series", "fsq-vqvae"])
def test_without_a_posterior_there_are_no_units(name):
    assert ("", "active_units") not in judge(*untrained(name))
