import math

import pytest
import torch
from conftest import make_task, make_waves, tiny
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.randomness import PURPOSES, stream, stream_seed
from twincode.train.loop import batches_of, learning_rate_at, train_epoch
from twincode.train.task import Schedule


def series(n=20, channels=1, length=33):
    return torch.from_numpy(make_waves(n, 2, channels, length).X_train)


def learner(name="bt-vqvae", x=None, **changes):
    return make_task(tiny(name, **changes), series() if x is None else x)


def state(one):
    return {
        f"{part}.{name}": tensor.clone()
        for part, module in one.modules.items()
        for name, tensor in module.state_dict().items()
    }


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("update", ["gradient", "ema"])
def test_every_parameter_is_in_the_optimiser_the_projector_included(update):
    one = learner(codebook_update=update)
    held = {id(p) for group in one.optimizer.param_groups for p in group["params"]}
    named = dict(one.tokenizer.named_parameters()) | dict(one.objective.named_parameters())
    assert held == {id(p) for p in named.values()}
    assert any(name.startswith("projector") for name in named)
    assert ("quantizer.codebook" in named) == (update == "gradient")


def test_one_epoch_moves_every_parameter():
    one = learner(codebook_update="gradient", codebook_size=2)
    before = state(one)
    train_epoch(one, 1)
    after = state(one)
    # Biases before a batch normalisation have no effect, so only weight decay moves them.
    unmoved = [name for name in before if torch.equal(before[name], after[name])]
    assert unmoved == []


def test_a_step_is_adamw_on_the_gradient_of_the_total():
    """The first step, done by hand with the same views, ends where the loop ends."""
    x = series(8)
    ours, plain = (
        learner(x=x, batch_size=8, codebook_update="gradient", continuous_share=0) for _ in range(2)
    )
    record = train_epoch(ours, 1)
    order = torch.randperm(8, generator=stream(0, "order", 1))
    scaled = plain.split.x_train[order]
    upper, lower = plain.augmenter(torch.cat([scaled, scaled]), stream(0, "views", 1)).chunk(2)
    losses = plain.objective(plain.tokenizer.train()(upper, lower))
    total = sum(losses[name] for name in losses)  # gamma is 1
    total.backward()
    parameters = [*plain.tokenizer.parameters(), *plain.objective.parameters()]
    torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-3).step()
    assert record["losses"]["total"] == pytest.approx(total.item(), rel=1e-6)
    for ours_p, plain_p in zip(
        ours.tokenizer.parameters(), plain.tokenizer.parameters(), strict=True
    ):
        torch.testing.assert_close(ours_p, plain_p, atol=1e-6, rtol=1e-5)


def test_without_gamma_and_with_clean_input_it_is_exactly_the_baseline():
    x = series()
    baseline = learner("vqvae", x)
    silent = learner("bt-vqvae", x, gamma=0, upper_input="clean")
    for epoch in (1, 2, 3):
        one, other = train_epoch(baseline, epoch), train_epoch(silent, epoch)
        assert one["losses"] == other["losses"]
    assert equal(state(baseline), state(silent))


def test_gamma_changes_what_is_learnt():
    states = []
    for gamma in (0.5, 1.0):
        one = learner(gamma=gamma)
        train_epoch(one, 1)
        train_epoch(one, 2)
        states.append(torch.cat([p.flatten() for p in one.tokenizer.encoder.parameters()]))
    assert not torch.allclose(*states, atol=1e-5)


def test_same_seed_same_numbers_other_seed_other_numbers():
    states = []
    for seed in (0, 0, 1):
        one = learner(seed=seed)
        train_epoch(one, 1)
        states.append(state(one))
    assert equal(states[0], states[1])
    assert not equal(states[0], states[2])


def test_building_and_training_leave_the_global_random_stream_alone():
    before = torch.get_rng_state()
    train_epoch(learner(), 1)
    assert torch.equal(before, torch.get_rng_state())


@given(
    n=st.integers(1, 9), batch=st.integers(1, 4), channels=st.integers(1, 2),
    length=st.integers(5, 30), constant=st.booleans(),
)  # fmt: skip
def test_tiny_batches_and_constant_series_train_without_nan(n, batch, channels, length, constant):
    x = torch.ones(n, channels, length) if constant else series(n, channels, length)
    one = learner(x=x, batch_size=batch)
    record = train_epoch(one, 1)
    assert all(math.isfinite(value) for value in record["losses"].values())
    assert all(tensor.isfinite().all() for tensor in state(one).values())


