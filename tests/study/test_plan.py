import dataclasses
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twincode.cli.settings import parse_axes
from twincode.errors import TwincodeError
from twincode.labels import labels
from twincode.recipes import recipe, title
from twincode.study import Priors, Study

NETWORKS = ("vqvae", "vqvae-augmented", "bt-vqvae")
CLOSED_FORMS = ("pca-pq", "patch-rvq")


def whole_plan(**changes):
    return Study(**{"datasets": ("Waves",), "recipes": NETWORKS, **changes}).configs()


def planned(**changes):
    """The plan without the closed forms among its controls, which have a test of their own."""
    return [each for each in whole_plan(**changes) if each.recipe not in CLOSED_FORMS]


def called(**changes):
    """What the models are called."""
    configs = planned(**changes)
    return labels(
        [(title(config), config.to_dict()) for config in configs], changes.get("axes", ())
    )


def names(configs):
    return [(config.recipe, config.gamma, config.training.seed) for config in configs]


def test_the_plan_goes_seed_by_seed_and_controls_come_first():
    assert names(planned(axes={"gamma": (1, 2)}, seeds=2)) == [
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


def test_closed_forms_are_controls_at_the_bits_of_the_study():
    axes, settings = {"bits": (50, 100)}, {"epochs": 3, "readouts": "mean", "svm_c": 2}
    configs = whole_plan(recipes=("mixture", "vqvae"), axes=axes, settings=settings, seeds=2)
    for name in ("mixture", *CLOSED_FORMS):
        found = [config for config in configs if config.recipe == name]
        assert found == [
            recipe(name, bits=bits, svm_c=2, seed=seed) for seed in (0, 1) for bits in (50, 100)
        ]
    names = [config.recipe for config in whole_plan(recipes=("vqvae",), seeds=1)]
    assert names == ["raw-series", *CLOSED_FORMS, "random-encoder", "vqvae"]


@given(
    recipes=st.lists(
        st.sampled_from(["vqvae", "bt-vqvae", "thesis-bt-vqvae", "moco", "fsq-vqvae", "vae"]),
        min_size=1,
    ),
    gammas=st.lists(st.sampled_from([0, 0.5, 1.0]), min_size=1),
    sizes=st.lists(st.sampled_from([8, 16]), min_size=1),
    seeds=st.integers(1, 3),
)
def test_every_plan_has_its_controls_and_no_run_twice(recipes, gammas, sizes, seeds):
    recipes = ("bt-vqvae", *recipes)
    axes = {"gamma": gammas, "codebook_size": sizes}
    configs = planned(recipes=recipes, axes=axes, seeds=seeds)
    found = Counter(config.recipe for config in configs)
    assert found["raw-series"] == 1
    assert found["random-encoder"] == seeds * len(set(sizes))
    digests = {config.digest() for config in configs}
    assert len(digests) == len(configs)
    for config in configs:
        if config.gamma and config.tokenizer.name != "encoder":
            alone = config.replace(upper_input="view").replace(twin_loss="none")
            assert alone.digest() in digests
        if config.recipe in ("raw-series", "random-encoder"):
            assert config.training.epochs == 0


def test_an_axis_multiplies_what_has_the_setting_and_nothing_else():
    recipes = ("vqvae", "fsq-vqvae", "bt-vqvae")
    assert called(recipes=recipes, axes={"codebook_size": [16, 64]}, seeds=1) == [
        "Raw series",
        "Random encoder codebook_size=16",
        "Random encoder codebook_size=64",
        "VQ-VAE codebook_size=16",
        "VQ-VAE codebook_size=64",
        "VQ-VAE, finite scalar",
        "VQ-VAE, augmented codebook_size=16",
        "BT-VQVAE codebook_size=16",
        "VQ-VAE, augmented codebook_size=64",
        "BT-VQVAE codebook_size=64",
    ]


def test_a_value_may_exist_under_the_value_of_another_axis_alone():
    axes = {"codebook_size": [16, 32], "quantizer": ["vq", "fsq"]}
    models = called(recipes=("vqvae",), axes=axes, seeds=1)
    assert models[-3:] == ["VQ-VAE codebook_size=16", "VQ-VAE codebook_size=32", "VQ-VAE"]
    by_part = called(recipes=("vqvae",), axes=dict(reversed(axes.items())), seeds=1)
    assert by_part[-1] == "VQ-VAE quantizer=fsq"


def test_the_budget_of_training_is_no_axis_of_untrained_controls():
    axes = {"epochs": [1, 2], "learning_rate": [0.1, 0.2]}
    found = Counter(c.recipe for c in planned(recipes=("vqvae",), axes=axes, seeds=1))
    assert found == {"raw-series": 1, "random-encoder": 1, "vqvae": 4}
    found = Counter(c.recipe for c in planned(axes={"svm_c": [1, 2]}, recipes=("vqvae",), seeds=1))
    assert found == {"raw-series": 2, "random-encoder": 2, "vqvae": 2}


def test_gamma_zero_is_the_model_without_its_twin_loss():
    recipes = ("bt-vqvae", "moco-vqvae", "moco")
    axes = {"gamma": [0, 1, 1.0]}
    assert called(recipes=recipes, axes=axes, seeds=1) == [
        "Raw series", "Random encoder", "Random encoder, continuous", "VQ-VAE, augmented",
        "BT-VQVAE", "MoCo-VQVAE", "MoCo",
    ]  # fmt: skip
    clean = {"upper_input": "clean"}
    plain = ["VQ-VAE", "VQ-VAE, augmented", "BT-VQVAE"]
    assert called(recipes=recipes[:1], axes=axes, settings=clean, seeds=1)[2:] == plain
    own = {**clean, "augmentations": ["jitter"], "jitter_std": 0.3}
    found = planned(recipes=recipes[:1], axes=axes, settings=own, seeds=1)[2:]
    assert [title(each) for each in found] == plain
    assert [each.name for each in found[1].augmentations] == ["jitter"]


def test_a_twin_loss_can_be_an_axis_of_models_that_have_one():
    axes = {"twin_loss": ["barlow_twins", "moco"], "queue_size": [64, 128]}
    assert called(recipes=("vqvae", "bt-vqvae"), axes=axes, seeds=1)[3:] == [
        "VQ-VAE, augmented",
        "BT-VQVAE twin_loss=barlow_twins",
        "BT-VQVAE twin_loss=moco queue_size=64",
        "BT-VQVAE twin_loss=moco queue_size=128",
    ]


def test_settings_reach_every_model_that_has_them():
    settings = {"n_fft": "16", "svm_c": 2, "learning_rate": 0.01, "fsq_levels": (5, 4)}
    raw, random, *trained = planned(recipes=("vqvae", "fsq-vqvae"), settings=settings, seeds=1)
    assert [config.tokenizer.n_fft for config in (random, *trained)] == [16] * 3
    assert [config.metrics[0].svm_c for config in (raw, random, *trained)] == [2] * 4
    assert [config.training.learning_rate for config in trained] == [0.01, 0.01]
    assert trained[1].quantizer.fsq_levels == (5, 4)


def test_no_setting_undoes_a_control():
    settings = {"epochs": 7, "readouts": "mean", "tokenizer": "vqvae", "latent_channels": 4}
    recipes = ("random-encoder", "raw-series", "vqvae")
    raw, random, model = planned(recipes=recipes, settings=settings, seeds=1)
    assert raw == recipe("raw-series")
    assert random == recipe("random-encoder", readouts="mean", latent_channels=4)
    assert model == recipe("vqvae", **settings)


@pytest.mark.parametrize("name", ["vae", "barlow-twins"])
def test_a_model_without_codes_brings_an_untrained_encoder_without_codes(name):
    settings = {"latent_channels": 4, "epochs": 3}
    configs = planned(recipes=("vqvae", name), seeds=2, settings=settings)
    found = [config for config in configs if config.recipe == "random-encoder-continuous"]
    assert found == [
        recipe("random-encoder-continuous", latent_channels=4, seed=seed) for seed in (0, 1)
    ]


def test_an_encoder_alone_stands_beside_the_vqvae_of_its_size():
    settings = {"latent_channels": 4, "codebook_size": 8}
    configs = planned(
        recipes=("moco",), settings=settings, overrides={"moco": {"residual_blocks": 1}}, seeds=1
    )
    assert recipe("vqvae-augmented", residual_blocks=1, **settings) in configs


def test_one_recipe_can_have_settings_of_its_own_which_no_axis_varies():
    overrides = {"vqvae": {"learning_rate": 0.5}, "bt-vqvae": {"gamma": 3}}
    configs = planned(overrides=overrides, settings={"learning_rate": 0.25}, axes={"gamma": [1, 2]})
    for config in configs:
        if config.training.epochs:
            assert config.training.learning_rate == (0.5 if config.recipe == "vqvae" else 0.25)
        assert config.gamma in (0, 3)


def test_a_budget_of_its_own_takes_the_place_of_the_studys():
    overrides = {"vqvae": {"epochs": 3}}
    _, _, model, *_ = planned(settings={"steps": 20}, overrides=overrides)
    assert (model.training.epochs, model.training.steps) == (3, 0)


def test_models_that_only_their_settings_tell_apart_are_told_apart():
    changes = {"overrides": {"bt-vqvae": {"codebook_size": 64}}, "seeds": 1}
    assert called(**changes)[2:] == [
        "VQ-VAE",
        "VQ-VAE, augmented codebook_size=32",
        "VQ-VAE, augmented codebook_size=64",
        "BT-VQVAE",
    ]
    assert called(recipes=("vqvae", "thesis-vqvae"), seeds=1)[2:] == [
        "VQ-VAE codebook_init=kmeans", "VQ-VAE codebook_init=data",
    ]  # fmt: skip


def test_recipes_that_the_settings_make_equal_are_one():
    form = {"epochs": 3, "decay_share": 0.5, "continuous_share": 0.5, "codebook_init": "data"}
    configs = planned(recipes=("vqvae", "thesis-vqvae"), settings=form, seeds=1)
    assert [config.recipe for config in configs] == ["raw-series", "random-encoder", "vqvae"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": ()}, "at least one of datasets"),
        ({"recipes": ()}, "at least one of recipes"),
        ({"recipes": "vqvae"}, "recipes must be a list of names, not 'vqvae'"),
        ({"seeds": "3"}, "seeds must be a whole number"),
        ({"seeds": 0}, "seeds must be a whole number of at least 1"),
        ({"axes": {"gamma": (1, -0.5)}}, "gamma must"),
        ({"axes": {"gamma": (float("nan"),)}}, "gamma must"),
        ({"axes": {"gamma": ()}}, "axis gamma needs a list of values, not ()"),
        ({"axes": {"gamma": 1}}, "axis gamma needs a list of values, not 1"),
        ({"axes": {"seed": [1]}}, "varies seed itself"),
        ({"axes": {"gamma": [1]}, "settings": {"gamma": 1}}, "gamma is an axis; leave it out"),
        ({"axes": {"epochs": [1]}, "settings": {"steps": 1}}, "epochs or steps, not both"),
        ({"axes": {"codebok_size": [1]}}, "did you mean 'codebook_size'"),
        (
            {"recipes": ("mixture", "vqvae"), "overrides": {"mixture": {"steps": 9}}},
            "recipe mixture: none of these models has steps; leave it out",
        ),
        ({"axes": {"kl_weight": [1, 2]}}, "kl_weight is a setting of the quantizer gaussian"),
        ({"recipes": ("vqvae",), "axes": {"gamma": [1]}}, "gamma is a setting of the twin losses"),
        (
            {"recipes": ("vqvae",), "settings": {"twin_loss": "moco"}},
            "none of these models has a choice of twin_loss",
        ),
        ({"axes": {"gamma": [0]}, "settings": {"projector_width": 8}}, "projector_width is a sett"),
        ({"recipes": ("vae",), "settings": {"codebook_size": 8}}, "codebook_size is a setting of"),
        ({"recipes": ("bt-vqva",)}, "did you mean 'bt-vqvae'"),
        ({"settings": {"epoch": 3}}, "did you mean 'epochs'"),
        ({"settings": {"epochs": "many"}}, "epochs must be"),
        ({"settings": {"seed": 1}}, "varies seed itself; use seeds"),
        ({"settings": {"steps": 5, "epochs": 3}}, "epochs or steps, not both"),
        ({"overrides": {"vqva": {}}}, "did you mean 'vqvae'"),
        ({"overrides": {"raw-series": {}}}, "raw-series is a control, which takes no settings"),
        ({"overrides": {"vqvae": {"epoch": 1}}}, "did you mean 'epochs'"),
        (
            {"overrides": {"vqvae": {"projector_width": 8}}},
            "recipe vqvae: projector_width is a set",
        ),
    ],
)
def test_plans_that_make_no_sense_are_errors(changes, message):
    with pytest.raises(TwincodeError, match=re.escape(message)):
        planned(**changes)


