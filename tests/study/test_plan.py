import dataclasses
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.recipes import label, recipe
from twincode.study import Study
from twincode.study.plan import epochs_for

N_TRAIN = 100


def planned(**changes):
    return Study(**{"datasets": ("Waves",), **changes}).configs(N_TRAIN)


def checked(**changes):
    study = Study(**{"datasets": ("Waves",), **changes})
    study.check_read(study.settings)


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
        ("random-encoder-continuous", 0, 0),
        ("vqvae-augmented", 0, 0),
        ("moco-vqvae", 1, 0),
        ("moco-vqvae", 2, 0),
        ("moco", 1, 0),
        ("vicreg", 1, 0),
    ]
    settings = {"latent_channels": 4, "projector_width": 8}
    for name in ("moco-vqvae", "moco", "bt-vqvae"):
        configs = planned(recipes=(name,), settings=settings, seeds=1)
        assert recipe("vqvae-augmented", **settings) in configs


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
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"steps": 5, "settings": {"epochs": 3}}, "epochs or steps, not both"),
        ({"steps": 5, "overrides": {"vqvae": {"epochs": 3}}}, "epochs or steps, not both"),
        ({"steps": 5, "settings": {"batch_size": 0}}, "batch_size must be at least 1, not 0"),
        ({"overrides": {"vqva": {}}}, "did you mean 'vqvae'"),
        ({"overrides": {"raw-series": {}}}, "unknown recipe with settings of its own 'raw-series'"),
        ({"overrides": {"vqvae": {"epoch": 1}}}, "did you mean 'epochs'"),
        ({"overrides": {"vqvae": {"seed": 1}}}, "varies seed itself"),
        (
            {"recipes": ("vqvae", "thesis-vqvae")},
            "vqvae and thesis-vqvae would both be called 'VQ-VAE' but differ in epochs",
        ),
        (
            {"overrides": {"bt-vqvae": {"codebook_size": 64}}},
            "both be called 'VQ-VAE, augmented' but differ in codebook_size",
        ),
        ({"gammas": (1, 1.0000001)}, "both be called 'BT-VQVAE γ=1' but differ in gamma"),
    ],
)
def test_plans_that_make_no_sense_are_errors(changes, message):
    with pytest.raises(TwincodeError, match=re.escape(message)):
        planned(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"settings": {"queue_size": 8}},
            "this study does not read queue_size (read where twin_loss is moco); leave it out",
        ),
        (
            {"recipes": ("vqvae", "fsq-vqvae"), "settings": {"kl_weight": 1, "warp_fraction": 0.2}},
            "does not read kl_weight (read where quantizer is gaussian and epochs is not 0) and "
            "warp_fraction (read where augmentations has window_warp); leave them out",
        ),
        ({"gammas": (0,), "settings": {"projector_width": 8}}, "does not read projector_width"),
        (
            {"recipes": ("vae",), "settings": {"codebook_size": 8}},
            "this study does not read codebook_size",
        ),
        (
            {"overrides": {"vqvae": {"projector_width": 8}}},
            "recipe vqvae does not read projector_width (read where gamma is not 0; here gamma is "
            "0); leave it out",
        ),
    ],
)
def test_settings_that_nothing_reads(changes, message):
    with pytest.raises(TwincodeError, match=re.escape(message)):
        checked(**changes)


@pytest.mark.parametrize(
    ("recipes", "settings"),
    [
        (("vqvae", "fsq-vqvae"), {"codebook_size": 8, "fsq_levels": (4, 4)}),
        (("vqvae", "bt-vqvae"), {"projector_width": 8, "jitter_std": 0.2}),
        (("moco",), {"codebook_size": 8, "queue_size": 8}),  # the first by its control
        (("random-encoder",), {"codebook_size": 8}),
    ],
)
def test_a_setting_is_for_the_models_that_read_it(recipes, settings):
    checked(recipes=recipes, settings=settings, gammas=(0, 1))


def test_a_recipe_reads_a_setting_of_its_own_at_one_of_its_gammas():
    checked(overrides={"bt-vqvae": {"projector_width": 8}}, gammas=(0, 1))


def test_one_recipe_can_have_settings_of_its_own():
    overrides = {"vqvae": {"learning_rate": 0.5}}
    for config in planned(overrides=overrides, settings={"learning_rate": 0.25}):
        assert config.training.learning_rate == (0.5 if config.recipe == "vqvae" else 0.25)


def test_settings_of_a_twin_loss_make_no_second_augmented_model():
    overrides = {"bt-vqvae": {"projector_width": 8}}
    labels = [label(config) for config in planned(overrides=overrides, gammas=(1,), seeds=1)]
    assert labels.count("VQ-VAE, augmented") == 1
    plain = planned(gammas=(1,), seeds=1)
    assert {c.digest() for c in plain if c.objective.gamma == 0} == {
        c.digest()
        for c in planned(overrides=overrides, gammas=(1,), seeds=1)
        if not c.objective.gamma
    }


def test_recipes_that_the_settings_make_equal_are_one():
    configs = planned(recipes=("vqvae", "thesis-vqvae"), settings={"epochs": 3}, seeds=1)
    assert [config.recipe for config in configs] == ["raw-series", "random-encoder", "vqvae"]


@pytest.mark.parametrize("name", ["vae", "barlow-twins"])
def test_a_model_without_codes_brings_an_untrained_encoder_without_codes(name):
    settings = {"latent_channels": 4}
    models = names(planned(recipes=("vqvae", name), seeds=2, settings=settings))
    assert [seed for found, _, seed in models if found == "random-encoder-continuous"] == [0, 1]
    control = recipe("random-encoder-continuous")
    assert control.quantizer.quantizer == "identity"
    assert dataclasses.replace(control.replace(quantizer="vq"), recipe="random-encoder") == recipe(
        "random-encoder"
    )


def test_nothing_makes_the_untrained_encoder_without_codes_another():
    settings = {"quantizer": "gaussian", "epochs": 3, "latent_channels": 4}
    configs = planned(recipes=("vqvae",), seeds=1, settings=settings)
    control = next(c for c in configs if c.recipe == "random-encoder-continuous")
    assert control == recipe("random-encoder-continuous", latent_channels=4)


@given(steps=st.integers(1, 100_000), n=st.integers(2, 10_000), size=st.integers(1, 512))
def test_steps_become_the_nearest_whole_number_of_epochs(steps, n, size):
    each = len(range(0, n, size))
    epochs = epochs_for(steps, n, size)
    assert epochs >= 1
    assert epochs == 1 or abs(epochs * each - steps) <= each / 2


def test_a_budget_in_steps_is_the_same_for_all_models_and_none_for_controls():
    settings = {"batch_size": 16}
    recipes = ("vqvae", "thesis-bt-vqvae")
    for config in planned(recipes=recipes, steps=20, settings=settings, gammas=(1,)):
        trained = config.recipe not in ("raw-series", "random-encoder")
        assert config.training.epochs == (3 if trained else 0)


def test_a_budget_in_steps_is_a_number_of_epochs_to_every_run():
    """So that a run has the same name however its budget was given."""
    in_steps = planned(steps=2, seeds=1, settings={"batch_size": 50})
    assert in_steps == planned(seeds=1, settings={"batch_size": 50, "epochs": 1})
