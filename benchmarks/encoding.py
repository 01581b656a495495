"""How many codes fall otherwise when a trained model encodes in bfloat16."""

from collections.abc import Iterator
from typing import NamedTuple

from twincode.data import load_dataset
from twincode.recipes import recipe
from twincode.train import fit

# Sets that come with aeon, so that nothing has to be fetched.
SETS = ("GunPoint", "ItalyPowerDemand", "ArrowHead")
EPOCHS = 20


class Agreement(NamedTuple):
    """The share of all test codes that differ from those in float32."""

    dataset: str
    epochs: int
    codes: int
    changed: float


def agreements(sets: tuple[str, ...] = SETS, **settings: object) -> Iterator[Agreement]:
    """Train the naive model briefly on each set and encode its test part in both precisions."""
    for name in sets:
        data = load_dataset(name, download=False)
        config = recipe("vqvae", **{"epochs": EPOCHS, "evaluations": 0, **settings})
        model = fit(config, data, device="cpu")
        full, low = (model.encode(data.X_test, precision) for precision in ("float32", "bfloat16"))
        yield Agreement(name, config.training.epochs, full.size, float((full != low).mean()))
