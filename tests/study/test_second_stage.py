"""Priors in a study: trained on the codes of each model, judged, and kept beside its run."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from conftest import tiny

from twincode.data import Columns, Policy
from twincode.errors import TwincodeError
from twincode.model import load_model
from twincode.study import Priors, Study, read_status, run_study
from twincode.study.board import DONE, PLANNED, Row
from twincode.study.events import look, read_events
from twincode.study.runs import plan_runs
from twincode.study.study_file import read_study_file
from twincode.study.work import Work

SMALL = {
    "latent_channels": 4, "residual_blocks": 1, "codebook_size": 6, "batch_size": 16,
    "kmeans_fits": 1, "evaluations": 0, "epochs": 1,
}  # fmt: skip
PRIORS = Priors(
    ("masked", "autoregressive"),
    {"steps": 12, "batch_size": 16, "model_width": 8, "layers": 1, "loss_on": "all"},
    {"sure": {}, "any": {"sampling_order": "random"}},
    {"extractor_seeds": 1, "extractor_steps": 2, "samples": 12},
)
ROWS = [
    *("train", "copies", "reconstruction", "independent"),
    *("masked, sure", "masked, sure, no labels", "masked, any", "masked, any, no labels"),
    *("autoregressive", "autoregressive, no labels"),
]


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr("twincode.nets.fcn.WIDTHS", (4, 4, 4))


@pytest.fixture(scope="module")
def study(waves_file):
    return Study((str(waves_file),), ("vqvae",), seeds=1, settings=SMALL, priors=PRIORS)


def planned(study, place):
    return plan_runs(study, place, None, Policy(), Columns())


def only(study, place):
    """The one run of a study that has priors."""
    (run,) = (run for run in planned(study, place) if run.second_stage is not None)
    return run


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twincode.nets.fcn.WIDTHS", (4, 4, 4))
        run = only(study, tmp_path_factory.mktemp("study"))
        assert Work("cpu", ["test"])(run) is None
    return run


def judged(run):
    found = json.loads((run.folder / run.result).read_text())
    return {(each["row"], each["metric"]): each["value"] for each in found["scores"]}


def test_every_prior_is_trained_and_judged_beside_the_controls(done):
    scores = judged(done)
    assert list(dict.fromkeys(row for row, metric in scores if metric == "fid")) == ROWS
    assert (
        scores["masked, sure", "bits_per_dimension"] == scores["masked, any", "bits_per_dimension"]
    )
    assert scores["masked, sure", "fid"] != scores["masked, any", "fid"]
    priors = sorted(path.name.split("-")[0] for path in (done.folder / "priors").iterdir())
    assert priors == ["autoregressive", "masked"]
    for place in (done.folder / "priors").iterdir():
        model = load_model(done.folder, prior=f"priors/{place.name}")
        assert model.prior.settings.steps == 12
        assert len(model.sample(2).series) == 2


def test_what_a_page_shows_is_kept(done):
    with np.load((done.folder / done.result).with_name("exhibits.npz")) as kept:
        arrays = dict(kept)
    shown = ["test", "reconstruction", "masked, sure", "masked, any", "autoregressive"]
    assert list(dict.fromkeys(arrays["gallery_rows"].tolist())) == shown
    assert set(arrays["gallery_labels"].tolist()) == {0, 1}
    assert arrays["gallery_series"].shape[1:] == (1, 33)
    assert arrays["decoding_hidden"].shape == arrays["decoding_codes"].shape
    assert not arrays["decoding_hidden"][-1].any()
    shares = arrays["decoding_hidden"].mean((1, 2))
    assert (np.diff(shares) <= 0).all()
    assert 0 < shares[0] < 1
    assert len(arrays["decoding_series"]) == len(arrays["decoding_steps"]) == len(shares)
    assert arrays["nearest_samples"].shape == arrays["nearest_train"].shape


def test_what_a_page_shows_is_what_it_says(done):
    """Series of the gallery are of their class, and what is nearest to samples is of train."""
    with np.load((done.folder / done.result).with_name("exhibits.npz")) as kept:
        arrays = dict(kept)
    data, model = done.data.load(), load_model(done.folder)
    test, decoded = (model.scaling.apply(x) for x in (data.X_test, model.reconstruct(data.X_train)))
    rows, labels = arrays["gallery_rows"], arrays["gallery_labels"]
    for label in (0, 1):
        shown = arrays["gallery_series"][(rows == "test") & (labels == label)]
        assert len(shown) == 4
        assert np.allclose(shown, test[data.y_test == label][:4], atol=1e-5)
    for sample, nearest in zip(arrays["nearest_samples"], arrays["nearest_train"], strict=True):
        apart = np.abs(decoded - sample).reshape(len(decoded), -1)
        best = decoded[np.square(apart).sum(1).argmin()]
        assert np.allclose(nearest, best, atol=1e-5)


def test_a_run_with_priors_is_done_when_they_are_judged(study, done, tmp_path):
    bare = dataclasses.replace(study, priors=None)
    run = next(each for each in planned(bare, tmp_path) if each.name == done.name)
    assert run.result == "result.json"
    rows = [Row(done.name, "", 1, 1, result=result) for result in (run.result, done.result)]
    other = dataclasses.replace(PRIORS, samplers={})
    result = only(dataclasses.replace(study, priors=other), tmp_path).result
    rows.append(Row(done.name, "", 1, 1, result=result))
    for row in rows:
        look(done.folder, row)
    assert [row.state for row in rows] == [DONE, DONE, PLANNED]


def test_a_run_whose_own_result_was_deleted_is_not_done(done, tmp_path):
    folder = shutil.copytree(done.folder, tmp_path / done.name)
    row = Row(done.name, "", 1, 1, result=done.result)
    (folder / "result.json").unlink()
    look(folder, row)
    assert row.state == PLANNED


def test_killed_in_a_prior_it_ends_with_the_same_numbers(study, done, tmp_path):
    seen, at = [], 2

    def kill(record):
        seen.append(record)
        began = [each for each in seen if each["event"] == "start"]
        if len(began) == 2 and record.get("epoch") == at:
            raise Killed

    run = only(study, tmp_path)
    with pytest.raises(Killed):
        Work("cpu", ["test"], 0.0)(run, kill)
    assert not (run.folder / run.result).exists()
    again = []
    assert Work("cpu", ["test"], 0.0)(run, again.append) is None
    # The tokenizer is not trained again, the prior goes on where it was.
    assert next(each["epoch"] for each in again if each["event"] == "epoch") == at
    assert judged(run) == judged(done)


def test_extractors_are_made_once_a_data_set(done, monkeypatch):
    def refuse(*_):
        pytest.fail("it was trained again")

    monkeypatch.setattr("twincode.evaluate.generation.extractor.train_classifier", refuse)
    before = judged(done)
    result = done.folder / done.result
    result.unlink()
    assert Work("cpu", ["test"])(done) is None
    assert judged(done) == before


def test_finished_runs_gain_priors_and_without_them_nothing_is_said(study, tmp_path):
    bare = dataclasses.replace(study, priors=None)
    assert run_study(bare, tmp_path, device="cpu").failed == {}
    began = next(iter(read_events(tmp_path)))
    assert all("result" not in row for row in began["runs"])
    assert "second_stages" not in json.loads((tmp_path / "study.json").read_text())
    before = {path: path.read_bytes() for path in tmp_path.glob("runs/*/result.json")}
    outcome = run_study(study, tmp_path, device="cpu")
    assert (outcome.trained, outcome.present) == (1, len(before) - 1)
    assert {path: path.read_bytes() for path in before} == before
    assert run_study(study, tmp_path, device="cpu").trained == 0
    assert all(row.state == DONE for row in read_status(tmp_path).rows.values())
    told = json.loads((tmp_path / "study.json").read_text())["second_stages"]
    run = only(study, tmp_path)
    assert told == {run.name: run.second_stage.name}


def test_what_cannot_be_judged_is_told_before_anything_is_trained(study, tmp_path):
    np.save(tmp_path / "alone.npy", np.random.default_rng(0).normal(size=(5, 1, 24)))
    alone = dataclasses.replace(study, datasets=(str(tmp_path / "alone.npy"),))
    run = only(alone, tmp_path / "out")
    assert "at least two series of train and of test" in Work()(run)
    assert not run.folder.exists()


def test_controls_and_models_without_codes_have_no_priors(study):
    plan = dataclasses.replace(
        study, recipes=("vqvae", "vae", "barlow-twins", "mixture", "raw-series")
    )
    plan = dataclasses.replace(plan, settings={"evaluations": 1})
    stages = {config.recipe: plan.second_stage(config) for config in plan.configs()}
    assert {name for name, stage in stages.items() if stage} == {
        *("vqvae", "mixture", "vqvae-augmented")
    }
    seeds = {plan.second_stage(tiny("vqvae", seed=seed)).priors[0].seed for seed in (0, 1)}
    assert seeds == {0, 1}


FILE = """
datasets = ["GunPoint"]
recipes = ["vqvae", "bands"]

