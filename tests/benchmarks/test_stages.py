"""What the second stage costs is measured stage by stage."""

import torch
from conftest import make_waves

from benchmarks import stages


def test_every_stage_takes_its_time():
    data = make_waves()
    few = {"extractor_seeds": 1, "extractor_steps": 2}
    found = stages.measure(data, torch.device("cpu"), 2, 3, few)
    names = ["codes", "prior, 3 steps", f"{len(data.X_test)} samples", "metrics"]
    assert [cost.stage for cost in found] == names
    assert all(cost.seconds > 0 for cost in found)