def test_losses_are_means_over_series_not_over_batches(monkeypatch):
    """Batches of 4 and 3 whose losses are known."""
    one = learner("vqvae", series(7), batch_size=4, continuous_share=0)
    sizes = []

    def known(output, _targets):
        sizes.append(len(output.latents))
        return {
            "reconstruction_time": 0 * output.reconstruction.sum() + (1.0 if sizes[1:] else 7.0)
        }

    monkeypatch.setattr(one.objective, "forward", known)
    record = train_epoch(one, 1)
    assert sizes == [4, 3]
    assert record["losses"]["total"] == pytest.approx((4 * 7 + 3) / 7)
    assert 1 <= record["perplexity"] <= 6


def test_the_learning_rate_holds_and_falls_along_a_cosine_at_the_end():
    schedule = Schedule(20, 5, 10, 1e-3, seed=0, decay_share=0.4)  # 10 steps
    assert [learning_rate_at(schedule, step) for step in range(7)] == [1e-3] * 7
    assert learning_rate_at(schedule, 8) == pytest.approx(5e-4)
    assert learning_rate_at(schedule, 10) == pytest.approx(0, abs=1e-12)
    held = Schedule(20, 5, 10, 1e-3, seed=0, decay_share=0.0)
    assert learning_rate_at(held, 9) == 1e-3
    one = learner(epochs=4, batch_size=8)  # 3 steps an epoch, 12 in all
    for epoch in range(1, 5):
        train_epoch(one, epoch)
    assert one.optimizer.param_groups[0]["lr"] == learning_rate_at(one.schedule, 11) < 1e-3


def test_with_a_share_of_one_the_learning_rate_is_the_cosine_of_the_thesis():
    schedule = Schedule(7, 13, 3, 1e-3, seed=0, decay_share=1.0)
    for step in range(schedule.steps):
        cosine = 1e-3 * 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
        assert learning_rate_at(schedule, step) == cosine


@given(n=st.integers(1, 300), size=st.integers(1, 140))
def test_batches_of_an_epoch_are_even(n, size):
    """129 series in batches of 128 were one batch of 128 and one of a single series."""
    batches = [rows for _, rows in batches_of(Schedule(n, 1, size, 1e-3, seed=0), 1)]
    assert len(batches) == math.ceil(n / size)
    assert max(map(len, batches)) - min(map(len, batches)) <= 1
    assert max(map(len, batches)) <= size
    assert torch.cat(batches).sort().values.tolist() == list(range(n))


def test_a_loss_that_is_no_number_is_an_error_not_a_result():
    one = learner("vqvae")
    with torch.no_grad():
        next(one.tokenizer.parameters()).fill_(float("nan"))
    with pytest.raises(TwincodeError, match="stopped being a number in epoch 1"):
        train_epoch(one, 1)


def test_random_streams_are_distinct_and_repeatable():
    seeds = {stream_seed(s, p, e) for s in range(5) for p in PURPOSES for e in range(5)}
    assert len(seeds) == 5 * len(PURPOSES) * 5
    assert torch.equal(*[torch.rand(3, generator=stream(7, "views", 2)) for _ in range(2)])
    with pytest.raises(TwincodeError, match="seed must be a whole number of at least 0"):
        stream_seed(-1, "views")


@pytest.mark.parametrize(
    "changes",
    [{"epochs": -1}, {"batch_size": 0}, {"learning_rate": 0.0}, {"weight_decay": -1.0}],
)
def test_settings_that_cannot_train_are_errors(changes):
    with pytest.raises(TwincodeError, match="must be"):
        learner("vqvae", **changes)


def test_the_number_of_threads_changes_a_step_by_no_more_than_rounding():
    """Steps after it take other paths: what is rounded otherwise decides codes."""
    x, losses = series(), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            one = learner(x=x)
            one.begin_epoch(1)
            step = one.step(torch.arange(len(x)), 0)
            losses.append({name: value.item() for name, value in step.items()})
    finally:
        torch.set_num_threads(before)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_batch_too_small_to_share_is_an_error(monkeypatch):
    monkeypatch.setattr("twincode.distributed.processes", lambda: 3)
    with pytest.raises(TwincodeError, match="a batch of 2 series cannot be shared by 3 processes"):
        learner(batch_size=2)


def test_a_model_that_ends_as_no_numbers_is_not_kept(tmp_path):
    one = learner("vqvae")
    with torch.no_grad():
        next(one.tokenizer.parameters()).fill_(float("inf"))
    with pytest.raises(TwincodeError, match="ended as no numbers; try a smaller learning_rate"):
        one.keep(tmp_path, [])
    assert not any(tmp_path.iterdir())
