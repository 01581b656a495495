import dataclasses
import json
import signal
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from conftest import make_waves, tiny
from safetensors import safe_open
from safetensors.torch import save_file

from twincode.config import TrainingSettings
from twincode.data import Dataset
from twincode.errors import TwincodeError
from twincode.priors import prior
from twincode.recipes import RECIPES, recipe
from twincode.train import fit, fit_prior
from twincode.train.loop import train_epoch
from twincode.train.run import evaluation_epochs
from twincode.train.tokenizer_task import TokenizerTask


class Killed(BaseException):
    """Stands for kill -9: nothing catches it and nothing is tidied up."""


def killer(epoch, event="epoch"):
    def watch(record):
        if record["event"] == event and record.get("epoch") == epoch:
            raise Killed

    return watch


def train(folder, data, watch=None, name="bt-vqvae", seconds=0.0, **changes):
    if name == "contrastive-vae":
        changes.setdefault("background_classes", "a")
    return fit(tiny(name, **changes), data, folder, "cpu", watch, ["test"], seconds)


def numbers(folder):
    result = json.loads((folder / "result.json").read_text())
    for epoch in result["history"]:
        del epoch["seconds"]
    return result["history"], result["evaluations"]


def weights(model):
    return model.tokenizer.state_dict()


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


@pytest.mark.parametrize("name", sorted(n for n in RECIPES if not n.startswith("thesis-")))
def test_every_recipe_trains_and_keeps_its_result(name, tmp_path, waves):
    model = train(tmp_path, waves, name=name)
    result = json.loads((tmp_path / "result.json").read_text())
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[0]["event"] == "start"
    assert log[0]["command"] == ["test"]
    assert log[0]["config"] == model.config.to_dict()
    assert result["config"] == model.config.to_dict()
    # What is fitted without epochs takes its time too.
    spent = [each["seconds"] for each in log if "seconds" in each]
    assert result["seconds"] == pytest.approx(sum(spent))
    assert result["seconds"] > 0
    epochs = model.config.training.epochs
    assert [record["epoch"] for record in result["history"]] == list(range(1, epochs + 1))
    assert {row["epoch"] for row in result["evaluations"]} == ({2, 4} if epochs else {0})
    assert all(np.isfinite(row["value"]) for row in result["evaluations"])
    with np.load(tmp_path / "exhibits.npz", allow_pickle=False) as exhibits:
        if model.tokenizer.has_decoder:
            assert exhibits["example_series"].shape == (3, 1, 33)
        assert ("example_series" in exhibits) == model.tokenizer.has_decoder
        assert exhibits["latents_2d"].shape == (20, 2)
        assert ("token_codes" in exhibits) == bool(model.tokenizer.layout.grids)
    assert not (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("moment", [(1, "epoch"), (2, "evaluation"), (3, "epoch"), (4, "epoch")])
@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_a_killed_run_resumes_to_the_same_numbers(tmp_path, waves, moment, update):
    undisturbed = train(tmp_path / "a", waves, codebook_update=update)
    with pytest.raises(Killed):
        train(tmp_path / "b", waves, killer(*moment), codebook_update=update)
    resumed = train(tmp_path / "b", waves, codebook_update=update)
    assert same(weights(undisturbed), weights(resumed))
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {}) for name in ("moco", "byol-vqvae", "vqvae2", "bands", "contrastive-vae")),
        ("warm-vqvae", {}),
        ("bt-vqvae", {"gamma_scale": "gradient"}),
    ],
)
def test_teacher_queue_levels_and_groups_are_resumed_too(tmp_path, waves, name, changes):
    changes = {"name": name, **changes}
    undisturbed = train(tmp_path / "a", waves, **changes)
    with pytest.raises(Killed):
        train(tmp_path / "b", waves, killer(3), **changes)
    resumed = train(tmp_path / "b", waves, **changes)
    assert same(weights(undisturbed), weights(resumed))
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")


def test_resuming_goes_on_from_the_checkpoint_and_drops_later_records(tmp_path, waves):
    with pytest.raises(Killed):
        train(tmp_path, waves, killer(3))
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"event": "epo')
    seen = []
    train(tmp_path, waves, seen.append)
    assert [r["epoch"] for r in seen if r["event"] == "epoch"] == [3, 4]
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines].count("epoch") == 4


def test_a_log_that_lost_records_says_what_to_do(tmp_path, waves):
    with pytest.raises(Killed):
        train(tmp_path, waves, killer(3))
    log = tmp_path / "log.jsonl"
    log.write_bytes(log.read_bytes()[:40])
    for _ in range(2):  # and what is left stays as it is
        with pytest.raises(TwincodeError, match=r"lost records .* delete its folder to begin anew"):
            train(tmp_path, waves)
        assert log.stat().st_size == 40