[priors]
kinds = ["masked", "autoregressive"]

[priors.settings]
steps = 7
token-order = "frequency"

[priors.samplers.random]
sampling_order = "random"

[priors.samplers.enhanced]
sampling-scheme = "ess"

[priors.judging]
cas = true

[priors.recipe.bands]
kinds = ["masked"]
settings = { loss_on = "all" }
samplers.published = { choice_temperature = 4 }
"""


def read(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return Study(**read_study_file(path))


def test_a_file_describes_priors(tmp_path):
    study = read(tmp_path, FILE)
    plain, own = (study.priors.of(name, 3) for name in ("vqvae", "bands"))
    assert [each.name for each in plain.priors] == ["masked", "autoregressive"]
    assert {each.steps for each in (*plain.priors, *own.priors)} == {7}
    assert {each.seed for each in (*plain.priors, *own.priors)} == {3}
    assert plain.priors[1].token_order == "frequency"
    assert (plain.priors[0].loss_on, own.priors[0].loss_on) == ("masked", "all")
    assert plain.samplers[1] == ("enhanced", (("sampling_scheme", "ess"),))
    assert [len(plain._ways(each)) for each in plain.priors] == [2, 1]
    assert own.samplers == (("published", (("choice_temperature", 4),)),)
    assert plain.judging == own.judging
    assert plain.judging.cas
    assert study.priors.only(["vqvae"]).recipes == {}


def test_a_published_prior_is_the_same_whether_named_or_spelt_out(tmp_path):
    spelt = """
