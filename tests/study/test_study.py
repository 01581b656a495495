import json
from collections import Counter

import pytest
from conftest import write_waves
from hypothesis import given
from hypothesis import strategies as st

from twincode.data import load_dataset
from twincode.errors import TwincodeError
from twincode.recipes import label, recipe
from twincode.study import Study, run_study
from twincode.study import runner as runner_module
from twincode.train import fit

SETTINGS = {
    "latent_channels": 4,
    "residual_blocks": 1,
    "codebook_size": 6,
    "projector_width": 8,
    "batch_size": 16,
    "kmeans_fits": 1,
    "evaluations": 1,
    "epochs": 1,
}


def planned(**changes):
    return Study(**{"datasets": ("Waves",), **changes}).configs()


def names(configs):
    return [(config.recipe, config.objective.gamma, config.training.seed) for config in configs]


def test_the_plan_goes_seed_by_seed_and_controls_come_first():
    assert names(planned(gammas=(1, 2), seeds=2)) == [
        ("raw-series", 0, 0),
        ("random-encoder", 0, 0),
        ("vqvae", 0, 0),
        ("vqvae-augmented", 0, 0),
        ("bt-vqvae", 1, 0),
        ("bt-vqvae", 2, 0),
        ("random-encoder", 0, 1),
        ("vqvae", 0, 1),
        ("vqvae-augmented", 0, 1),
        ("bt-vqvae", 1, 1),
        ("bt-vqvae", 2, 1),
    ]


@given(
    recipes=st.lists(
        st.sampled_from(["vqvae", "bt-vqvae", "thesis-bt-vqvae", "random-encoder", "raw-series"]),
        min_size=1,
    ),
    gammas=st.lists(st.sampled_from([0, 0.5, 1.0, 2.0]), min_size=1),
    seeds=st.integers(1, 3),
    epochs=st.integers(0, 3),
)
def test_every_plan_has_its_controls_and_no_run_twice(recipes, gammas, seeds, epochs):
    configs = planned(
        recipes=tuple(recipes), gammas=tuple(gammas), seeds=seeds, settings={"epochs": epochs}
    )
    found = Counter(config.recipe for config in configs)
    assert found["raw-series"] == 1
    assert found["random-encoder"] == seeds
    assert len({config.digest() for config in configs}) == len(configs)
    for twin in (config for config in configs if config.objective.gamma):
        alone = twin.replace(gamma=0, upper_input="view")
        assert alone.digest() in {config.digest() for config in configs}
    for config in configs:
        if config.recipe in ("raw-series", "random-encoder"):
            assert config.training.epochs == 0


def test_settings_reach_every_run():
    for config in planned(settings={"n_fft": "16", "svm_c": 2, "learning_rate": 0.01}):
        assert config.tokenizer.n_fft == 16
        assert config.evaluation.svm_c == 2
        assert config.training.learning_rate == 0.01


def test_no_setting_undoes_a_control():
    settings = {
        "epochs": 7,
        "readouts": "mean",
        "tokenizer": "vqvae",
        "quantizer": "vq",
        "latent_channels": 4,
    }
    recipes = ("random-encoder", "raw-series", "vqvae")
    raw, random, model = planned(recipes=recipes, settings=settings, seeds=1)
    assert raw == recipe("raw-series", latent_channels=4)
    assert random == recipe("random-encoder", readouts="mean", latent_channels=4)
    assert model == recipe("vqvae", **settings)


def test_gammas_go_to_twin_losses_alone():
    for config in planned(gammas=(3, 4)):
        assert config.objective.gamma in ((3, 4) if config.recipe == "bt-vqvae" else (0,))


def test_gamma_zero_is_the_augmented_model():
    recipes = ("vqvae-augmented", "bt-vqvae", "moco-vqvae")
    labels = [label(c) for c in planned(recipes=recipes, gammas=(0, 1, 1.0), seeds=1)]
    assert labels == [
        "Raw series", "Random encoder", "VQ-VAE, augmented", "BT-VQVAE γ=1", "MoCo-VQVAE γ=1",
    ]  # fmt: skip


