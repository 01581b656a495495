import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from twincode.augment import AUGMENTATIONS
from twincode.cli.app import app
from twincode.config import VERSION, Config, TrainingSettings, groups, setting_names, unread
from twincode.errors import TwincodeError
from twincode.evaluate.generation import GenerationSettings
from twincode.generate import Filling
from twincode.losses import TWIN_LOSSES
from twincode.priors import PRIORS
from twincode.quantize import QUANTIZERS, Identity
from twincode.recipes import CLOSED_FORMS, RECIPES, recipe, title
from twincode.settings import Settings, field_types
from twincode.tokenizers import TOKENIZERS
from twincode.upgrade import upgrade_result

LOSSES = "barlow_twins, vicreg, vibcreg, simclr, moco, byol"

ROOT = Path(__file__).parents[1]


def test_no_option_of_a_command_hides_a_setting():
    """Of those that take settings as options too."""
    commands = {
        **get_command(app).commands,
        "run": get_command(app).commands["study"].commands["run"],
    }
    of_priors = set().union(*(field_types(type(PRIORS.choose(name))) for name in PRIORS))
    drawing = set().union(*(field_types(PRIORS.choose(name).sampling) for name in PRIORS))
    taken = {
        "train": set(setting_names()),
        "run": set(setting_names()),
        "prior": of_priors,
        "sample": drawing,
        "impute": drawing | set(field_types(Filling)),
        "evaluate": drawing | set(field_types(GenerationSettings)),
    }
    taking = {
        name for name, each in commands.items() if each.context_settings.get("allow_extra_args")
    }
    assert taking - {"study"} == set(taken)
    for name, settings in taken.items():
        options = {option.name for option in commands[name].params}
        assert not options & settings, name


def test_no_setting_is_ever_ambiguous():
    """Parts of one kind are not chosen together, unless they stand in a list."""
    listed = AUGMENTATIONS.kind
    kinds = [(title if title.startswith(listed) else title.split()[0], s) for title, s in groups()]
    owners = {}
    for kind, settings in kinds:
        for name in settings:
            owners.setdefault(name, set()).add(kind)
    assert {name: kinds for name, kinds in owners.items() if len(kinds) > 1} == {}


def test_configurations_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe("vqvae").training.epochs = 3


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_survives_json_and_its_own_name(name):
    config = recipe(name)
    assert config.recipe == name
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert dataclasses.replace(config, recipe="another").digest() == config.digest()


def holds(written, kept):
    """Whether all that was kept is written again, beside settings that came later."""
    if isinstance(kept, dict):
        return all(name in written and holds(written[name], kept[name]) for name in kept)
    if isinstance(kept, list):
        return len(written) == len(kept) and all(map(holds, written, kept))
    return bool(written == kept)


def test_every_kept_configuration_is_read_and_written_alike():
    kept = [
        upgrade_result(json.loads(line))["config"]
        for path in (
            *(ROOT / "results").glob("*/runs.jsonl"),
            *(ROOT / "results").glob("*/runs/*/result.json"),
            ROOT / "tests" / "report" / "format_one" / "runs.jsonl",
        )
        for line in path.read_text().splitlines()
    ]
    assert kept
    for config in kept:
        written = Config.from_dict(config).to_dict()
        assert holds(written, config)
        assert Config.from_dict(written) == Config.from_dict(config)
        if "version" in config["training"]:
            continue
        # What it had no setting for was done as it was done then.
        assert written["training"]["decay_share"] == 1
        assert (config["quantizer"] or {}).get("codebook_size", 0) == 0 or (
            written["quantizer"]["continuous_share"] == 0
        )


