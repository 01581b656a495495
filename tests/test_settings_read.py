"""What is declared about which models read a setting is true.

A setting that is declared idle may change nothing that a run yields; one that is declared to be
read has to change something, or to be refused.
"""

import pytest
import torch
from conftest import make_waves

from twincode.config import OWN_CHOICES, Config, field_names, read_where
from twincode.errors import TwincodeError
from twincode.losses import TWIN_LOSSES
from twincode.quantize import QUANTIZERS
from twincode.recipes import recipe
from twincode.tokenizers import TOKENIZERS
from twincode.train.background import background_rows
from twincode.train.loop import build_learner
from twincode.train.run import evaluation_epochs

DATA = make_waves(n_train=6, n_test=2, length=17)
CPU = torch.device("cpu")

SMALL = {
    "latent_channels": 4,
    "residual_blocks": 1,
    "downsampled_width": 4,
    "top_width": 2,
    "bands": (1,),
    "background_classes": ("a",),
    "codebook_size": 4,
    "projector_width": 8,
    "predictor_width": 8,
    "queue_size": 4,
    "batch_size": 3,
    "epochs": 2,
    "evaluations": 2,
}
# Another value of every setting that some models do not read.
OTHER = {
    "latent_channels": 2,
    "residual_blocks": 2,
    "downsampled_width": 2,
    "top_width": 1,
    "bands": (2,),
    "band_widths": (8, 2),
    "background_classes": ("b",),
    "quantizer": "identity",
    "codebook_size": 3,
    "codebook_update": "gradient",
    "codebook_init": "uniform",
    "commitment_weight": 3.0,
    "ema_decay": 0.1,
    "ema_epsilon": 0.5,
    "distance": "cosine",
    "revive_below": 0.24,
    "quantizer_depth": 3,
    "codebook_groups": 1,
    "fsq_levels": (3, 3),
    "kl_weight": 5.0,
    "twin_loss": "simclr",
    "gamma": 2.0,
    "off_diagonal_weight": 0.5,
    "projector_width": 16,
    "upper_input": "view",
    "invariance_weight": 2.0,
    "variance_weight": 2.0,
    "covariance_weight": 2.0,
    "whitening_iterations": 1,
    "whitening_width": 2,
    "contrastive_temperature": 3.0,
    "queue_size": 3,
    "predictor_width": 4,
    "teacher_momentum": 0.3,
    "teacher_schedule": "cosine",
    "augmentations": ("jitter",),
    "flip_probability": 0.9,
    "jitter_std": 0.5,
    "amplitude_std": 0.5,
    "slope_rate": 0.5,
    "phase_range": 0.1,
    "warp_fraction": 0.5,
    "warp_scales": (3.0,),
    "shuffle_slices": 2,
    "crop_fraction": 0.5,
    "noise_level": 0.5,
    "batch_size": 2,
    "learning_rate": 0.01,
    "weight_decay": 0.5,
    "precision": "bfloat16",
    "evaluations": 1,
}


