"""The path of a recorded step, on the CPU: a recorder that does the work again when played."""

import dataclasses

import pytest
import torch
from conftest import make_waves, tiny

from twincode.train.loop import build_learner
from twincode.train.recording import WARM_UP, Batch, RecordedStep, capturable, recorder_for

CPU = torch.device("cpu")


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
            return work()

        return replay


def trained(name, recorder, epochs=3, **changes):
    x = torch.from_numpy(make_waves(40).X_train)  # batches of 16, 16 and 8
    one = build_learner(tiny(name, **changes), x, CPU)
    one = dataclasses.replace(one, recorder=recorder)
    records = [one.train_epoch(x, epoch) for epoch in range(1, epochs + 1)]
    state = [t.clone() for module in one.modules.values() for t in module.state_dict().values()]
    return [{**r, "seconds": 0} for r in records], state


@pytest.mark.parametrize("name", ["vqvae", "bt-vqvae", "moco-vqvae", "byol-vqvae", "vae"])
def test_recorded_steps_give_the_same_numbers(name):
    recorder = Again()
    records, state = trained(name, None)
    again, other = trained(name, recorder)
    assert records == again
    assert all(torch.equal(a, b) for a, b in zip(state, other, strict=True))
    # Six full batches in three epochs; the three smaller ones run as they are.
    assert (recorder.warmed, recorder.recorded, recorder.played) == (WARM_UP, 1, 6 - WARM_UP)


def test_a_recording_reads_its_own_memory():
    """A batch changed after its step must not reach the recording, nor a recording the batch."""
    seen = []

    def step(batch):
        upper, lower, _, _ = batch
        seen.append((upper.data_ptr(), float(upper.sum()), float(lower.sum())))
        return {"total": upper.sum()}, None

    recorded = RecordedStep(step, Again())
    batches = [torch.full((2, 3), float(i)) for i in range(WARM_UP + 3)]
    results = [
        recorded(Batch(batch, 10 * batch, None, 1.0))[0]["total"].item() for batch in batches
    ]
    assert results == [6.0 * i for i in range(len(batches))]
    assert [lower for _, _, lower in seen] == [60.0 * i for i in range(len(batches))]
    places = {place for place, _, _ in seen[WARM_UP:]}
    assert len(places) == 1
    assert not places & {batch.data_ptr() for batch in batches}


def test_another_shape_runs_as_it_is():
    recorder = Again()
    recorded = RecordedStep(lambda batch: ({"n": batch.upper.sum() * batch.share}, None), recorder)
    for _ in range(WARM_UP + 2):
        recorded(Batch(torch.ones(4), None, None, 1.0))
    found, _ = recorded(Batch(torch.ones(3), None, None, 0.5))
    assert found["n"] == 1.5
    assert (recorder.recorded, recorder.played) == (1, 2)


def test_a_step_waits_for_nothing_on_the_host(monkeypatch):
    """What would break a recording: a value fetched, a size that depends on values."""
    x = torch.from_numpy(make_waves(16).X_train)
    one = build_learner(tiny("bt-vqvae"), x, CPU)

    def refuse(*_arguments, **_keywords):
        raise AssertionError("a step must not wait for the host")

    for name in ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    for name in ("bincount", "unique", "nonzero", "masked_select"):
        monkeypatch.setattr(torch, name, refuse)
    one.tokenizer.train()
    losses, _ = one._step(Batch(x, x, None, 1.0))
    monkeypatch.undo()
    assert losses["total"].isfinite()


def test_only_accelerators_record_and_only_what_can_be_recorded():
    class Counting(torch.nn.Module):
        capturable = False

    assert recorder_for(CPU, []) is None
    assert capturable(torch.nn.Sequential(torch.nn.Linear(1, 1)))
    assert not capturable(torch.nn.Sequential(torch.nn.Linear(1, 1), Counting()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_a_cuda_graph_gives_the_numbers_of_single_launches(monkeypatch):
    device, found = torch.device("cuda"), []
    x = torch.from_numpy(make_waves(40).X_train).to(device)
    for setting in ("0", "1"):
        monkeypatch.setenv("TWINCODE_GRAPHS", setting)
        one = build_learner(tiny("bt-vqvae"), x, device)
        assert (one.recorder is None) == (setting == "0")
        found.append([one.train_epoch(x, epoch)["losses"] for epoch in range(1, 5)])
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
