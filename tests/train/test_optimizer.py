import subprocess
import sys

import pytest
import torch

from twincode.train.optimizer import AdamW

SHAPES = ((8, 4, 3, 3), (5,), (3, 7), (2, 2))


def parameters():
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(shape, generator=generator) for shape in SHAPES]
    drawn[0] = drawn[0].to(memory_format=torch.channels_last)
    return [tensor.requires_grad_() for tensor in drawn]


def gradients(step):
    """The last parameter has none at first."""
    generator = torch.Generator().manual_seed(step)
    shapes = SHAPES if step > 3 else SHAPES[:-1]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def take_steps(optimizer, held, steps):
    for step in steps:
        for parameter, gradient in zip(held, gradients(step), strict=False):
            parameter.grad = gradient.clone(memory_format=torch.preserve_format)
        optimizer.step()
        optimizer.zero_grad()


def test_steps_are_those_of_torchs_own_to_the_bit():
    ours, theirs = parameters(), parameters()
    one = AdamW(ours, 1e-3, 1e-2)
    other = torch.optim.AdamW(theirs, lr=1e-3, weight_decay=1e-2, fused=True)
    for step in range(8):
        rate = 1e-3 / (step + 3)
        one.set_learning_rate(rate)
        other.param_groups[0]["lr"] = rate
        take_steps(one, ours, [step])
        take_steps(other, theirs, [step])
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert one.learning_rate == rate


def test_state_taken_over_goes_on_to_the_same_numbers():
    undisturbed, stopped = parameters(), parameters()
    take_steps(AdamW(undisturbed, 1e-3, 1e-3), undisturbed, range(6))
    first = AdamW(stopped, 1e-3, 1e-3)
    take_steps(first, stopped, range(3))
    second = AdamW(stopped, 1e-3, 1e-3)
    # As from a file: in plain memory order.
    second.load_state(
        {i: {name: t.contiguous() for name, t in s.items()} for i, s in enumerate(first.state)}
    )
    take_steps(second, stopped, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(undisturbed, stopped, strict=True))


@pytest.mark.parametrize(
    ("place", "change"),
    [(9, {}), (1, {"exp_avg": torch.zeros(2)}), (0, {"momentum": torch.zeros(1)})],
)
def test_state_of_something_else_is_refused(place, change):
    optimizer = AdamW(parameters(), 1e-3, 1e-3)
    with pytest.raises(ValueError, match="parameter"):
        optimizer.load_state({place: {**optimizer.state[min(place, 3)], **change}})


def test_nothing_to_train_is_no_error():
    optimizer = AdamW([], 1e-3, 1e-3)
    optimizer.step()
    optimizer.zero_grad()


def test_the_loop_starts_without_torchs_compiler():
    program = (
        "import sys, torch; from twincode.recipes import recipe;"
        "from twincode.train.loop import build_learner; x = torch.randn(6, 1, 24);"
        "config = recipe('bt-vqvae', projector_width=8, latent_channels=4);"
        "build_learner(config, x, torch.device('cpu')).train_epoch(x, 1);"
        "sys.exit(' '.join({'torch._dynamo', 'sklearn', 'aeon'} & set(sys.modules)) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
