"""First steps without codes, and the state that is best on held-out series."""

import json
import math
import signal

import numpy as np
import pytest
import torch
from conftest import make_task, make_waves, tiny
from test_run import Killed, killer, numbers, same, train, weights

from twincode.config import TrainingSettings
from twincode.errors import TwincodeError
from twincode.evaluate import reconstruction_errors
from twincode.train import fit
from twincode.train.held_out import BestState, hold_out
from twincode.train.loop import train_epoch

# At so large a rate the last state is not the best.
WORSENING = {"held_out": 0.25, "learning_rate": 0.4, "epochs": 6, "decay_share": 0.0}
CODED = ["vqvae", "residual-vqvae", "product-vqvae", "cosine-vqvae", "vqvae2", "bands"]


@pytest.mark.parametrize("name", CODED)
def test_first_steps_have_no_codes_and_later_ones_have(name):
    """Of 12 steps, 3 an epoch, 6 are continuous."""
    task = make_task(tiny(name, continuous_share=0.5), make_waves(40).X_train)
    assert task.continuous_steps == 6
    epochs = [train_epoch(task, epoch) for epoch in range(1, 5)]
    for record in epochs[:2]:
        assert record["losses"]["codebook"] == 0
        assert {codebook["tokens"] for codebook in record["codebooks"]} == {0}
        assert record["perplexity"] is record["dead_codes"] is None
    for record in epochs[2:]:
        assert record["losses"]["codebook"] > 0
        assert all(codebook["tokens"] > 0 for codebook in record["codebooks"])


def test_a_model_without_codes_yet_is_not_evaluated(waves):
    task = make_task(tiny("vqvae", continuous_share=0.5), waves.X_train)
    task.split = task.split._replace(x_test=task.split.x_train[:5])
    train_epoch(task, 1)
    assert task.evaluate(last=True) == []
    train_epoch(task, 2)
    assert task.evaluate(last=True)


def test_codes_are_placed_by_kmeans_in_latents_of_the_trained_encoder():
    """Not in one batch: a code stands at the mean of what it wins among all series."""
    task = make_task(tiny("vqvae", continuous_share=0.5, codebook_size=3), make_waves(40).X_train)
    for epoch in (1, 2):
        train_epoch(task, epoch)
    z = task.tokenizer.all_latents(task.split.x_train)
    vectors = z.permute(0, 2, 3, 1).flatten(0, 2)
    codebook = task.tokenizer.quantizer.codebook
    won = torch.cdist(vectors, codebook).argmin(dim=1)
    means = torch.stack([vectors[won == code].mean(0) for code in range(3)])
    torch.testing.assert_close(codebook, means, atol=0.1, rtol=0)


@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_a_teacher_has_the_codes_that_are_placed(update):
    config = tiny("vqvae2", twin_loss="byol", continuous_share=0.5, codebook_update=update)
    task = make_task(config, make_waves(40).X_train)
    train_epoch(task, 1)
    task._begin_codes()
    own, theirs = (each.quantizer.state_dict() for each in (task.tokenizer, task.teacher.tokenizer))
    assert own.keys() == theirs.keys()
    assert same(own, theirs)


def test_a_share_of_nothing_is_codes_from_the_first_step():
    task = make_task(tiny("vqvae", continuous_share=0.0))
    assert train_epoch(task, 1)["losses"]["codebook"] > 0
    with pytest.raises(TwincodeError, match="continuous_share must be at least 0 and below 1"):
        tiny("vqvae", continuous_share=1.0)


@pytest.mark.parametrize(
    ("name", "killed"), [("vqvae", 1), ("vqvae", 2), ("vqvae2", 2), ("moco-vqvae", 2)]
)
def test_a_run_killed_around_the_first_codes_resumes_to_the_same_numbers(
    tmp_path, waves, name, killed
):
    changes = {"name": name, "continuous_share": 0.5}
    undisturbed = train(tmp_path / "a", waves, **changes)
    with pytest.raises(Killed):
        train(tmp_path / "b", waves, killer(killed), **changes)
    resumed = train(tmp_path / "b", waves, **changes)
    assert same(weights(undisturbed), weights(resumed))
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")