mask_schedule = "kept_cosine"
share_per = "batch"
loss_on = "all"
prior_per_grid = true
code_noise = 1
embedding_init = "codebook"
"""
    head = FILE[: FILE.index("[priors]")]

    def stage(kind, settings=""):
        priors = f'[priors]\nkinds = ["{kind}"]\n[priors.settings]\nsteps = 7\n{settings}'
        return read(tmp_path, head + priors).priors.of("bands", 3)

    assert stage("timevqvae") == stage("masked", spelt) != stage("masked")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"autoregressive"]', '"autoregresive"]', "did you mean 'autoregressive'"),
        ("steps = 7", "stepz = 7", "unknown setting of these priors 'stepz'; did you mean 'steps'"),
        ("steps = 7", "steps = 0", "steps must be at least 1"),
        ("steps = 7", "seed = 7", "a study varies seed itself"),
        ('"random"\n', '"rando"\n', "did you mean 'random'"),
        ('"ess"', '"es"', "unknown sampling_scheme 'es'; did you mean 'ess'"),
        ("choice_temperature", "choice_tempertur", "did you mean 'choice_temperature'"),
        ("cas = true", "case = true", "did you mean 'cas'"),
        ("priors.recipe.bands", "priors.recipe.band", "recipe with priors of its own 'band'"),
        ("priors.samplers", "priors.sampler", "entry of .priors. in .*; did you mean 'samplers'"),
        ('kinds = ["masked"]', "kinds = []", "priors need at least one of kinds"),
        ('"autoregressive"]', '"timevqvae"]', "masked, timevqvae two are one prior"),
        ('kinds = ["masked"]', "judging = {}", "entry of .priors.recipe.bands. in"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, before, after, message):
    assert before in FILE
    with pytest.raises(TwincodeError, match=message):
        read(tmp_path, FILE.replace(before, after))


def test_options_leave_out_the_priors_of_recipes_that_they_leave_out(twincode, tmp_path):
    (tmp_path / "study.toml").write_text(FILE.replace('"GunPoint"', '"Nowhere"'))
    answer = twincode("study", "run", tmp_path / "study.toml", "--recipes", "vqvae")
    assert "Nowhere" in answer.err
