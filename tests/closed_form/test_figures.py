"""The closed forms' errors on a small set that comes with aeon, so that nobody makes them worse
unnoticed. Measured over seeds 0, 1, 2; a figure may be a third above the worst of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from aeon.datasets import load_italy_power_demand

from twincode.closed_form.components import ComponentCoder
from twincode.closed_form.mixture import MixtureCoder
from twincode.closed_form.patches import PatchCoder
from twincode.evaluate.rate import nmse

BITS = 100
TOLERANCE = 1.33
FIGURES: list[tuple[Callable[[torch.Tensor, torch.Generator], Any], float]] = [
    (lambda x, g: ComponentCoder.fit(x, BITS, g), 0.0125),
    (lambda x, g: PatchCoder.fit(x, BITS, g), 0.0056),
    (lambda x, g: MixtureCoder.fit(x, BITS, g, rate="capped"), 0.0030),
    (lambda x, g: MixtureCoder.fit(x, BITS, g, rate="average"), 0.00013),
]


@pytest.mark.parametrize(("fit", "figure"), FIGURES, ids=("pca-pq", "patch-rvq", "cap", "average"))
def test_error_of_italy_power_demand_at_100_bits(
    fit: Callable[[torch.Tensor, torch.Generator], Any], figure: float
) -> None:
    train, test = (load_italy_power_demand(split=split)[0] for split in ("train", "test"))
    mean, deviation = train.mean(), train.std()
    x, x_test = (torch.tensor((part - mean) / deviation).float() for part in (train, test))
    coder = fit(x, torch.Generator().manual_seed(0))
    codes = coder.encode(x_test)
    assert nmse(np.asarray(x_test), np.asarray(coder.decode(codes))) < TOLERANCE * figure
    if isinstance(coder, MixtureCoder):
        assert float(coder.bits_of(codes).mean()) < 1.05 * BITS