def test_a_finished_run_is_loaded_not_repeated(tmp_path, waves):
    first = train(tmp_path, waves)
    seen = []
    again = train(tmp_path, waves, seen.append)
    assert seen == []
    assert same(weights(first), weights(again))
    (tmp_path / "prior").mkdir()
    (tmp_path / "prior" / "prior.json").write_text("junk")  # which is nothing to a tokenizer
    assert same(weights(first), weights(train(tmp_path, waves)))
    for path in tmp_path.glob("model.*"):
        path.unlink()
    before = (tmp_path / "result.json").read_bytes()
    with pytest.raises(TwincodeError, match="keeps the result of this run without its model; rem"):
        train(tmp_path, waves)
    assert (tmp_path / "result.json").read_bytes() == before


@pytest.mark.parametrize("finished", [True, False])
def test_a_folder_with_another_run_is_refused_and_kept(tmp_path, waves, finished):
    if finished:
        train(tmp_path, waves)
    else:
        with pytest.raises(Killed):
            train(tmp_path, waves, killer(3))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(TwincodeError, match=r"holds another run \(it differs in gamma\)"):
        train(tmp_path, waves, gamma=2)
    with pytest.raises(TwincodeError, match=r"it differs in the data"):
        train(tmp_path, make_waves(seed=1))
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir()}


def test_probes_on_the_way_change_no_number(waves):
    often, once = (train(None, waves, evaluations=n) for n in (4, 1))
    assert same(weights(often), weights(once))


def test_evaluation_changes_nothing(waves):
    """Not a parameter, a buffer, a mode, an optimiser state or a random stream."""
    learner = TokenizerTask(tiny("bt-vqvae"), waves, torch.device("cpu"))
    train_epoch(learner, 1)
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - the legacy stream is what must not move

    def everything():
        parts = [m.state_dict() for m in learner.modules.values()]
        optimizer = learner.optimizer.state_dict()["state"]
        tensors = [t.clone() for part in [*parts, *optimizer.values()] for t in part.values()]
        modes = [m.training for part in learner.modules.values() for m in part.modules()]
        legacy = np.random.get_state()[1]  # noqa: NPY002
        return [*tensors, torch.get_rng_state(), torch.tensor(modes), torch.from_numpy(legacy)]

    before = everything()
    assert learner.evaluate(last=True)
    assert all(torch.equal(a, b) for a, b in zip(before, everything(), strict=True))


def test_the_test_part_never_reaches_training(waves):
    """Other test series and labels, same model."""
    from dataclasses import replace

    other = replace(waves, X_test=waves.X_test[::-1] * 5, y_test=None)
    assert same(weights(train(None, waves)), weights(train(None, other)))


def test_labels_never_reach_training(waves):
    from dataclasses import replace

    blind = replace(waves, y_train=None, y_test=None, classes=())
    assert same(weights(train(None, waves)), weights(train(None, blind)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"not a checkpoint"), "is corrupt"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is corrupt"),
        (lambda path: path.write_bytes(b""), "is corrupt"),
    ],
)
def test_a_damaged_checkpoint_is_explained(tmp_path, waves, damage, message):
    with pytest.raises(Killed):
        train(tmp_path, waves, killer(3))
    damage(tmp_path / "checkpoint.safetensors")
    with pytest.raises(TwincodeError, match=message):
        train(tmp_path, waves)


def test_a_foreign_safetensors_file_is_no_checkpoint(tmp_path, waves):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "checkpoint.safetensors")
    with pytest.raises(TwincodeError, match="not a checkpoint this version can read"):
        train(tmp_path, waves)


@pytest.mark.parametrize(
    ("epochs", "evaluations", "due"),
    [(10, 5, {2, 4, 6, 8, 10}), (3, 5, {1, 2, 3}), (7, 1, {7}), (1, 3, {1})],
)
def test_probes_are_evenly_spaced_and_always_run_at_the_end(epochs, evaluations, due):
    assert evaluation_epochs(epochs, evaluations) == due


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"readouts": ("flaten",)}, "did you mean 'flatten'"),
        ({"readouts": ()}, "at least one readout"),
        ({"svm_c": 0.0}, "svm_c must be above 0"),
        ({"evaluations": -1}, "evaluations must be at least 0"),
        ({"precision": "bfloat"}, "did you mean 'bfloat16'"),
        ({"augmentations": ("flop",)}, "did you mean 'flip'"),
    ],
)
def test_settings_that_cannot_work_fail_before_any_training(waves, changes, message):
    seen = []
    with pytest.raises(TwincodeError, match=message):
        train(None, waves, seen.append, **changes)
    assert [record for record in seen if record["event"] == "epoch"] == []