def test_a_twin_loss_alone_runs_once_beside_augmentation_alone():
    recipes = ("moco-vqvae", "moco", "vicreg")
    assert names(planned(recipes=recipes, gammas=(1, 2), seeds=1)) == [
        ("raw-series", 0, 0),
        ("random-encoder", 0, 0),
        ("vqvae-augmented", 0, 0),
        ("moco-vqvae", 1, 0),
        ("moco-vqvae", 2, 0),
        ("moco", 1, 0),
        ("vicreg", 1, 0),
    ]
    settings = {"latent_channels": 4, "projector_width": 8}
    for name in ("moco-vqvae", "moco", "bt-vqvae"):
        _, _, control, *_ = planned(recipes=(name,), settings=settings, seeds=1)
        assert control == recipe("vqvae-augmented", **settings)


def test_models_without_a_twin_loss_need_no_gammas():
    assert len(planned(recipes=("vqvae",), gammas=(), seeds=1)) == 3
    with pytest.raises(TwincodeError, match="bt-vqvae needs at least one gamma"):
        planned(gammas=())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": ()}, "at least one of datasets"),
        ({"recipes": ()}, "at least one of recipes"),
        ({"seeds": 0}, "at least 1 seed, not 0"),
        ({"gammas": (1, -0.5)}, "gammas must be numbers from 0 up, not -0.5"),
        ({"gammas": (float("nan"),)}, "gammas must be"),
        ({"gammas": (float("inf"),)}, "gammas must be"),
        ({"recipes": ("bt-vqva",)}, "did you mean 'bt-vqvae'"),
        ({"settings": {"epoch": 3}}, "did you mean 'epochs'"),
        ({"settings": {"epochs": "many"}}, "epochs must be"),
        ({"settings": {"gamma": 1}}, "varies gamma itself; use gammas"),
        ({"settings": {"seed": 1}}, "varies seed itself; use seeds"),
    ],
)
def test_plans_that_make_no_sense_are_errors(changes, message):
    with pytest.raises(TwincodeError, match=message):
        planned(**changes)


@pytest.fixture(scope="module")
def study(waves_file):
    return Study((str(waves_file),), ("vqvae", "bt-vqvae"), (1.0,), 1, SETTINGS)


def grown(study, **changes):
    return Study(**{**vars(study), **changes})


@pytest.fixture
def folder(study, tmp_path):
    assert run_study(study, tmp_path / "s", device="cpu").trained == 5
    return tmp_path / "s"


def results(folder):
    return {path.parent.name: path.read_bytes() for path in folder.glob("runs/*/result.json")}


def test_every_run_keeps_its_result_and_the_study_says_what_it_is(study, waves_file, tmp_path):
    planned, seen = [], []
    outcome = run_study(
        study,
        str(tmp_path / "s"),
        device="cpu",
        watch=lambda run, record: seen.append((run.title, record["event"])),
        announce=planned.extend,
        command=["a", "command"],
    )
    assert (outcome.trained, outcome.present, outcome.failed) == (5, 0, {})
    assert json.loads((tmp_path / "s" / "study.json").read_text()) == {
        "name": "s",
        "command": ["a", "command"],
        "datasets": ["Waves"],
        "seeds": [0],
        "epochs": 1,
        "runs": [run.folder.name for run in planned],
    }
    assert [run.title for run in planned] == [
        "Waves  Raw series  seed 0",
        "Waves  Random encoder  seed 0",
        "Waves  VQ-VAE  seed 0",
        "Waves  VQ-VAE, augmented  seed 0",
        "Waves  BT-VQVAE γ=1  seed 0",
    ]
    assert all(run.done for run in planned)
    for run in planned:
        epochs = ["epoch"] * run.config.training.epochs
        events = [event for title, event in seen if title == run.title]
        assert events == ["start", *epochs, "evaluation", "end"]
        result = json.loads((run.folder / "result.json").read_text())
        assert result["run"] == run.folder.name
        assert result["config"] == run.config.to_dict()
        assert result["command"] == ["a", "command"]
        assert result["dataset"]["checksum"] == load_dataset(waves_file).checksum


def test_a_run_of_a_study_is_the_run_alone(folder, waves_file, tmp_path):
    config = recipe("bt-vqvae", **SETTINGS)
    fit(config, load_dataset(waves_file), tmp_path / "alone", "cpu")
    alone = json.loads((tmp_path / "alone" / "result.json").read_text())
    among = json.loads(results(folder)[alone["run"]])
    assert alone["evaluations"] == among["evaluations"]


