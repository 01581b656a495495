import copy
import math

import pytest
import torch
from conftest import make_task, make_waves, tiny
from torch.nn import functional as F

from twincode.losses import TeacherSettings
from twincode.randomness import stream
from twincode.recipes import recipe
from twincode.train.loop import train_epoch
from twincode.train.teacher import momentum_at

TAUGHT = ("moco-vqvae", "byol-vqvae", "moco", "byol")


def series(n=20):
    return torch.from_numpy(make_waves(n).X_train)


def same(some, others):
    return all(torch.equal(*pair) for pair in zip(some, others, strict=True))


def learner(name, **changes):
    return make_task(tiny(name, **changes), series())


def parameters(module):
    return {name: parameter.clone() for name, parameter in module.named_parameters()}


@pytest.mark.parametrize("name", TAUGHT)
def test_the_teacher_begins_as_the_student_and_gets_no_gradient(name):
    one = learner(name)
    teacher = one.teacher
    for mine, theirs in (
        (teacher.tokenizer, one.tokenizer),
        (teacher.projector, one.objective.projector),
    ):
        assert mine is not theirs
        assert same(mine.parameters(), theirs.parameters())
    train_epoch(one, 1)
    held = {id(p) for group in one.optimizer.param_groups for p in group["params"]}
    for parameter in teacher.parameters():
        assert parameter.grad is None
        assert not parameter.requires_grad
        assert id(parameter) not in held


@pytest.mark.parametrize("name", [*TAUGHT, "vicreg-vqvae", "vibcreg-vqvae", "simclr-vqvae"])
def test_every_parameter_of_the_student_is_optimised_and_gets_a_gradient(name):
    one = learner(name)
    train_epoch(one, 1)
    named = dict(one.tokenizer.named_parameters()) | dict(one.objective.named_parameters())
    assert [key for key, parameter in named.items() if parameter.grad is None] == []
    held = {id(p) for group in one.optimizer.param_groups for p in group["params"]}
    assert held == {id(parameter) for parameter in named.values()}
    assert any(key.startswith("projector") for key in named)
    assert any(key.startswith("twin.predictor") for key in named) == name.startswith("byol")


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_teacher_follows_every_step(schedule):
    """t = m t + (1 - m) s after each of four steps, two in an epoch, m as scheduled for the run."""
    one = learner("moco", teacher_momentum=0.6, teacher_schedule=schedule, batch_size=10, epochs=2)
    expected = parameters(one.teacher.tokenizer)
    students = []
    one.optimizer.register_step_post_hook(lambda *_: students.append(parameters(one.tokenizer)))
    for epoch in (1, 2):
        train_epoch(one, epoch)
    momenta = {"constant": [0.6] * 4, "cosine": [0.6, 0.6585786, 0.8, 0.9414214]}[schedule]
    for student, m in zip(students, momenta, strict=True):
        expected = {name: m * t + (1 - m) * student[name] for name, t in expected.items()}
    for name, parameter in one.teacher.tokenizer.named_parameters():
        torch.testing.assert_close(parameter, expected[name])


def test_targets_are_what_the_student_would_project_in_training_mode():
    one = learner("byol")
    upper, lower = series(), series().flip(-1)
    found = one.teacher(upper, lower, symmetric=True)
    one.tokenizer.train()
    for view, target in zip((upper, lower), found, strict=True):
        latents = one.tokenizer(view).latents
        torch.testing.assert_close(one.objective.projector(latents), target, atol=1e-5, rtol=1e-4)
    (alone,) = one.teacher(upper, lower, symmetric=False)
    torch.testing.assert_close(alone, found[1], atol=1e-5, rtol=1e-4)


