"""What every twin objective promises, and what the stateful ones remember."""

import pytest
import torch
from torch.nn import functional as F

from twincode.losses import (
    TWIN_LOSSES,
    TwinObjective,
    TwinSettings,
    byol_loss,
    info_nce_loss,
    pairwise,
)
from twincode.randomness import drawing_weights
from twincode.settings import field_types

SMALL = {"projector_width": 8, "predictor_width": 5, "queue_size": 6, "whitening_width": 4}
D = 3


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(name, **changes):
    settings = TWIN_LOSSES.choose(name)
    small = {key: value for key, value in SMALL.items() if key in field_types(type(settings))}
    with drawing_weights(0):
        return TWIN_LOSSES.build(settings.replace(**small, **changes)).train()


def seen(twin, batch=4):
    """The projections of student and teacher that an objective is given."""
    views = [noise(batch, 8, seed=1), noise(batch, 8, seed=2)]
    student = views if twin.symmetric else views[:1]
    teacher = [view + 0.1 for view in (views if twin.symmetric else views[1:])]
    return student, teacher if twin.needs_teacher else []


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("name", sorted(TWIN_LOSSES))
def test_a_projector_makes_rows_of_width_p_view_by_view(name):
    projector = build(name).build_projector(D).train()
    one, two = noise(5, D, 4, 6, seed=1), noise(5, D, 4, 6, seed=2)
    both = projector(torch.cat([one, two]), views=2)
    assert both.shape == (10, 8)
    torch.testing.assert_close(both[:5], projector(one), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(TWIN_LOSSES))
def test_looking_at_views_moves_nothing_but_batch_statistics(name):
    twin = build(name)
    before = state(twin)
    student, teacher = seen(twin)
    twin(twin.predict(student), teacher)
    moved = [key for key, tensor in state(twin).items() if not torch.equal(tensor, before[key])]
    assert all("running" in key or "batches" in key for key in moved)


@pytest.mark.parametrize("name", sorted(TWIN_LOSSES))
@pytest.mark.parametrize("batch", [1, 4])
def test_gradients_reach_the_student_and_every_parameter_but_no_teacher(name, batch):
    twin = build(name)
    student, teacher = ([view.requires_grad_() for view in views] for views in seen(twin, batch))
    kept = [view.clone() for view in teacher]
    loss = twin(twin.predict(student), [view.detach() for view in teacher])
    loss.backward()
    assert loss.shape == ()
    assert loss.isfinite()
    assert all(view.grad.isfinite().all() for view in student)
    assert all(parameter.grad is not None for parameter in twin.parameters())
    assert all(torch.equal(*pair) for pair in zip(kept, teacher, strict=True))


def test_the_queue_moves_in_update_alone_and_keeps_the_newest_keys():
    twin = build("moco")
    first = twin.queue.clone()
    torch.testing.assert_close(first.norm(dim=1), torch.ones(6))
    keys = noise(4, 8)
    twin.update([keys])
    units = F.normalize(keys, dim=1)
    torch.testing.assert_close(twin.queue, torch.cat([units, first[:2]]))
    more = noise(7, 8, seed=3)
    twin.update([more])
    torch.testing.assert_close(twin.queue, F.normalize(more[:6], dim=1))
    assert "queue" in twin.state_dict()
    assert not list(twin.parameters())


def test_moco_compares_the_upper_view_with_the_teachers_lower_one():
    twin = build("moco", contrastive_temperature=0.3)
    (query,), (key,) = seen(twin)
    assert twin([query], [key]) == info_nce_loss(query, key, twin.queue, 0.3)


def test_byol_predicts_each_view_from_the_other():
    twin = build("byol")
    (upper, lower), (of_upper, of_lower) = seen(twin)
    expected = byol_loss(twin.predictor(upper), of_lower) + byol_loss(
        twin.predictor(lower), of_upper
    )
    predicted = twin.predict([upper, lower])
    torch.testing.assert_close(twin(predicted, [of_upper, of_lower]), expected)


def test_a_pure_function_is_an_objective():
    build = pairwise(lambda a, b, settings: settings.gamma * (a - b).square().mean())
    twin = build(TwinSettings(gamma=2.0, projector_width=8))
    assert isinstance(twin, TwinObjective)
    assert not twin.needs_teacher
    assert twin.symmetric
    assert twin([torch.ones(2, 8), torch.zeros(2, 8)]) == 2
    assert list(twin.state_dict()) == []
