"""Every tokenizer with every quantiser and every twin loss, on odd and tiny data.

The registries say what there is, so that a new member is tested here without being named.
"""

import math

import numpy as np
import pytest
import torch
from conftest import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from twincode.data import Scaling
from twincode.losses import TWIN_LOSSES
from twincode.model import Model, Source, load_model
from twincode.quantize import QUANTIZERS
from twincode.tokenizers import TOKENIZERS, build_tokenizer
from twincode.train.loop import build_learner

SMALL = {
    "latent_channels": 4,
    "codebook_size": 4,
    "residual_blocks": 1,
    "projector_width": 8,
    "batch_size": 3,
}
CPU = torch.device("cpu")

TRAINED = sorted(set(TOKENIZERS) - {"raw"})


@st.composite
def cases(draw):
    """A twin loss or none, and series (n, C, L): n from 1 to 4, L odd."""
    twin = draw(st.sampled_from([None, *TWIN_LOSSES]))
    shape = (
        draw(st.integers(1, 4)),
        draw(st.integers(1, 3)),
        draw(st.sampled_from([7, 9, 21, 33])),
    )
    return twin, torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def build(tokenizer, quantizer, twin, x):
    config = tiny("vqvae", **SMALL, tokenizer=tokenizer, quantizer=quantizer, bands=(1, 3))
    if twin is None and not build_tokenizer(config, *x.shape[1:]).has_decoder:
        twin = "barlow_twins"  # there is nothing else to learn from
    if twin is not None:
        config = config.replace(twin_loss=twin, gamma=1.0)
    return build_learner(config, x, CPU)


@pytest.mark.parametrize("quantizer", sorted(QUANTIZERS))
@pytest.mark.parametrize("tokenizer", TRAINED)
@given(case=cases())
@settings(max_examples=4)
def test_a_combination_trains_judges_and_comes_back(tokenizer, quantizer, case, tmp_path):
    twin, x = case
    learner = build(tokenizer, quantizer, twin, x)
    background = torch.arange(len(x)) % 2 == 0
    groups = [background] if learner.tokenizer.takes_background else []
    record = learner.train_epoch(x, 1, *groups)
    assert all(math.isfinite(value) for value in record["losses"].values())
    check_gradients(learner)
    check_use(learner.tokenizer, x)
    check_storage(learner, x, tmp_path)


def check_gradients(learner):
    for module in (learner.tokenizer, learner.objective):
        for name, parameter in module.named_parameters():
            if name.startswith("quantizer") and not learner.tokenizer.has_decoder:
                continue  # a way back from the codes that nobody goes
            assert parameter.grad is not None, f"no gradient reaches {name}"
            assert parameter.grad.isfinite().all(), name


def check_use(tokenizer, x):
    before = {name: tensor.clone() for name, tensor in tokenizer.state_dict().items()}
    random = torch.get_rng_state()
    found = tokenizer.embed(x)
    if found.codes is not None:
        assert found.codes.shape == (len(x), *tokenizer.grid)
    if tokenizer.has_decoder:
        target, reconstruction = tokenizer.reconstruct(x)["time"]
        assert torch.equal(target, x)
        assert reconstruction.shape == x.shape
        if found.codes is not None:
            torch.testing.assert_close(tokenizer.decode(found.codes), reconstruction)
    assert all(torch.equal(before[name], t) for name, t in tokenizer.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


def check_storage(learner, x, folder):
    model = Model(learner.tokenizer.eval(), Scaling(0, 1), learner.config, Source("x", "", "", ()))
    model.save(folder)
    again = load_model(folder)
    ours, theirs = model.tokenizer.state_dict(), again.tokenizer.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    # Convolutions round differently in another memory layout.
    again.tokenizer.to(memory_format=torch.channels_last)
    assert np.array_equal(again.transform(x.numpy()), model.transform(x.numpy()))