def test_a_run_interrupted_in_its_last_epoch_has_its_codes(tmp_path, waves):
    changes = {"name": "vqvae", "continuous_share": 0.5}
    undisturbed = train(tmp_path / "a", waves, **changes)
    last = undisturbed.config.training.epochs
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "b", waves, interrupter(last), seconds=1e9, **changes)
    resumed = train(tmp_path / "b", waves, **changes)
    assert (resumed.encode(waves.X_test) == undisturbed.encode(waves.X_test)).all()
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    with np.load(tmp_path / "a/exhibits.npz") as one, np.load(tmp_path / "b/exhibits.npz") as two:
        assert one.files == two.files
        assert all(np.array_equal(one[each], two[each]) for each in one.files)


def interrupter(epoch):
    """Presses Ctrl-C when an epoch is told of."""

    def watch(record):
        if record["event"] == "epoch" and record["epoch"] == epoch:
            signal.raise_signal(signal.SIGINT)

    return watch


def test_nothing_is_held_out_where_no_epoch_chooses_by_it():
    waves = make_waves(60)
    models = [fit(tiny("warm-vqvae", epochs=0, held_out=share), waves) for share in (0.0, 0.5)]
    codes = [model.encode(waves.X_test) for model in models]
    assert (codes[0] == codes[1]).all()


def test_rows_are_held_out_by_the_seed_and_only_where_they_are_enough_to_judge_by():
    for n, share, expected in ((1000, 0.1, 100), (30, 0.5, 0), (1000, 0.0, 0)):
        training = TrainingSettings(held_out=share, steps=90, batch_size=10)
        assert training.held_out_of(n) == expected
        assert training.epochs_for(n) == max(1, round(90 / math.ceil((n - expected) / 10)))
        kept, held = hold_out(n, expected, seed=3)
        assert torch.cat([kept, held]).sort().values.tolist() == list(range(n))
        assert len(held) == expected
    assert not torch.equal(hold_out(1000, 100, 0)[1], hold_out(1000, 100, 1)[1])


def test_the_state_that_is_kept_is_the_best_one_on_held_out_series(tmp_path):
    waves = make_waves(80)
    model = train(tmp_path, waves, name="vqvae", **WORSENING)
    history = json.loads((tmp_path / "result.json").read_text())["history"]
    errors = [record["held_out"] for record in history if "held_out" in record]
    _, held = hold_out(80, 20, 0)
    x = torch.from_numpy(model.scaling.apply(waves.X_train[held.numpy()]))
    kept = reconstruction_errors(model.tokenizer, x)["reconstruction_time"]
    assert kept == pytest.approx(min(errors), rel=1e-6)


def test_a_worse_state_is_not_kept():
    tokenizer = make_task(tiny("vqvae"), make_waves(20).X_train).tokenizer
    x = torch.from_numpy(make_waves(20).X_train)
    best = BestState(tokenizer, lambda each: reconstruction_errors(each, x)["reconstruction_time"])
    good = {name: value.clone() for name, value in tokenizer.state_dict().items()}
    error = best.judge(tokenizer)
    with torch.no_grad():
        for parameter in tokenizer.parameters():
            parameter.mul_(100)
    assert best.judge(tokenizer) > error
    best.give_back(tokenizer)
    assert same(good, tokenizer.state_dict())


def test_held_out_series_are_never_learnt_from():
    waves = make_waves(80)
    _, held = hold_out(80, 20, 0)
    other = waves.X_train.copy()
    other[held.numpy()] = other[held.numpy()][:, :, ::-1]  # the same scaling
    found = []
    for X in (waves.X_train, other):
        task = make_task(tiny("bt-vqvae", held_out=0.25), X)
        train_epoch(task, 1)
        found.append(task.tokenizer.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(*map(dict.values, found), strict=True))


def test_a_run_resumes_to_a_best_state_from_before_it_was_killed(tmp_path):
    waves = make_waves(80)
    undisturbed = train(tmp_path / "a", waves, name="vqvae", **WORSENING)
    with pytest.raises(Killed):
        train(tmp_path / "b", waves, killer(6), name="vqvae", **WORSENING)
    resumed = train(tmp_path / "b", waves, name="vqvae", **WORSENING)
    assert same(weights(undisturbed), weights(resumed))
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")


def test_an_encoder_alone_has_nothing_to_judge_held_out_series_by():
    with pytest.raises(TwincodeError, match="held_out judges by reconstruction"):
        make_task(tiny("barlow-twins", held_out=0.5), np.asarray(make_waves(40).X_train))