@pytest.mark.parametrize(
    ("recipes", "settings"),
    [
        (("vqvae", "fsq-vqvae"), {"codebook_size": 8, "fsq_levels": (4, 4)}),
        (("vqvae", "bt-vqvae"), {"projector_width": 8, "jitter_std": 0.2}),
        (("moco",), {"codebook_size": 8, "queue_size": 8}),  # the first by its control
        (("random-encoder",), {"codebook_size": 8}),
        (("vqvae", "bt-vqvae"), {"gamma": 0}),
    ],
)
def test_a_setting_is_for_the_models_that_have_it(recipes, settings):
    assert planned(recipes=recipes, settings=settings)


def test_a_control_that_is_asked_for_has_settings_and_priors():
    asked = Study(
        ("GunPoint",),
        ("pca-pq", "vqvae"),
        seeds=1,
        settings={"bits": 60},
        priors=Priors(("masked",)),
    )
    (coder,) = [config for config in asked.configs() if config.recipe == "pca-pq"]
    assert coder.tokenizer.bits == 60
    assert asked.second_stage(coder) is not None
    unasked = dataclasses.replace(asked, recipes=("vqvae",), settings={})
    assert unasked.second_stage(coder) is None
    with pytest.raises(TwincodeError, match="bits is a setting"):
        dataclasses.replace(asked, recipes=("vqvae",)).configs()


