"""The path of a recorded step, on the CPU: a recorder that does the work again when played.

A recording would break where the host waits for a value; this one fails there too.
"""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from conftest import make_task, make_waves, tiny
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from twincode.quantize import CodebookSettings
from twincode.recipes import RECIPES
from twincode.train.loop import train_epoch
from twincode.train.recording import WARM_UP, RecordedStep, capturable, recorded
from twincode.train.tokenizer_task import TokenizerTask

CPU = torch.device("cpu")
TRAINED = [
    name
    for name, (_, build) in RECIPES.items()
    if build().training.epochs and not name.startswith("thesis-")
]
AWAY = (torch.Tensor.cpu, torch.Tensor.numpy, torch.Tensor.tolist)
BY_INDEX = (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_)


class HostWaitError(Exception):
    """What follows in a step could begin only when the host has a value."""


class WatchKernels(TorchDispatchMode):
    """Fails at a value that is fetched and at a size that depends on values, in torch too."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if waits(func, args):
            raise HostWaitError(str(func))
        return func(*args, **(kwargs or {}))


class WatchCalls(TorchFunctionMode):
    """Fails at a tensor that is taken to the host, which on the CPU is no work for a kernel."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in AWAY:
            raise HostWaitError(func.__name__)
        if func is F.one_hot:  # looks at the codes, but on the CPU alone
            codes, size = args
            return (codes[..., None] == torch.arange(size)).long()
        return func(*args, **(kwargs or {}))


def waits(func, args):
    if func.overloadpacket in BY_INDEX:
        return any(index is not None and index.dtype == torch.bool for index in args[1])
    return bool({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags))


@contextmanager
def watched():
    with WatchCalls(), WatchKernels():
        yield


class Again:
    """Stands in for a graph: what it plays is the work as recorded, on the memory it recorded."""

    def __init__(self):
        self.warmed = self.recorded = self.played = 0

    def warm_up(self, work):
        self.warmed += 1
        return work()

    def record(self, work):
        self.recorded += 1

        def replay():
            self.played += 1
            with watched():
                return work()

        return replay


def learner(name, recorder, **changes):
    """It learns from batches of 14, 13 and 13, with codes from the first step."""
    if isinstance(tiny(name).quantizer, CodebookSettings):
        changes["continuous_share"] = 0
    if name == "contrastive-vae":
        changes["background_classes"] = "0"
    one = make_task(tiny(name, **changes), make_waves(40).X_train, np.arange(40) % 2)
    if recorder is not None:
        one._recorded = RecordedStep(one._optimise, recorder)
    return one


def train(one, epochs=3):
    records = [train_epoch(one, epoch) for epoch in range(1, epochs + 1)]
    state = [t.clone() for module in one.modules.values() for t in module.state_dict().values()]
    return [{**record, "seconds": 0} for record in records], state


@pytest.mark.parametrize("name", TRAINED)
def test_a_recipe_is_recorded_with_the_same_numbers_or_not_at_all(name):
    recorder = Again()
    one = learner(name, recorder)
    if not all(map(capturable, one.modules.values())):
        assert recorded(one._optimise, torch.device("cuda"), one.modules.values()) is None
        return
    again, other = train(one)
    records, state = train(learner(name, None))
    assert records == again
    assert all(torch.equal(a, b) for a, b in zip(state, other, strict=True))
    # Over three epochs there are three larger batches and six smaller ones.
    assert (recorder.warmed, recorder.recorded, recorder.played) == (2 * WARM_UP, 1, 6 - WARM_UP)


class Fetched(torch.autograd.Function):
    """Fetches a value on the way back."""

    @staticmethod
    def forward(_ctx, x):
        return x.clone()

    @staticmethod
    def backward(_ctx, gradient):
        return gradient * gradient.sum().item()