def test_text_values_are_converted():
    config = recipe("bt-vqvae", gamma="0.5", epochs="7", augmentations="flip", readouts="mean")
    assert config.gamma == 0.5
    assert config.training.epochs == 7
    assert config.evaluation.readouts == ("mean",)
    assert [part.name for part in config.augmentations] == ["flip"]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("bt-vqva", {}, "unknown recipe 'bt-vqva'; did you mean 'bt-vqvae'"),
        ("vqvae", {"codebok_size": 1}, "unknown setting 'codebok_size'; did you mean 'codebook"),
        ("vqvae", {"quantizer": "vqq"}, "unknown quantizer 'vqq'; did you mean 'vq'"),
        ("vqvae", {"tokenizer": None}, "unknown tokenizer 'None'"),
        ("vqvae", {"twin_loss": "byo"}, "unknown twin loss 'byo'; did you mean 'byol'"),
        ("bt-vqvae", {"augmentations": "flop"}, "unknown augmentation 'flop'"),
        ("bt-vqvae", {"augmentations": 5}, "unknown augmentation '5'"),
        ("vqvae", {"readouts": "men"}, "unknown readout 'men'; did you mean 'mean'"),
        ("vqvae", {"readouts": ""}, "name at least one readout"),
        ("vqvae", {"steps": 5, "epochs": 5}, "epochs or steps, not both"),
        ("vqvae", {"batch_size": 0}, "batch_size must be at least 1"),
        ("vqvae", {"learning_rate": 0}, "learning_rate must be above 0"),
        ("vibcreg", {"whitening_iterations": 11}, "whitening_iterations must be at most 10, not"),
        ("vqvae", {"upper_input": "viev"}, "did you mean 'view'"),
        ("vqvae", {"quantizer": "none"}, "the vqvae tokenizer needs a quantizer; identity"),
        ("vqvae", {"window": "hanning"}, "unknown window 'hanning'; did you mean 'hann'"),
        ("vqvae", {"n_fft": 7}, "n_fft must be even"),
        ("bt-vqvae", {"hop_length": 5}, "hop_length must lie between 1 and n_fft / 2 = 4"),
        ("raw-series", {"quantizer": "vq"}, "the raw tokenizer takes no quantizer"),
        ("vqvae", {"augmentations": "flip"}, "augmentations make views, and this model sees none"),
    ],
)  # fmt: skip
def test_what_makes_no_model_is_an_error(name, changes, message):
    with pytest.raises(TwincodeError, match=message):
        recipe(name, **changes)


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("vqvae", "gamma", f"of the twin losses {LOSSES}; this model has none"),
        ("vqvae", "fsq_levels", "of the quantizer fsq; this model has vq"),
        ("vqvae", "top_width", "of the tokenizer vqvae2; this model has vqvae"),
        ("bt-vqvae", "crop_fraction", "of the augmentation window_crop; this model has flip"),
        ("vqvae", "jitter_std", "of the augmentation jitter; this model has none"),
        ("raw-series", "bands", "of the tokenizer bands; this model has raw"),
    ],
)  # fmt: skip
def test_a_setting_of_a_part_that_is_not_chosen_is_refused_by_the_name_of_the_part(
    name, setting, message
):
    config = recipe(name)
    assert not config.has(setting)
    with pytest.raises(TwincodeError, match=f"{setting} is a setting {message}"):
        config.replace(**{setting: 1})


def test_of_several_models_the_error_names_all_their_parts():
    error = unread("fsq_levels", [recipe("vqvae"), recipe("vae"), recipe("bt-vqvae")])
    assert str(error).endswith("these models have vq, gaussian")


def test_what_can_be_chosen_can_be_set():
    assert recipe("vqvae").has("codebook_size")
    assert recipe("vqvae").has("twin_loss")
    assert recipe("bt-vqvae").has("augmentations")
    assert not recipe("vqvae").has("augmentations")
    assert not recipe("raw-series").has("quantizer")


REGISTRIES = {"tokenizer": TOKENIZERS, "quantizer": QUANTIZERS, "twin_loss": TWIN_LOSSES}


@pytest.mark.parametrize(("choice", "registry"), REGISTRIES.items(), ids=REGISTRIES)
def test_a_part_that_is_chosen_anew_comes_with_its_own_settings(choice, registry):
    start = recipe("bt-vqvae", latent_channels=8, codebook_size=8, gamma=0.5, epochs=7)
    for name in registry:
        config = start.replace(**{choice: name})
        stays = getattr(start, choice).name == name
        assert getattr(config, choice) == (
            getattr(start, choice) if stays else registry.choose(name)
        )
        if registry is not TOKENIZERS or registry.choose(name).takes_steps:
            assert config.training == start.training


def test_all_settings_of_a_part_change_at_once():
    """An even share is 0.03 with the 32 codes that there are at first."""
    one = recipe("vqvae", revive_below=0.04, codebook_size=20)
    assert one == recipe("vqvae", codebook_size=20, revive_below=0.04)
    assert one.replace(codebook_size=64, revive_below=0.01).quantizer.codebook_size == 64


def test_a_tokenizer_without_a_quantiser_has_none_and_gives_it_back():
    raw = recipe("vqvae", quantizer="fsq").replace(tokenizer="raw")
    assert raw.quantizer is None
    assert raw.replace(tokenizer="vqvae").quantizer == QUANTIZERS.choose("vq")


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_what_takes_no_steps_has_the_seed_alone_of_training(name):
    fitted = recipe("bt-vqvae", seed=3, batch_size=7, gamma=0).replace(tokenizer=name)
    assert fitted.training == TrainingSettings(epochs=0, seed=3)
    assert [each for each in field_types(TrainingSettings) if fitted.has(each)] == ["seed"]
    with pytest.raises(TwincodeError, match="no learning_rate; leave it out, or choose a network"):
        fitted.replace(learning_rate=0.1)
    assert fitted.replace(tokenizer="vqvae").training == TrainingSettings(seed=3)