def test_nothing_is_run_twice(study, folder, monkeypatch):
    before = results(folder)
    monkeypatch.setattr(runner_module, "fit", lambda *_: pytest.fail("a run was repeated"))
    seen = []
    outcome = run_study(study, folder, device="cpu", watch=lambda *record: seen.append(record))
    assert (outcome.trained, outcome.present) == (0, 5)
    assert seen == []
    assert results(folder) == before


def test_a_study_grows_with_seeds_gammas_and_data(study, folder, tmp_path):
    before = results(folder)
    other = str(write_waves(tmp_path / "data" / "Other.npz", seed=1))
    for changes, new, runs in [
        ({"seeds": 2}, 4, 9),
        ({"seeds": 2, "gammas": (1.0, 2.0)}, 2, 11),
        ({"datasets": (*study.datasets, other)}, 5, 10),
    ]:
        outcome = run_study(grown(study, **changes), folder, device="cpu")
        assert (outcome.trained, outcome.present) == (new, runs - new)
        assert len(json.loads((folder / "study.json").read_text())["runs"]) == runs
    after = results(folder)
    assert len(after) == 5 + 4 + 2 + 5
    assert {name: after[name] for name in before} == before


def test_gamma_and_seed_matter(study, tmp_path):
    """A sweep must not write one name while the model reads another."""
    plan = grown(study, gammas=(0.5, 2.0), seeds=2, recipes=("bt-vqvae",))
    run_study(plan, tmp_path, device="cpu")
    runs = [json.loads(content) for content in results(tmp_path).values()]
    twins = [run for run in runs if run["gamma"]]
    losses = [run["history"][0]["losses"]["total"] for run in twins]
    assert len(set(losses)) == 4


@pytest.mark.parametrize(
    "error",
    [TwincodeError("it broke"), RuntimeError("it broke\non the way"), MemoryError("it broke")],
)
def test_a_failing_run_stops_no_other(study, tmp_path, monkeypatch, error):
    def flaky(config, *others):
        if config.recipe == "vqvae":
            raise error
        return fit(config, *others)

    monkeypatch.setattr(runner_module, "fit", flaky)
    outcome = run_study(study, tmp_path, device="cpu")
    assert outcome.trained == 4
    assert outcome.failed == {"Waves  VQ-VAE  seed 0": "it broke"}
    monkeypatch.undo()
    assert run_study(study, tmp_path, device="cpu").trained == 1


def test_an_interrupted_study_goes_on(study, tmp_path, monkeypatch):
    def interrupted(config, *others):
        if config.recipe == "vqvae":
            raise KeyboardInterrupt
        return fit(config, *others)

    monkeypatch.setattr(runner_module, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_study(study, tmp_path, device="cpu")
    monkeypatch.undo()
    outcome = run_study(study, tmp_path, device="cpu")
    assert (outcome.trained, outcome.present) == (3, 2)


def test_a_data_set_given_twice_counts_once(study, folder):
    plan = grown(study, datasets=study.datasets * 2)
    assert run_study(plan, folder, device="cpu").present == 5
    assert len(json.loads((folder / "study.json").read_text())["runs"]) == 5


def test_two_data_sets_of_one_name_are_an_error(study, tmp_path):
    other = str(write_waves(tmp_path / "data" / "Waves.npz", seed=1))
    with pytest.raises(TwincodeError, match="two different data sets are called Waves"):
        run_study(grown(study, datasets=(*study.datasets, other)), tmp_path / "s")


@pytest.mark.parametrize(
    ("changes", "device", "message"),
    [
        ({}, "tpu9", "device 'tpu9' is not available"),
        ({"datasets": ("GunPiont",)}, "cpu", "unknown data set 'GunPiont'"),
        ({"recipes": ("vqvea",)}, "cpu", "unknown recipe"),
    ],
)
def test_a_study_that_cannot_start_leaves_nothing(study, tmp_path, changes, device, message):
    with pytest.raises(TwincodeError, match=message):
        run_study(grown(study, **changes), tmp_path / "s", device=device)
    assert not (tmp_path / "s").exists()


def test_a_folder_that_cannot_be_is_an_error(study, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TwincodeError, match="a file stands where a folder is needed"):
        run_study(study, tmp_path / "file" / "s")