def test_the_queue_is_filled_with_the_teachers_keys_of_the_lower_view():
    """In the second epoch, where the student is no longer what the teacher is."""
    one = learner("moco", batch_size=20, queue_size=20, learning_rate=0.1)
    train_epoch(one, 1)
    teacher, student = copy.deepcopy(one.teacher), copy.deepcopy(one.modules)
    before = one.objective.twin.queue.clone()
    x = one.split.x_train[torch.randperm(20, generator=stream(0, "order", 2))]
    upper, lower = one.augmenter(torch.cat([x, x]), stream(0, "views", 2)).chunk(2)
    student["tokenizer"].train()
    keys, of_the_upper_view, of_the_student = (
        F.normalize(projector(tokenizer.latents(view)), dim=1)
        for tokenizer, projector, view in (
            (teacher.tokenizer, teacher.projector, lower),
            (teacher.tokenizer, teacher.projector, upper),
            (student["tokenizer"], student["objective"].projector, lower),
        )
    )
    train_epoch(one, 2)
    queue = one.objective.twin.queue
    torch.testing.assert_close(queue, keys)
    for other in (before, of_the_upper_view, of_the_student):
        assert not torch.isclose(queue, other, atol=1e-3).all(dim=1).any()


@pytest.mark.parametrize("name", ["vqvae", "bt-vqvae", "vicreg-vqvae", "simclr"])
def test_objectives_that_need_no_teacher_have_none(name):
    one = learner(name)
    assert one.teacher is None
    assert set(one.modules) == {"tokenizer", "objective"}


def test_momentum_is_constant_or_rises_to_one():
    constant = TeacherSettings(teacher_momentum=0.9, teacher_span=0.0)
    cosine = TeacherSettings(teacher_momentum=0.9, teacher_schedule="cosine", teacher_span=0.0)
    assert [momentum_at(constant, k, 8) for k in (0, 4, 8)] == pytest.approx([0.9, 0.9, 0.9])
    for k in range(9):
        expected = 1 - (1 - 0.9) * (math.cos(math.pi * k / 8) + 1) / 2
        assert momentum_at(cosine, k, 8) == pytest.approx(expected)
    assert [momentum_at(cosine, k, 8) for k in (0, 8)] == pytest.approx([0.9, 1.0])


@pytest.mark.parametrize("name", ["moco", "byol"])
@pytest.mark.parametrize("steps", [100, 200, 1000, 100_000])
def test_a_teacher_forgets_its_random_start_in_a_short_run(name, steps):
    """After 200 steps 82 % of MoCo's teacher was still its start."""
    own = recipe(name).twin_loss
    left = math.prod(momentum_at(own, step, steps) for step in range(steps))
    assert left < 0.02
    assert all(momentum_at(own, step, steps) >= 0.9 for step in range(steps))
    if steps == 100_000:
        assert momentum_at(own, 0, steps) == pytest.approx(own.teacher_momentum)


@pytest.mark.parametrize("name", ["moco-vqvae", "byol-vqvae", "simclr-vqvae"])
def test_without_gamma_it_is_the_augmented_model(name):
    silent, augmented = learner(name, gamma=0), learner("vqvae-augmented")
    assert silent.teacher is None
    for epoch in (1, 2):
        losses = [train_epoch(one, epoch)["losses"] for one in (silent, augmented)]
        assert losses[0] == losses[1]
    states = [one.tokenizer.state_dict().values() for one in (silent, augmented)]
    assert same(*states)


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("name", ["vibcreg-vqvae", "moco-vqvae", "byol-vqvae"])
def test_half_precision_trains(name):
    record = train_epoch(learner(name, precision="bfloat16"), 1)
    assert all(math.isfinite(value) for value in record["losses"].values())


@pytest.mark.parametrize("name", ["vicreg", "vibcreg", "simclr", "moco", "byol"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_tiny_batches_and_constant_series_train_without_nan(name, batch_size):
    x = torch.ones(4, 1, 20)
    one = make_task(tiny(name, batch_size=batch_size), x)
    record = train_epoch(one, 1)
    assert all(math.isfinite(value) for value in record["losses"].values())
    for module in one.modules.values():
        assert all(tensor.isfinite().all() for tensor in module.state_dict().values())
