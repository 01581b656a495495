"""A prior is fitted to a model, stopped, resumed, kept and loaded like a tokenizer."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from conftest import make_waves, tiny, untrained
from toys import NETWORKS

import twincode
from twincode.data import Dataset
from twincode.errors import TwincodeError
from twincode.model import load_bare_model, load_model
from twincode.priors import PRIORS, prior
from twincode.priors.fitted import load_prior
from twincode.storage import file_hash, read_tensors, tensors_hash, write_tensors
from twincode.train import fit, fit_prior
from twincode.train.held_out import Plateau, hold_out_by_class
from twincode.train.loop import learning_rate_at
from twincode.train.prior_task import PriorTask

SMALL = {"model_width": 8, "layers": 1, "feedforward": 1, "batch_size": 16}
KINDS = tuple(PRIORS)


class Killed(BaseException):
    """Stands for kill -9."""


def small(kind="masked", **changes):
    quick = {**SMALL, "steps": 12} if kind in NETWORKS else {}
    return prior(kind, **{**quick, **changes})


@pytest.fixture(scope="module")
def model(waves):
    return fit(tiny("vqvae", epochs=1, evaluations=0), waves)


@pytest.fixture(scope="module")
def saved(model, waves, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    model.save(folder)
    fit_prior(small(), model, waves, folder / "prior", command=["test"])
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def state(model):
    return model.prior.prior.state_dict()


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_the_tokenizer_does_not_move(kind, model, waves):
    noisy = {"code_noise": 1.0} if kind in NETWORKS else {}
    model.tokenizer.train()
    before = tensors_hash(model.tokenizer.state_dict())
    fitted = fit_prior(small(kind, **noisy), model, waves)
    assert tensors_hash(model.tokenizer.state_dict()) == before == fitted.prior.tokenizer_hash
    assert model.tokenizer.training
    model.tokenizer.eval()
    assert model.prior is None


def test_a_hash_notices_a_value_a_name_and_a_shape(model):
    tensors = dict(model.tokenizer.state_dict())
    name = next(iter(tensors))
    changed = {**tensors, name: tensors[name] + 1}
    renamed = {("x" if key == name else key): value for key, value in tensors.items()}
    hashes = {tensors_hash(each) for each in (tensors, changed, renamed)}
    assert len(hashes) == 3
    assert tensors_hash({"a": torch.ones(2, 3)}) != tensors_hash({"a": torch.ones(3, 2)})


def test_every_class_is_on_both_sides_of_a_sorted_file():
    y = torch.arange(5).repeat_interleave(torch.tensor([200, 60, 30, 9, 3]))
    rows, held = hold_out_by_class(y, 0.1, 0, 2, 512)
    assert torch.bincount(y[held]).tolist() == [20, 6, 3, 2, 1]
    assert sorted([*rows.tolist(), *held.tolist()]) == list(range(302))
    assert held.tolist()[:3] != [0, 1, 2]
    assert not torch.equal(held, hold_out_by_class(y, 0.1, 1, 2, 512)[1])
    assert len(hold_out_by_class(y, 0.1, 0, 2, 20)[1]) == pytest.approx(20, abs=4)


def test_a_prior_is_made_from_settings(model, waves):
    with pytest.raises(TwincodeError, match=r"from settings: twincode.prior\('masked'\)"):
        fit_prior("masked", model, waves)


def test_many_small_classes_hold_out_no_more_than_a_fifth():
    y = torch.arange(52).repeat(2)
    rows, held = hold_out_by_class(y, 0.1, 0, 2, 512)
    assert (len(rows), len(held)) == (83, 21)
    assert torch.bincount(y[held]).max() == 1
    assert len(hold_out_by_class(y, 0.4, 0, 2, 512)[1]) == 42


def test_more_codes_than_a_prior_can_hold_are_an_error(model, waves, monkeypatch):
    monkeypatch.setattr("twincode.train.prior_task.MOST_SHARES", 100)
    with pytest.raises(TwincodeError, match=r"a prior cannot hold .*; give the tokenizer fewer"):
        fit_prior(small("tree"), model, waves)


def test_a_prior_holds_out_and_is_told_the_classes_of_its_series():
    """Though they are unequal in number and stand sorted."""
    waves = make_waves(100)
    order = np.r_[np.flatnonzero(waves.y_train == 0), np.flatnonzero(waves.y_train == 1)[:20]]
    test = waves.X_test, [waves.classes[i] for i in waves.y_test]
    named = [waves.classes[i] for i in waves.y_train[order]]
    data = Dataset.from_arrays(waves.X_train[order], named, test)
    model = fit(tiny("pca-pq"), data)
    task = PriorTask(small("independent"), model, data)
    assert np.bincount(data.y_train[task.held]).tolist() == [5, 2]
    fitted = fit_prior(small("independent"), model, data)
    slow, fast = (
        np.abs(np.fft.rfft(fitted.sample(40, labels=name).series[:, 0])).mean(0) for name in "ab"
    )
    own = [np.abs(np.fft.rfft(data.X_train[data.y_train == i, 0])).mean(0) for i in range(2)]
    for drawn, i in ((slow, 0), (fast, 1)):
        assert np.square(drawn - own[i]).sum() < np.square(drawn - own[1 - i]).sum()


def test_labels_are_withheld_as_often_as_it_is_said(model, monkeypatch):
    waves = make_waves(600)
    task = PriorTask(small(label_dropout=0.2, held_out=0), model, waves)
    told, loss = [], task.prior.loss

    def heard(tokens, y, generator):
        told.append(y)
        return loss(tokens, y, generator)

    monkeypatch.setattr(task.prior, "loss", heard)
    task.begin_epoch(1)
    task.step(torch.arange(600), 0)
    withheld = (told[0] == task.prior.none).float().mean().item()
    assert withheld == pytest.approx(0.2, abs=0.05)
    rest = told[0] != task.prior.none
    assert torch.equal(told[0][rest], torch.from_numpy(waves.y_train)[rest])


@pytest.mark.parametrize("kind", ["independent", "masked"])
def test_a_class_of_test_alone_is_no_class_of_the_prior(kind, model, waves):
    names = np.array(["b", "c"])
    test = waves.X_test, [*names[waves.y_test][:-1], "a"]
    data = Dataset.from_arrays(waves.X_train, names[waves.y_train], test)
    assert data.classes == ("a", "b", "c")
    fitted = fit_prior(small(kind), model, data)
    assert fitted.prior.classes == ("b", "c")
    assert fitted.prior.counts == (20, 20)
    assert set(fitted.sample(20).labels) == {"b", "c"}
    with pytest.raises(TwincodeError, match="unknown class 'a'"):
        fitted.sample(2, labels="a")
    as_before = fit_prior(small(kind), model, waves)  # whose classes are called a and b
    assert same(state(fitted), state(as_before))


def test_held_out_series_judge_under_their_own_labels(model, monkeypatch):
    waves = make_waves(80)
    task, asked = PriorTask(small(), model, waves), []
    bits = task.prior.bits
    monkeypatch.setattr(
        task.prior, "bits", lambda tokens, y, **more: asked.append(y) or bits(tokens, y, **more)
    )
    task._held_out_bits(task.prior)
    assert asked[0].tolist() == waves.y_train[task.held].tolist()


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize(
    "changes", [{"weight_decay": 10.0}, {"precision": "bfloat16"}, {"label_dropout": 1.0}]
)
def test_what_is_set_for_a_step_changes_it(changes, model, waves):
    found = []
    for settings in (small(held_out=0), small(held_out=0, **changes)):
        task = PriorTask(settings, model, waves)
        assert task.tokens.dtype == torch.int16  # which is what is kept of a series
        task.begin_epoch(1)
        for step in range(3):  # after the first one all weights but the last have a gradient
            task.step(torch.arange(16), step)
        found.append(state_of(task.prior))
    assert not same(*found)


def test_few_series_hold_none_out(model):
    few = make_waves(30)
    assert len(PriorTask(small(), model, few).held) == 0
    assert len(PriorTask(small(), model, make_waves(40)).held) == 4
    assert len(PriorTask(small(held_out=0), model, make_waves(40)).held) == 0


def test_held_out_series_teach_nothing(model):
    waves = make_waves(80)
    held = PriorTask(small(), model, waves).held.numpy()
    other = waves.X_train.copy()
    other[held] = other[held][:, :, ::-1]
    changed = Dataset(
        "Waves", other, waves.X_test, waves.y_train, waves.y_test, waves.classes, "made"
    )
    found = []
    for data in (waves, changed):
        task = PriorTask(small(steps=5), model, data)
        task.best = None
        task.begin_epoch(1)
        task.step(torch.arange(10), 0)
        found.append(state_of(task.prior))
    assert same(*found)


def state_of(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(("kind", "epoch"), [("masked", 1), ("masked", 3), ("autoregressive", 2)])
def test_a_killed_prior_resumes_to_the_same_numbers(tmp_path, model, waves, kind, epoch):
    def kill(record):
        if record["event"] == "epoch" and record["epoch"] == epoch:
            raise Killed

    undisturbed = fit_prior(small(kind), model, waves, tmp_path / "a", None, ["test"])
    with pytest.raises(Killed):
        fit_prior(small(kind), model, waves, tmp_path / "b", kill, ["test"], 0.0)
    seen = []
    resumed = fit_prior(small(kind), model, waves, tmp_path / "b", seen.append, ["test"], 0.0)
    # The record of the epoch it was killed in came before its checkpoint.
    assert next(r["epoch"] for r in seen if r["event"] == "epoch") == epoch
    assert same(state(undisturbed), state(resumed))
    results = [json.loads((tmp_path / x / "result.json").read_text()) for x in "ab"]
    assert results[0]["evaluations"] == results[1]["evaluations"]
    assert not (tmp_path / "b" / "checkpoint.safetensors").exists()


@pytest.fixture(scope="module")
def banded(waves):
    return fit(tiny("bands", epochs=1, evaluations=0, band_widths=(4, 8)), waves)


def test_a_network_a_grid_is_resumed_kept_and_loaded(tmp_path, banded, waves):
    """Killed after the first step, when one of the two has not been taught yet, too."""

    def kill(record):
        if record["event"] == "epoch" and record["epoch"] == 2:
            raise Killed

    own = small(prior_per_grid=True, embedding_init="codebook", batch_size=40, held_out=0)
    folder = tmp_path / "model"
    banded.save(folder)
    undisturbed = fit_prior(own, banded, waves, tmp_path / "a", None, ["test"])
    with pytest.raises(Killed):
        fit_prior(own, banded, waves, folder / "prior", kill, ["test"], 0.0)
    resumed = fit_prior(own, banded, waves, folder / "prior", None, ["test"], 0.0)
    loaded = load_model(folder)
    assert loaded.prior.settings == own
    assert len(loaded.prior.prior.further) == 1
    for other in (resumed, loaded):
        assert same(state(undisturbed), state(other))
        for scheme in ("plain", "ess"):
            how = {"sampling_scheme": scheme, "decoding_steps": 3}
            assert np.array_equal(undisturbed.sample(3, **how)[0], other.sample(3, **how)[0])
    begun = state_of(PriorTask(own, banded, waves).prior)
    taught = [n for n, each in state(undisturbed).items() if not torch.equal(each, begun[n])]
    assert {name.partition(".")[0] for name in taught} == {"network", "further"}


def test_sampling_in_the_middle_of_training_changes_no_later_number(model, waves):
    found = []
    for curious in (False, True):
        task = PriorTask(small(), model, waves)
        task.begin_epoch(1)
        task.step(torch.arange(16), 0)
        if curious:
            model.with_prior(task.fitted).sample(3, guidance=2.0)
        task.step(torch.arange(16), 1)
        found.append(state_of(task.prior))
    assert same(*found)


def test_a_prior_stands_beside_the_tokenizer_of_its_codes_alone(model, waves):
    other = fit(tiny("vqvae", epochs=1, evaluations=0, seed=5), waves)
    fitted = fit_prior(small(), model, waves).prior
    with pytest.raises(TwincodeError, match="fitted to codes of another model; fit one to these"):
        other.with_prior(fitted)


def test_labels_have_to_be_withheld_now_and_then():
    with pytest.raises(TwincodeError, match="never learns what no label means"):
        small(label_dropout=0)
    assert not small(label_dropout=0, conditional=False).label_dropout


def test_the_best_state_is_kept(model, waves, tmp_path):
    fitted = fit_prior(
        small(steps=40, learning_rate=0.3, warmup_share=0, decay_share=0),
        model, waves, tmp_path,
    )  # fmt: skip
    history = json.loads((tmp_path / "result.json").read_text())["history"]
    told = [record["held_out"] for record in history if "held_out" in record]
    task = PriorTask(small(steps=40), model, waves)
    at_start, kept = task._held_out_bits(task.prior), task._held_out_bits(fitted.prior.prior)
    assert kept == pytest.approx(min(at_start, *told))
    assert kept < told[-1]  # so large a rate ends badly


@pytest.mark.parametrize("patience", [0, 2])
def test_a_plateau_lets_the_rate_fall_early(model, waves, tmp_path, patience):
    """With a rate so small that nothing is gained; 25 epochs, of which 20 are judged."""
    settings = small(steps=75, batch_size=16, learning_rate=1e-9, patience=patience)
    task = PriorTask(settings, model, waves)
    planned = task.schedule
    fit_prior(settings, model, waves, tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    told = [each["epoch"] for each in result["history"] if "held_out" in each]
    ends = told[1] + math.ceil(0.2 * planned.epochs) if patience else planned.epochs
    assert result["epochs"] == len(result["history"]) == ends == told[-1]
    assert [row["epoch"] for row in result["evaluations"]] == [ends] * 4
    # The rate falls over as many steps as it would have, and to the end of them.
    if patience:
        task.plateau.judge(99.0, told[0])
        task.plateau.judge(99.0, told[1])
    before, after = (
        [learning_rate_at(s, step) for step in range(s.steps)] for s in (planned, task.schedule)
    )
    falling = math.ceil(0.2 * planned.epochs) * planned.steps_per_epoch
    assert after[-falling:] == pytest.approx(before[-falling:])
    assert after[: told[1] * 3] == pytest.approx(before[: told[1] * 3])


def test_a_plateau_survives_a_kill(model, waves, tmp_path):
    settings = small(steps=60, batch_size=16, learning_rate=1e-9, patience=1)

    def kill(record):
        if record["event"] == "epoch" and record["epoch"] == 3:
            raise Killed

    fit_prior(settings, model, waves, tmp_path / "a", None, ["test"])
    with pytest.raises(Killed):
        fit_prior(settings, model, waves, tmp_path / "b", kill, ["test"], 0.0)
    fit_prior(settings, model, waves, tmp_path / "b", None, ["test"], 0.0)
    results = [json.loads((tmp_path / x / "result.json").read_text()) for x in "ab"]
    assert results[0]["epochs"] == results[1]["epochs"] < 20
    assert results[0]["evaluations"] == results[1]["evaluations"]


def test_a_gain_is_half_a_percent():
    plateau = Plateau(2, 0.005, 2.0)
    for epoch, error in enumerate((1.995, 1.98, 1.975, 1.972), start=1):
        assert plateau.since == 0
        plateau.judge(error, epoch)
    assert plateau.since == 4
    plateau.judge(1.0, 5)
    assert plateau.since == 4


def test_codes_are_drawn_anew_each_epoch_where_there_is_noise(model, waves, monkeypatch):
    found = {}
    for noise in (0.0, 1e-6, 1e3):
        task = PriorTask(small(code_noise=noise), model, waves)
        nearest, epochs = task.tokens.clone(), []
        for epoch in (1, 2):
            task.begin_epoch(epoch)
            epochs.append(task.tokens.clone())
            assert torch.equal(task.tokens[task.held], nearest[task.held])
        again = PriorTask(small(code_noise=noise), model, waves)
        again.begin_epoch(2)
        assert torch.equal(again.tokens, epochs[1])
        found[noise] = [(each != nearest).float().mean().item() for each in epochs]
        assert torch.equal(*epochs) == (noise < 1)
    assert found[0.0] == [0, 0]
    assert found[1e-6] == [0, 0]
    assert min(found[1e3]) > 0.5
    regions = fit(tiny("bands", epochs=0, evaluations=0, band_widths=(4, 4)), waves)
    for most in (1, 1 << 26):  # series after series, and all at once
        monkeypatch.setattr("twincode.train.prior_task.MOST_NUMBERS", most)
        task = PriorTask(small(code_noise=1e-6), regions, waves)
        nearest = task.tokens.clone()
        task.begin_epoch(1)
        assert torch.equal(task.tokens, nearest)
    with pytest.raises(TwincodeError, match="one codebook a token"):
        PriorTask(
            small(code_noise=1), fit(tiny("fsq-vqvae", epochs=0, evaluations=0), waves), waves
        )


def test_embeddings_begin_as_the_vectors_of_codes(waves):
    model = fit(tiny("bands", epochs=0, evaluations=0, band_widths=(4, 4)), waves)
    books = model.tokenizer.quantizer.codebooks()
    for width, exact in ((8, True), (12, False)):
        task = PriorTask(small(embedding_init="codebook", model_width=width), model, waves)
        own = task.prior.network.codes.weight[:-1].detach()
        assert len(own) == sum(map(len, books))
        for mine, book in zip(own.split([len(b) for b in books]), books, strict=True):
            assert mine.std(correction=0).item() == pytest.approx(1, rel=1e-4)
            # Distances between codes are what they were, but for one factor.
            ratio = (torch.pdist(mine) / torch.pdist(book)).tolist()
            assert ratio == pytest.approx([ratio[0]] * len(ratio), rel=1e-3)
            if exact:
                centred = book - book.mean(0)
                assert torch.allclose(mine, centred / centred.std(correction=0), atol=1e-5)
    other = fit(tiny("fsq-vqvae", epochs=0, evaluations=0), waves)
    with pytest.raises(TwincodeError, match="leave embedding_init at random"):
        PriorTask(small(embedding_init="codebook"), other, waves)


def test_a_finished_prior_is_loaded_not_repeated(saved, waves):
    model, seen = load_model(saved), []
    again = fit_prior(small(), model, waves, saved / "prior", seen.append)
    assert seen == []
    assert same(state(model), state(again))
    with pytest.raises(TwincodeError, match=r"another run \(it differs in steps\)"):
        fit_prior(small(steps=13), model, waves, saved / "prior")


def test_a_model_comes_back_with_its_prior(saved, waves):
    model = load_model(saved)
    fitted = fit_prior(small(), model, waves)
    assert same(state(model), state(fitted))
    assert model.prior.classes == ("a", "b")
    assert model.prior.counts == (20, 20)
    assert model.prior.settings == small()
    assert model.prior.variance == pytest.approx(fitted.prior.variance)
    assert np.array_equal(model.sample(3).series, fitted.sample(3).series)


def test_a_kept_prior_does_not_depend_on_how_places_are_told_now(saved, monkeypatch):
    before = load_model(saved).sample(3).series
    monkeypatch.setattr("twincode.priors.network.sinusoid", lambda at, d, _: torch.ones(len(at), d))
    assert np.array_equal(load_model(saved).sample(3).series, before)


def test_a_prior_beside_another_tokenizer_is_refused(copy, waves, tmp_path):
    other = fit(tiny("vqvae", epochs=1, evaluations=0, seed=1), waves)
    with pytest.raises(TwincodeError, match="belongs to another tokenizer"):
        other.save(copy)
    same_one = load_model(copy)  # nothing was written
    load_bare_model(copy).save(copy)
    assert same(state(load_model(copy)), state(same_one))
    other.save(tmp_path / "other")
    shutil.copytree(copy / "prior", tmp_path / "other" / "prior")
    with pytest.raises(TwincodeError, match="belongs to another tokenizer"):
        load_model(tmp_path / "other")


def test_a_damaged_prior_is_an_error_of_one_line(copy):
    tensors = copy / "prior" / "prior.safetensors"
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:-8] + bytes(byte ^ 1 for byte in whole[-8:]))
    with pytest.raises(TwincodeError, match="corrupt or belongs to another"):
        load_model(copy)
    tensors.write_bytes(whole)
    description = copy / "prior" / "prior.json"
    told = json.loads(description.read_text())
    for change, message in (
        ({"format": 9}, "not a prior this version"),
        ({"grids": {"height": 3}}, "is damaged"),
        ({"settings": {"name": "other"}}, "is damaged"),
        ({"counts": [1]}, "is damaged"),
    ):
        description.write_text(json.dumps({**told, **change}))
        with pytest.raises(TwincodeError, match=message):
            load_model(copy)


@pytest.mark.parametrize("kind", ["masked", "autoregressive"])
def test_a_prior_of_format_1_had_one_bias_for_all_classes(kind, waves, tmp_path):
    model = fit(tiny("vqvae2", epochs=1, evaluations=0), waves)
    per_grid = {"prior_per_grid": True} if kind == "masked" else {}
    settings = small(kind, steps=2, **per_grid)
    fitted = fit_prior(settings, model, waves).prior
    with torch.no_grad():
        biases = [
            p
            for name, p in fitted.prior.named_parameters()
            if name.endswith(".bias") and p.ndim == 3
        ]
        for bias in biases:
            bias.copy_(bias[:1].expand_as(bias))
    fitted.save(tmp_path)
    tensors = read_tensors(tmp_path / "prior.safetensors")
    tensors = {name: each[0].clone() if each.ndim == 3 else each for name, each in tensors.items()}
    write_tensors(tmp_path / "prior.safetensors", tensors)
    told = json.loads((tmp_path / "prior.json").read_text())
    told |= {"format": 1, "tensors_sha256": file_hash(tmp_path / "prior.safetensors")}
    (tmp_path / "prior.json").write_text(json.dumps(told))
    again = load_prior(tmp_path, model.tokenizer)
    assert len(biases) == (2 if per_grid else 1)
    for name, parameter in again.prior.state_dict().items():
        assert torch.equal(parameter, fitted.prior.state_dict()[name])


def test_a_prior_of_another_name_is_asked_for(copy):
    (copy / "prior").rename(copy / "second")
    assert load_model(copy).prior is None
    assert load_model(copy, prior="second").prior is not None
    with pytest.raises(TwincodeError, match="no prior called 'third'"):
        load_model(copy, prior="third")


def test_a_continuous_model_has_no_prior(waves):
    for name in ("raw-series", "vae"):
        model = fit(untrained(name), waves)
        with pytest.raises(TwincodeError, match="a continuous model has no codes"):
            fit_prior(small(), model, waves)


def test_without_labels_there_are_no_classes(model, waves):
    for data, settings in ((waves.X_train, small()), (waves, small(conditional=False))):
        fitted = fit_prior(settings, model, data)
        assert fitted.prior.classes == ()
        series, labels = fitted.sample(2)
        assert series.shape == (2, 1, 33)
        assert labels is None
        for name in ("train", "a"):
            with pytest.raises(TwincodeError, match="this prior knows no labels"):
                fitted.sample(2, labels=name)


def test_bits_of_test_codes_are_told_at_the_end(saved):
    result = json.loads((saved / "prior" / "result.json").read_text())
    assert [(row["epoch"], row["metric"]) for row in result["evaluations"]] == [
        (4, f"{part}_bits_per_token{error}")
        for part in ("held_out", "test")
        for error in ("", "_error")
    ]
    assert result["title"] == "masked"


def test_the_public_names_make_a_prior():
    assert twincode.prior("independent").name == "independent"
    assert twincode.fit_prior is fit_prior


@pytest.mark.parametrize("name", ["none", "train"])
def test_a_class_that_is_called_like_a_keyword_is_refused(model, waves, name):
    labels = np.where(waves.y_train == 0, name, "other")
    data = Dataset.from_arrays(waves.X_train, labels)
    with pytest.raises(TwincodeError, match=f"a class is called '{name}'.*conditional=false"):
        PriorTask(small(), model, data)
    assert PriorTask(small(conditional=False), model, data).classes == ()