def test_augmentations_keep_their_settings_when_the_list_changes():
    config = recipe("bt-vqvae", jitter_std=0.3).replace(augmentations="jitter,window_warp,flip")
    assert [part.name for part in config.augmentations] == ["jitter", "window_warp", "flip"]
    assert config.augmentations[0].jitter_std == 0.3
    assert config.replace(warp_fraction=0.2).augmentations[1].warp_fraction == 0.2
    assert config.replace(twin_loss="moco").augmentations == config.augmentations


def test_a_setting_of_what_the_same_change_chooses():
    config = recipe("vqvae", jitter_std=0.2, twin_loss="moco", queue_size=8, upper_input="view")
    assert config.twin_loss.queue_size == 8
    assert config.augmentations[1].jitter_std == 0.2


def test_without_gamma_a_taught_model_is_the_augmented_control():
    control = recipe("vqvae-augmented")
    for name in ("bt-vqvae", "moco-vqvae"):
        untaught = recipe(name, gamma=0, projector_width=8)
        assert untaught.identity() == control.identity()
        assert untaught.twin_loss is None
    clean = recipe("bt-vqvae", upper_input="clean", gamma=0, jitter_std=0.2)
    assert clean.digest() == recipe("vqvae").digest()
    assert recipe("bt-vqvae").replace(twin_loss="none") == recipe("bt-vqvae", gamma=0)


def test_runs_of_another_version_of_training_are_told_apart(monkeypatch):
    """Even batches changed the numbers of every run, and no setting."""
    config = recipe("vqvae")
    digest, described = config.digest(), config.to_dict()
    assert described["training"]["version"] == VERSION
    monkeypatch.setattr("twincode.config.VERSION", VERSION + 1)
    assert config.digest() != digest
    before = json.loads(json.dumps(described))
    del before["training"]["version"]
    assert Config.from_dict(before) == Config.from_dict(described) == config


def test_the_thesis_keeps_its_own_form():
    """What METHOD prescribes, whatever our defaults are."""
    for name in ("thesis-vqvae", "thesis-vqvae-augmented", "thesis-bt-vqvae"):
        config = recipe(name)
        training, codebook = config.training, config.quantizer
        assert (training.epochs, training.decay_share, training.held_out) == (1500, 1.0, 0.0)
        assert (codebook.codebook_init, codebook.continuous_share) == ("data", 0.0)
        names = [part.name for part in config.augmentations]
        thesis = ["flip", "jitter", "amplitude_resize", "slope", "phase"]
        assert names == ([] if name == "thesis-vqvae" else thesis)
        assert all(part.slope_rate == 0.01 for part in config.augmentations if part.name == "slope")


@given(gamma=st.floats(1e-9, 1e6), seed=st.integers(0, 2**40))
def test_digest_follows_the_values(gamma, seed):
    one, same = (recipe("bt-vqvae", gamma=gamma, seed=seed) for _ in range(2))
    assert one.digest() == same.digest()
    assert one.digest() != one.replace(seed=seed + 1).digest()
    assert one.digest() != one.replace(gamma=2 * gamma).digest()


@pytest.mark.parametrize(
    "change",
    [
        lambda values: {**values, "trainin": {}},
        lambda values: {**values, "training": {**values["training"], "epoch": 3}},
        lambda values: {**values, "quantizer": {"name": "nothing"}},
        lambda values: {**values, "quantizer": {"codebook_size": 3}},
        lambda values: {**values, "augmentations": [["flip"]]},
        lambda values: {name: values[name] for name in values if name != "twin_loss"},
        lambda values: [values],
    ],
)
def test_a_foreign_description_is_an_error(change):
    with pytest.raises(TwincodeError):
        Config.from_dict(change(recipe("bt-vqvae").to_dict()))


@pytest.mark.usefixtures("registries")
def test_a_name_that_two_chosen_parts_have_is_an_error():
    @dataclass(frozen=True)
    class Own(Settings):
        epochs: int = 1
        latent_channels: int = 1

    QUANTIZERS.register("own", Identity, Own)
    config = recipe("vqvae", quantizer="own")
    for name, both in (("epochs", "own and training"), ("latent_channels", "vqvae and own")):
        with pytest.raises(TwincodeError, match=f"{name} is a setting of both {both}; rename"):
            config.replace(**{name: 3})


@pytest.mark.parametrize(
    ("steps", "batch_size", "epochs"), [(0, 16, 200), (10, 16, 2), (12, 16, 2), (1, 99, 1)]
)
def test_a_budget_of_steps_is_the_nearest_number_of_epochs(steps, batch_size, epochs):
    assert TrainingSettings(steps=steps, batch_size=batch_size).epochs_for(80) == epochs


def test_titles_tell_recipes_apart():
    names = [name for name in RECIPES if not name.startswith("thesis-")]
    assert len({title(recipe(name)) for name in names}) == len(names)
    assert title(recipe("bt-vqvae")) == "BT-VQVAE"
    assert title(Config()) == "model"
