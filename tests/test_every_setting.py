"""Every setting of every part changes what the part computes, or is checked.

Read from the registries, so that a new part is tested here without being named.
"""

import dataclasses
from contextlib import suppress
from functools import cache

import pytest
import torch
from conftest import make_waves, seeded_quantizer, seeded_tokenizer, tiny

from twincode.augment import AUGMENTATIONS, Augmenter
from twincode.errors import TwincodeError
from twincode.losses import TWIN_LOSSES
from twincode.priors import PRIORS
from twincode.quantize import QUANTIZERS
from twincode.randomness import drawing_weights, noise_stream
from twincode.recipes import recipe
from twincode.spectral import STFT
from twincode.tokenizers import TOKENIZERS
from twincode.train import fit
from twincode.train.loop import learning_rate_at
from twincode.train.prior_task import PriorTask

CPU = torch.device("cpu")
# What the training loop and the objective read of a part, or the part itself when its codes are
# placed or used: these have tests of their own.
READ_ELSEWHERE = {
    "background_classes", "continuous_share", "gamma", "gamma_scale", "teacher_momentum",
    "teacher_schedule", "teacher_span", "beam", "refinements", "patience", "prior_per_grid",
}  # fmt: skip
SMALL_LOSS = {"projector_width": 8, "predictor_width": 5, "queue_size": 6, "whitening_width": 4}


def others(settings, name, outcome):
    """Other values of a setting; where it is one of some choices, another of these."""
    value = getattr(settings, name)
    if isinstance(value, str):
        with pytest.raises(TwincodeError, match="Known: ") as refused:
            outcome(settings.replace(**{name: "nonsense"}))
        choices = str(refused.value).rpartition("Known: ")[2].split(", ")
        return [next(choice for choice in choices if choice != value)]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, tuple):
        return [tuple(2 * item for item in value), tuple(item / 2 for item in value)]
    return [value // 2, 2 * value] if isinstance(value, int) else [2 * value or 0.02, value / 2]


def noise(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tokenized(settings):
    config = recipe("vqvae", tokenizer=settings.name)
    tokenizer = seeded_tokenizer(dataclasses.replace(config, tokenizer=settings), length=80)
    if tokenizer.fits_all:
        tokenizer.initialise(noise(60, 1, 80), torch.Generator().manual_seed(0))
    return [tokenizer.latents(noise(3, 1, 80)), *tokenizer.state_dict().values()]


def quantized(settings):
    fields = {k: v for k, v in settings.to_dict().items() if k != "name"}
    quantizer, z = seeded_quantizer(settings.name, 4, **fields), noise(8, 4, 2, 3)
    with noise_stream(0, 1, CPU):
        quantizer.initialise(z, torch.Generator().manual_seed(0))
        for step in range(12):
            if (codes := quantizer(z).codes) is not None:
                quantizer.update(z + step, codes)
        found = quantizer.train()(z)
    return [found.latents, found.loss, *quantizer.codebooks()]


def taught(settings):
    """The loss of fixed latents of two views, and of a fixed teacher where it has one."""
    with drawing_weights(0):
        twin = TWIN_LOSSES.build(settings).train()
        projector = twin.build_projector(3).train()
    views = 2 if twin.symmetric else 1
    student = projector(noise(views * 5, 3, 4, 6), views=views).chunk(views)
    teacher = noise(views * 5, student[0].shape[1]).chunk(views) if twin.needs_teacher else ()
    return [twin(twin.predict(student), teacher)]


def augmented(settings):
    x = torch.from_numpy(make_waves(20).X_train)
    return [Augmenter([settings], STFT(x.shape[-1]))(x, torch.Generator().manual_seed(0))]


@cache
def drawn_model():
    """A tokenizer as it is drawn, and its data."""
    data = make_waves(40)
    return fit(tiny("vqvae", epochs=0, evaluations=0), data), data


def modelled(settings):
    """What a step of training a prior leaves, and how the steps would go on."""
    task = PriorTask(settings, *drawn_model())
    schedule = task.schedule
    if schedule.epochs:
        task.begin_epoch(1)
        task.step(torch.arange(min(30, schedule.batch_size)), 0)
    rates = [learning_rate_at(schedule, step) for step in range(0, schedule.steps, 7)]
    plan = torch.tensor([schedule.n, schedule.batch_size, *rates], dtype=torch.float64)
    return [plan, *task.prior.state_dict().values()]


OUTCOMES = {
    TOKENIZERS: tokenized,
    QUANTIZERS: quantized,
    TWIN_LOSSES: taught,
    AUGMENTATIONS: augmented,
    PRIORS: modelled,
}
PARTS = [(registry, name) for registry in OUTCOMES for name in registry]


def has_effect(settings, name, outcome, before):
    for value in others(settings, name, outcome):
        with suppress(TwincodeError):
            return not same(before, outcome(settings.replace(**{name: value})))
    return True  # who refuses them all has read it


def same(before, after):
    return len(before) == len(after) and all(map(torch.equal, before, after))


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize(("registry", "name"), PARTS, ids=lambda each: getattr(each, "kind", each))
def test_every_setting_makes_a_difference(registry, name):
    settings, outcome = registry.choose(name), OUTCOMES[registry]
    fields = {field.name for field in dataclasses.fields(settings)}
    if registry is TWIN_LOSSES:
        settings = settings.replace(**{k: v for k, v in SMALL_LOSS.items() if k in fields})
    if registry is PRIORS:
        few = {"steps": 40, "model_width": 16} if "steps" in fields else {}
        settings = settings.replace(seed=2, **few)
    if {"window_steps", "modes"} <= fields:
        settings = settings.replace(window_steps=20, modes=2)  # where 0, they are chosen
    before = outcome(settings)
    assert same(before, outcome(settings))
    tried = fields - READ_ELSEWHERE
    assert {each for each in tried if not has_effect(settings, each, outcome, before)} == set()
