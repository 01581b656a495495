import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twincode import config as config_module
from twincode.config import Config, TrainingConfig, added, field_names
from twincode.errors import TwincodeError
from twincode.recipes import RECIPES, label, recipe


def test_every_setting_has_a_name_of_its_own():
    assert len(field_names()) == len(set(field_names()))


def test_no_setting_hides_an_option_of_the_command_line():
    declared = {"out", "recipe", "device", "data_dir", "missing", "lengths", "datasets", "seeds"}
    assert not declared & set(field_names())


def test_configurations_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe("vqvae").training.epochs = 3


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_survives_json(name):
    config = recipe(name)
    assert config.recipe == name
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_text_values_are_converted():
    config = recipe("bt-vqvae", gamma="0.5", epochs="7", neighbours="1,3", augmentations="flip")
    assert config.objective.gamma == 0.5
    assert config.training.epochs == 7
    assert config.evaluation.neighbours == (1, 3)
    assert config.augmentation.augmentations == ("flip",)


@pytest.mark.parametrize(
    ("name", "nearest"), [("gama", "gamma"), ("codebok_size", "codebook_size"), ("epoch", "epochs")]
)
def test_an_unknown_setting_names_the_nearest(name, nearest):
    with pytest.raises(TwincodeError, match=f"unknown setting '{name}'; did you mean '{nearest}'"):
        recipe("vqvae", **{name: 1})


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(TwincodeError, match="did you mean 'bt-vqvae'"):
        recipe("bt-vqva")


@pytest.mark.parametrize("value", ["many", None, [1, 2], 1.5, float("inf"), float("nan")])
def test_a_value_of_the_wrong_kind_is_an_error(value):
    with pytest.raises(TwincodeError, match="epochs must be"):
        recipe("vqvae", epochs=value)


@pytest.mark.parametrize(
    "values", [{"training": {"epoch": 3}}, {"trainin": {}}, ["training"], {"recipe": "x", "a": {}}]
)
def test_a_foreign_description_is_an_error(values):
    with pytest.raises(TwincodeError):
        Config.from_dict(values)


def test_digest_ignores_the_recipe_name_but_no_setting():
    assert recipe("bt-vqvae", gamma=0).digest() == recipe("vqvae-augmented").digest()
    assert recipe("vqvae", seed=1).digest() != recipe("vqvae").digest()


def test_an_option_that_is_added_leaves_digests_as_they_were(monkeypatch):
    earlier = Config()

    @dataclasses.dataclass(frozen=True)
    class Longer(TrainingConfig):
        patience: int = added(0, before=0)

    monkeypatch.setitem(config_module._GROUPS, "training", Longer)
    with_option = dataclasses.replace(earlier, training=Longer())
    assert with_option.digest() == earlier.digest()
    used = dataclasses.replace(earlier, training=Longer(patience=3))
    assert used.digest() != earlier.digest()


@given(gamma=st.floats(0, 1e6), seed=st.integers(0, 2**40))
def test_digest_follows_the_values(gamma, seed):
    one, same = recipe("vqvae", gamma=gamma, seed=seed), recipe("vqvae", gamma=gamma, seed=seed)
    assert one.digest() == same.digest()
    assert one.digest() != one.replace(seed=seed + 1).digest()


@pytest.mark.parametrize("start", ["bt-vqvae", "byol-vqvae", "vicreg"])
@pytest.mark.parametrize(
    "other", ["bt-vqvae", "vibcreg-vqvae", "simclr-vqvae", "moco-vqvae", "byol-vqvae"]
)
def test_another_twin_loss_comes_with_the_settings_published_for_it(start, other):
    wanted = recipe(other).objective
    assert recipe(start, twin_loss=wanted.twin_loss).objective == wanted
    changed = recipe(start, twin_loss=wanted.twin_loss, teacher_momentum=0.5)
    assert changed.objective == dataclasses.replace(wanted, teacher_momentum=0.5)


def test_labels_tell_models_apart():
    names = [name for name in RECIPES if not name.startswith("thesis-")]
    labels = {name: label(recipe(name)) for name in names}
    assert len(set(labels.values())) == len(names)
    some = ("vqvae", "vqvae-augmented", "bt-vqvae", "moco-vqvae", "moco", "raw-series")
    assert [labels[name] for name in some] == [
        "VQ-VAE", "VQ-VAE, augmented", "BT-VQVAE γ=1", "MoCo-VQVAE γ=1", "MoCo", "Raw series",
    ]  # fmt: skip
    assert label(recipe("moco", gamma=2)) == "MoCo γ=2"


@pytest.mark.parametrize("value", ["nan", "inf", float("nan"), -float("inf")])
def test_settings_are_finite(value):
    with pytest.raises(TwincodeError, match="svm_c must be a finite number"):
        recipe("vqvae", svm_c=value)


def test_a_list_setting_needs_a_list():
    with pytest.raises(TwincodeError, match="neighbours must be a list, not 5"):
        recipe("vqvae", neighbours=5)