WAITING = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: 1 if x.any() else 0,
    "float": lambda x: float(x.detach().sum()),
    "cpu": lambda x: x.cpu(),
    "numpy": lambda x: x.detach().numpy(),
    "tolist": lambda x: x.tolist(),
    "rows by a mask": lambda x: x[x[:, 0] > 0],
    "rows set by a mask": lambda x: x.clone().index_put_((x[:, 0] > 0,), torch.ones(1, 3)),
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: torch.where(x > 0),
    "unique": lambda x: x.unique(),
    "bincount": lambda x: x.long().flatten().bincount(),
    "masked_select": lambda x: x.masked_select(x > 0),
    "equal": lambda x: torch.equal(x, x),
    "in a gradient": lambda x: Fetched.apply(x).sum().backward(),
}


@pytest.mark.parametrize("work", WAITING.values(), ids=WAITING)
def test_the_stand_in_notices_that_the_host_waits(work):
    x = torch.ones(2, 3, requires_grad=True)
    with pytest.raises(HostWaitError), watched():
        work(x)


def test_the_stand_in_lets_other_work_pass():
    x = torch.arange(6.0).view(2, 3)
    with watched():
        found = torch.where(x > 1, x, 0.0)[torch.tensor([1, 0])]
        won = F.one_hot(torch.tensor([2, 0]), 3)
    assert found.tolist() == [[3, 4, 5], [0, 0, 2]]
    assert won.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_recording_reads_its_own_memory():
    """A batch changed after its step must not reach the recording, nor a recording the batch."""
    seen = []

    def step(upper, lower):
        seen.append((upper.data_ptr(), lower.sum()))
        return upper.sum()

    recorded_step = RecordedStep(step, Again())
    batches = [torch.full((2, 3), float(i)) for i in range(WARM_UP + 3)]
    results = [recorded_step(batch, 10 * batch).item() for batch in batches]
    assert results == [6.0 * i for i in range(len(batches))]
    assert [lower.item() for _, lower in seen] == [60.0 * i for i in range(len(batches))]
    places = {place for place, _ in seen[WARM_UP:]}
    assert len(places) == 1
    assert not places & {batch.data_ptr() for batch in batches}


def test_both_sizes_of_even_batches_are_recorded():
    recorder = Again()
    recorded_step = RecordedStep(lambda upper, _lower: upper.sum(), recorder)
    for _ in range(WARM_UP + 2):
        assert recorded_step(torch.ones(4), None) == 4
        assert recorded_step(torch.ones(3), None) == 3
    assert (recorder.recorded, recorder.played) == (2, 4)


def test_a_third_shape_or_share_runs_as_it_is():
    recorder = Again()
    recorded_step = RecordedStep(lambda upper, _lower, share: upper.sum() * share, recorder)
    for size in (4, 3):
        for _ in range(WARM_UP + 2):
            recorded_step(torch.ones(size), None, 1.0)
    assert recorded_step(torch.ones(2), None, 1.0) == 2
    assert recorded_step(torch.ones(4), None, 0.5) == 2
    assert (recorder.recorded, recorder.played) == (2, 4)


def test_only_accelerators_record_when_asked_and_only_what_can_be_recorded(monkeypatch):
    class Counting(torch.nn.Module):
        capturable = False

    assert recorded(print, torch.device("cuda"), []) is None
    monkeypatch.setenv("TWINCODE_GRAPHS", "1")
    assert recorded(print, CPU, []) is None
    assert recorded(print, torch.device("cuda"), [Counting()]) is None
    assert capturable(torch.nn.Sequential(torch.nn.Linear(1, 1)))
    assert not capturable(torch.nn.Sequential(torch.nn.Linear(1, 1), Counting()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_a_cuda_graph_gives_the_numbers_of_single_launches(monkeypatch):
    found = []
    for setting in ("0", "1"):
        monkeypatch.setenv("TWINCODE_GRAPHS", setting)
        one = TokenizerTask(tiny("bt-vqvae"), make_waves(40), torch.device("cuda"))
        assert (one._recorded is not None) == (setting == "1")
        found.append([train_epoch(one, epoch)["losses"] for epoch in range(1, 5)])
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