def test_a_continuous_model_is_judged_without_code_counts(waves):
    seen = []
    model = train(None, waves, seen.append, quantizer="identity")
    readouts = {m["readout"] for r in seen if r["event"] == "evaluation" for m in r["measurements"]}
    assert readouts == {"flatten", "mean", ""}
    assert model.transform(waves.X_test).shape == (20, 8 * 5 * 8)
    with pytest.raises(TwincodeError, match="continuous"):
        model.encode(waves.X_test)


def test_an_encoder_alone_is_judged_by_its_features(waves):
    seen = []
    model = train(None, waves, seen.append, name="barlow-twins")
    rows = [m for r in seen if r["event"] == "evaluation" for m in r["measurements"]]
    assert {row["readout"] for row in rows} == {"flatten", "mean", ""}
    assert {row["metric"] for row in rows if not row["readout"]} == {"model_bytes"}
    assert model.transform(waves.X_test).shape == (20, 8 * 5 * 8)
    with pytest.raises(TwincodeError, match="has no decoder"):
        model.reconstruct(waves.X_test)
    with pytest.raises(TwincodeError, match="continuous"):
        model.encode(waves.X_test)
    with pytest.raises(
        TwincodeError, match='learns from its twin loss only; use twin_loss="barlow_twins"'
    ):
        train(None, waves, name="barlow-twins", gamma=0)


@pytest.mark.parametrize("device", ["tpu9", None])
def test_an_unknown_device_is_explained(waves, device):
    with pytest.raises(TwincodeError, match=f"device '{device}' is not available"):
        fit(tiny("vqvae"), waves, device=device)


def test_what_others_say_of_processes_is_not_torchruns(waves, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    train(None, waves, epochs=1)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, waves):
    saved, run = tmp_path / "saved", tmp_path / "run"
    fit(recipe("patch-rvq", bits=8), waves).save(saved)
    before = (saved / "model.json").read_bytes()
    with pytest.raises(
        TwincodeError, match="holds a model that was not trained there; choose another"
    ):
        train(saved, waves)
    assert (saved / "model.json").read_bytes() == before
    model = train(run, waves, name="vqvae")
    fit(recipe("patch-rvq", bits=8), waves).save(run)
    with pytest.raises(
        TwincodeError, match="does not belong to the result beside it; remove that folder"
    ):
        train(run, waves, name="vqvae")
    fit_prior(prior("independent"), model, waves, run / "prior")
    (run / "result.json").unlink()
    with pytest.raises(TwincodeError, match="prior holds the prior of an earlier model; remove"):
        train(run, waves, name="vqvae")


def test_a_run_that_another_program_finished_meanwhile_is_not_repeated(
    tmp_path, waves, monkeypatch
):
    @contextmanager
    def waited(folder):
        monkeypatch.undo()
        train(folder, waves)
        yield

    monkeypatch.setattr("twincode.train.fitting.alone", waited)
    later = []
    train(tmp_path, waves, later.append)
    assert later == []


def test_multivariate_series(tmp_path):
    model = train(tmp_path, make_waves(channels=3, length=40))
    assert model.reconstruct(make_waves(channels=3, length=40).X_test).shape == (20, 3, 40)


def test_an_interrupt_waits_for_the_epoch_and_loses_nothing(tmp_path, waves):
    undisturbed = train(tmp_path / "a", waves)
    seen = []

    def interrupt_once(record):
        seen.append(record["event"])
        if record["event"] == "epoch" and record["epoch"] == 3:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "b", waves, interrupt_once, seconds=1e9)
    assert seen[-1] == "stopping"
    assert signal.getsignal(signal.SIGINT) is before
    later = []
    resumed = train(tmp_path / "b", waves, later.append)
    assert [r["epoch"] for r in later if r["event"] == "epoch"] == [4]
    assert same(weights(undisturbed), weights(resumed))
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")


def test_a_second_interrupt_stops_at_once(waves):
    def interrupt_twice(record):
        if record["event"] == "epoch":
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the second interrupt was ignored")

    with pytest.raises(KeyboardInterrupt):
        train(None, waves, interrupt_twice)


def test_training_works_where_signals_do_not_reach(waves):
    from threading import Thread

    found = []
    thread = Thread(target=lambda: found.append(train(None, waves, epochs=1)))
    thread.start()
    thread.join()
    assert len(found) == 1


def test_two_programs_never_work_in_one_folder(tmp_path, waves):
    from filelock import FileLock

    with FileLock(tmp_path / ".lock"), pytest.raises(TwincodeError, match="another program"):
        train(tmp_path, waves)
    train(tmp_path, waves, epochs=1)