def test_a_setting_of_controls_alone_is_one_that_no_model_has():
    plan = Study(("GunPoint",), ("mixture",), axes={"codebook_size": (16, 32)})
    with pytest.raises(TwincodeError, match=r"quantizers .*; these models have none"):
        plan.configs()


@pytest.mark.parametrize(
    "name",
    ("raw-series", "pca-pq", "patch-rvq", "random-encoder", "random-encoder-continuous"),
)
def test_a_control_that_is_asked_for_is_planned(name):
    assert name in [each.recipe for each in whole_plan(recipes=("vqvae", name), seeds=1)]


def test_what_is_fitted_at_once_is_no_untrained_encoder():
    axes = {"tokenizer": ["vqvae", "mixture"]}
    found = [(each.recipe, each.tokenizer.name) for each in planned(recipes=("vqvae",), axes=axes)]
    assert ("vqvae", "mixture") in found
    assert ("random-encoder", "mixture") not in found


def test_what_stands_beside_a_twin_loss_can_have_priors_of_its_own():
    own = {"kinds": ["tree"]}
    priors = Priors(("masked",), recipes={"bt-vqvae": own, "vqvae-augmented": own})
    study = Study(("GunPoint",), ("bt-vqvae",), seeds=1, priors=priors)
    kinds = {
        config.recipe: [prior.name for prior in study.second_stage(config).priors]
        for config in study.configs()
        if study.second_stage(config)
    }
    assert kinds == {"bt-vqvae": ["tree"], "vqvae-augmented": ["tree"]}


def test_an_axis_of_lists_may_have_one_of_one():
    axes = parse_axes(["fsq-levels=8;8,5"])
    configs = planned(recipes=("fsq-vqvae",), axes=axes, seeds=1)
    levels = [c.quantizer.fsq_levels for c in configs if c.recipe == "fsq-vqvae"]
    assert levels == [(8,), (8, 5)]