AUGMENTATIONS = (
    *("flip", "jitter", "amplitude_resize", "slope", "phase"),
    *("window_warp", "slice_and_shuffle", "window_crop", "gaussian_noise"),
)
ALONE = {"tokenizer": "encoder", "quantizer": "identity", "gamma": 1.0}
TRAINED = [name for name in OWN_CHOICES["tokenizer"] if name not in ("encoder", "raw")]
EVERY_GROUP = tuple(Config().to_dict())[1:]
# What is tried: how each model differs, and the groups of settings that are changed one by one.
MODELS = {
    **{name: ({"tokenizer": name}, ("tokenizer",)) for name in TRAINED},
    "encoder": (ALONE, ("tokenizer",)),
    "raw": ({"tokenizer": "raw", "quantizer": "identity", "epochs": 0}, EVERY_GROUP),
    "wide bands": ({"tokenizer": "bands", "band_widths": (2, 4)}, ("tokenizer",)),
    **{name: ({"quantizer": name}, ("quantizer",)) for name in OWN_CHOICES["quantizer"]},
    "gradient": ({"codebook_update": "gradient"}, ("quantizer",)),
    "revived": ({"codebook_update": "gradient", "revive_below": 0.2}, ("quantizer",)),
    **{
        name: ({"twin_loss": name, "gamma": 1.0}, ("objective",))
        for name in OWN_CHOICES["twin_loss"]
    },
    "augmented": ({"upper_input": "view", "augmentations": AUGMENTATIONS}, ("augmentation",)),
    "flipped": ({"upper_input": "view", "augmentations": ("flip",)}, ("augmentation",)),
    "twins": ({"gamma": 1.0, "augmentations": ("slope",)}, ("augmentation",)),
    "plain": ({}, ("objective", "training", "evaluation")),
    "untrained": ({"epochs": 0}, ("tokenizer", "quantizer", "objective", "training")),
}


def build(name):
    changes, groups = MODELS[name]
    config = recipe("vqvae", **{**SMALL, **changes})
    return config, [setting for group in groups for setting in config.to_dict()[group]]


def outcome(config):
    """All that a run yields but its probes, which the trained tokenizer decides."""
    x, epochs = torch.from_numpy(DATA.X_train), config.training.epochs
    learner = build_learner(config, x, CPU)
    told = learner.tokenizer.takes_background
    groups = [background_rows(config, DATA, CPU)] if told else []
    records = [learner.train_epoch(x, epoch, *groups) for epoch in range(1, epochs + 1)]
    due = evaluation_epochs(epochs, config.evaluation.evaluations)
    latents = learner.tokenizer.embed(x).latents
    tensors = {**learner.tokenizer.state_dict(), "latents": latents}
    return [{**record, "seconds": 0} for record in records], due, tensors


def same(one, other):
    (records, due, mine), (other_records, other_due, yours) = one, other
    return (records, due, mine.keys()) == (other_records, other_due, yours.keys()) and all(
        torch.equal(mine[name], yours[name]) for name in mine
    )


def changed(config, names):
    """The same with other values of the settings ``names``."""
    values, usual = (
        {name: value for group in EVERY_GROUP for name, value in vars(getattr(each, group)).items()}
        for each in (config, Config())
    )
    return config.replace(
        **{name: OTHER[name] if values[name] != OTHER[name] else usual[name] for name in names}
    )


def has_effect(config, name, before):
    try:
        return not same(outcome(changed(config, [name])), before)
    except TwincodeError:
        return True  # who refuses a value has read it


@pytest.mark.parametrize("model", MODELS)
def test_what_is_idle_changes_nothing_and_what_is_read_does(model):
    config, tried = build(model)
    before, idle = outcome(config), config.idle(OTHER)
    assert same(outcome(changed(config, idle)), before)
    read = [name for name in tried if name in OTHER and name not in idle]
    assert [name for name in read if not has_effect(config, name, before)] == []


def test_every_setting_that_is_not_always_read_is_tried():
    conditional = {name for name in field_names() if read_where(name)}
    assert set(OTHER) == conditional
    tried = set()
    for model in MODELS:
        config, names = build(model)
        tried |= set(names) - set(config.idle(names))
    assert conditional <= tried


def test_it_is_known_what_is_the_packages_own():
    registries = {"tokenizer": TOKENIZERS, "quantizer": QUANTIZERS, "twin_loss": TWIN_LOSSES}
    assert {name: tuple(registry) for name, registry in registries.items()} == OWN_CHOICES


@pytest.mark.parametrize("chooser", OWN_CHOICES)
def test_what_is_registered_elsewhere_may_read_everything(chooser):
    group = {"twin_loss": "objective"}.get(chooser, chooser)
    config = recipe("bt-vqvae", **{chooser: "from-elsewhere"})
    assert config.idle(config.to_dict()[group]) == {}