def test_a_model_without_parameters_cannot_be_trained(waves):
    config = dataclasses.replace(recipe("raw-series"), training=TrainingSettings(epochs=1))
    with pytest.raises(TwincodeError, match="the raw tokenizer has nothing to train"):
        fit(config, waves)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_exhausted_memory_is_explained(waves, monkeypatch, error):
    def exhausted(*_):
        raise error

    monkeypatch.setattr("twincode.train.run.train_epoch", exhausted)
    with pytest.raises(TwincodeError, match="too little memory; use a smaller batch_size"):
        train(None, waves)


@pytest.mark.parametrize(
    "progress",
    [{}, {"epoch": "2"}, {"epoch": 1, "log_position": 0, "config": [], "data": ""}],
)
def test_a_checkpoint_that_says_too_little_is_explained(tmp_path, waves, progress):
    from safetensors.torch import save_file

    metadata = {"twincode": json.dumps({"format": 2, **progress})}
    save_file({"a": torch.zeros(1)}, tmp_path / "checkpoint.safetensors", metadata)
    with pytest.raises(TwincodeError, match="does not say how far its run had come"):
        train(tmp_path, waves)


def test_a_name_is_no_configuration(waves):
    with pytest.raises(TwincodeError, match=r"a configuration: twincode\.recipe\('vqvae'\)"):
        fit("vqvae", waves)


def test_a_bare_array_is_enough(waves):
    """No labels, no test part, no probes; the numbers are those of the same series in a set."""
    seen = []
    bare = train(None, waves.X_train[:, 0], seen.append)
    assert same(weights(bare), weights(train(None, waves)))
    assert "evaluation" not in {record["event"] for record in seen}
    assert bare.reconstruct(waves.X_test).shape == waves.X_test.shape


@pytest.mark.parametrize("name", ["bt-vqvae", "vae", "bands", "contrastive-vae", "moco"])
def test_a_set_without_a_test_part_trains_and_keeps_its_result(tmp_path, waves, name):
    data = Dataset.from_arrays(waves.X_train, np.array(waves.classes)[waves.y_train])
    model = train(tmp_path, data, name=name)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["evaluations"] == []
    assert result["dataset"]["n_test"] == 0
    assert same(weights(model), weights(train(None, waves, name=name)))


def test_without_evaluations_nothing_is_measured(waves):
    seen = []
    train(None, waves, seen.append, evaluations=0)
    assert "evaluation" not in {record["event"] for record in seen}


@pytest.mark.parametrize("name", ["bt-vqvae", "vae", "moco-vqvae"])
def test_fits_in_two_threads_give_the_numbers_of_each_alone(waves, name):
    """Weights, noise and revival are drawn, yet torch's global random state is never touched."""
    from concurrent.futures import ThreadPoolExecutor

    changes = {"revive_below": 0.05} if name == "moco-vqvae" else {}
    alone = [weights(train(None, waves, name=name, seed=seed, **changes)) for seed in (0, 1)]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(2) as pool:
        fits = [
            pool.submit(train, None, waves, name=name, seed=seed, **changes)
            for seed in (0, 1, 0, 1)
        ]
        together = [weights(each.result()) for each in fits]
    for found, expected in zip(together, alone * 2, strict=True):
        assert same(found, expected)
    assert torch.equal(before, torch.get_rng_state())


def test_a_run_from_before_a_setting_that_changes_nothing_goes_on(tmp_path, waves):
    """As a run of an earlier version has it: its files know nothing of ``held_out``."""
    undisturbed = train(tmp_path / "a", waves)
    with pytest.raises(Killed):
        train(tmp_path / "b", waves, killer(3))
    path = tmp_path / "b/checkpoint.safetensors"
    with safe_open(path, "pt") as file:
        tensors, told = {name: file.get_tensor(name) for name in list(file.keys())}, file.metadata()
    known = {name: text.replace(', "held_out": 0.0', "") for name, text in told.items()}
    assert known != told
    save_file(tensors, path, known)
    resumed = train(tmp_path / "b", waves)
    assert same(weights(undisturbed), weights(resumed))
    result = json.loads((tmp_path / "b/result.json").read_text())
    del result["config"]["training"]["held_out"]
    (tmp_path / "b/result.json").write_text(json.dumps(result))
    assert same(weights(train(tmp_path / "b", waves)), weights(resumed))
    with pytest.raises(TwincodeError, match=r"another run \(it differs in held_out\)"):
        train(tmp_path / "b", waves, held_out=0.5)


def test_classes_of_other_names_are_another_run(tmp_path, waves):
    train(tmp_path, waves)
    renamed = dataclasses.replace(waves, classes=tuple(f"{name}!" for name in waves.classes))
    with pytest.raises(TwincodeError, match="it differs in the names of classes"):
        train(tmp_path, renamed)


def test_series_too_short_for_phases_can_be_moved():
    model = fit(tiny("warm-vqvae"), make_waves(20, length=4))
    assert model.reconstruct(make_waves(20, length=4).X_test).shape[2] == 4
