"""Every tokenizer with every quantiser and every twin loss, on odd and tiny data.

The registries say what there is, so that a new member is tested here without being named.
"""

import math

import numpy as np
import pytest
import torch
from conftest import WITHOUT_EFFECT, make_task, seeded_tokenizer, tiny
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from twincode.losses import TWIN_LOSSES
from twincode.model import load_model
from twincode.quantize import QUANTIZERS
from twincode.tokenizers import TOKENIZERS
from twincode.train.loop import train_epoch

SMALL = {
    "latent_channels": 4, "codebook_size": 4, "residual_blocks": 0, "projector_width": 8,
    "band_widths": (2, 8), "background_classes": ("0",),
}  # fmt: skip


def small(tokenizer, quantizer, twin="none", **changes):
    config = tiny("vqvae", tokenizer=tokenizer, quantizer=quantizer, twin_loss=twin, **changes)
    return config.replace(**{name: value for name, value in SMALL.items() if config.has(name)})


def build(tokenizer, quantizer, twin, x, batch_size):
    """The task; of the series, the first is background, so that every larger batch has targets."""
    config = small(tokenizer, quantizer, twin, batch_size=batch_size)
    return make_task(config, x, np.minimum(np.arange(len(x)), 1))


TRAINED = [name for name in TOKENIZERS if TOKENIZERS.choose(name).takes_quantizer]
# Without a decoder there is nothing to learn from but a twin loss.
ENCODERS = {name for name in TRAINED if not seeded_tokenizer(small(name, "vq")).has_decoder}
PAIRS = [(tokenizer, quantizer) for tokenizer in TRAINED for quantizer in QUANTIZERS]
COMBINATIONS = [
    (*pair, twin)
    for pair in PAIRS
    for twin in ("none", *TWIN_LOSSES)
    if twin != "none" or pair[0] not in ENCODERS
]


@st.composite
def cases(draw):
    """A batch size, and series (n, C, L) for a full batch and one of 1 to as many; L is odd."""
    # Hypothesis begins with the simplest case, which would be the only one there is time for.
    assume(draw(st.booleans()))
    size = draw(st.integers(2, 5))
    rest = draw(st.integers(1, size))
    shape = draw(st.integers(1, 3)), draw(st.sampled_from([7, 9, 21, 33]))
    return size, torch.randn(size + rest, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("tokenizer", "quantizer", "twin"), COMBINATIONS)
@given(case=cases())
@settings(max_examples=1)
def test_a_combination_trains(tokenizer, quantizer, twin, case):
    size, x = case
    task = build(tokenizer, quantizer, twin, x, size)
    silent = watch_gradients(task)
    record = train_epoch(task, 1)
    assert all(math.isfinite(value) for value in record["losses"].values())
    assert not {name for name in silent if not name.endswith(WITHOUT_EFFECT)}


@pytest.mark.parametrize(("tokenizer", "quantizer"), PAIRS)
def test_a_trained_pair_is_used_and_comes_back(tokenizer, quantizer, tmp_path):
    x = torch.randn(5, 3, 21, generator=torch.Generator().manual_seed(0))
    task = build(tokenizer, quantizer, min(TWIN_LOSSES) if tokenizer in ENCODERS else "none", x, 3)
    train_epoch(task, 1)
    for part in (x, x[:1]):
        check_use(task.tokenizer, part)
    check_storage(task, x, tmp_path)


def watch_gradients(task):
    """The parameters whose gradient is zero at every step; each must have one, and finite."""
    silent = set(taught(task))

    def look(*_):
        for name, parameter in taught(task).items():
            assert parameter.grad is not None, f"no gradient reaches {name}"
            assert parameter.grad.isfinite().all(), name
            if parameter.grad.any():
                silent.discard(name)

    task.optimizer.register_step_pre_hook(look)
    return silent


def taught(task):
    """The parameters that some loss depends on: the quantiser's too, if it has one or feeds one."""
    tokenizer = task.tokenizer
    named = [*tokenizer.named_parameters(), *task.objective.named_parameters()]
    if tokenizer.has_decoder or tokenizer.quantizer.loss_name:
        return dict(named)
    return {name: parameter for name, parameter in named if not name.startswith("quantizer.")}


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


def check_storage(task, x, folder):
    model = task.model
    model.save(folder)
    again = load_model(folder)
    ours, theirs = model.tokenizer.state_dict(), again.tokenizer.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    # Convolutions round differently in another memory layout.
    again.tokenizer.to(memory_format=torch.channels_last)
    assert np.array_equal(again.transform(x.numpy()), model.transform(x.numpy()))
