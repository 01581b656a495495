import math

import pytest
import torch
from conftest import make_task, make_waves, tiny

from twincode.errors import TwincodeError
from twincode.losses import TWIN_LOSSES, barlow_twins_loss, pairwise
from twincode.train.gradient_scale import EVERY, MEMORY
from twincode.train.loop import train_epoch


def learner(name="bt-vqvae", **changes):
    return make_task(tiny(name, gamma_scale="gradient", **changes), make_waves(40).X_train)


def lengths_of(task, rows):
    """The lengths of both gradients in the encoder, loss by loss, in double precision."""
    upper, lower = (view.double() for view in task._views(task.x[rows]))
    for module in task.modules.values():
        module.double()
    output = task.tokenizer(upper, lower)
    losses = task.objective(output)
    twin = losses.pop("barlow_twins")
    encoder = list(task.tokenizer.encoder.parameters())
    found = []
    for loss in (sum(losses.values()), twin):
        gradients = torch.autograd.grad(loss, encoder, retain_graph=True, allow_unused=True)
        found.append(math.sqrt(sum(float((g**2).sum()) for g in gradients if g is not None)))
    return found


@pytest.mark.parametrize("name", ["bt-vqvae", "residual-bt-vqvae"])
def test_gamma_says_how_long_the_gradient_is_beside_that_of_all_others(name):
    rows, gamma = torch.arange(30), 0.5
    task, plain = (learner(name, gamma=gamma) for _ in range(2))
    task.begin_epoch(1)
    plain.begin_epoch(1)
    task.step(rows, 0)
    others, twin = lengths_of(plain, rows)
    assert float(task.objective.weight) == pytest.approx(gamma * others / twin, rel=1e-3)


def test_lengths_are_smoothed_and_measured_once_in_a_while():
    task = learner()
    measured = []
    measure = task.objective.scale.measure
    task.objective.scale.measure = lambda *given: measured.append(step) or measure(*given)
    task.begin_epoch(1)
    lengths = []
    for step in range(2 * EVERY + 1):
        before = task.objective.scale.lengths.clone()
        task.step(torch.arange(30), step)
        after = task.objective.scale.lengths
        assert torch.equal(before, after) == (step % EVERY > 0)
        if step % EVERY == 0:
            lengths.append((after - MEMORY * before) / (1 - MEMORY))
            assert (lengths[-1] > 0).all()
    assert measured == [0, EVERY, 2 * EVERY]
    # The first of three counts as a smoothed mean of three counts it, not as all that went before.
    weights = torch.tensor([MEMORY**2, MEMORY, 1])[:, None]
    others, twin = (weights * torch.stack(lengths)).sum(0)
    assert torch.allclose(task.objective.scale.factor, others / twin, rtol=1e-4)


@pytest.mark.usefixtures("registries")
def test_the_size_of_a_loss_changes_nothing():
    """A power of two, so that rounding is the same."""
    for name, size in (("one", 1.0), ("many", 1024.0)):
        TWIN_LOSSES.register(
            name, pairwise(lambda a, b, _, size=size: size * barlow_twins_loss(a, b))
        )
    records, states = [], []
    for name in ("one", "many"):
        task = learner(twin_loss=name)
        records.append([train_epoch(task, epoch) for epoch in (1, 2)])
        states.append(task.tokenizer.state_dict())
    for one, other in zip(*records, strict=True):
        assert one["twin_weight"] == 1024 * other["twin_weight"] > 0
        assert one["losses"]["reconstruction_time"] == other["losses"]["reconstruction_time"]
    assert all(map(torch.equal, states[0].values(), states[1].values()))


def test_a_loss_without_gradient_weighs_gamma():
    """Nothing is divided by zero."""
    task = learner(gamma=2)
    loss = sum(p.sum() for p in task.tokenizer.parameters())
    task.objective.scale.measure(loss, 0 * loss, list(task.tokenizer.parameters()))
    assert float(task.objective.weight) == 2


def test_an_encoder_alone_has_nothing_to_weigh_by():
    with pytest.raises(TwincodeError, match='use gamma_scale="loss"'):
        learner("barlow-twins")
    with pytest.raises(TwincodeError, match="unknown gamma_scale 'grad'; did you mean 'gradient'"):
        tiny("bt-vqvae", gamma_scale="grad")
