"""What the second stage costs, from a trained tokenizer to the scores of what is drawn.

    python -m benchmarks.stages ECG5000

A VQ-VAE is trained first, which does not count. Then all series are turned into codes, a masked
prior is trained at its defaults, as many series are drawn as test has, and samples are judged: by
every metric but ``cas``, with three extractors and all controls, for which series are drawn anew.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from benchmarks.floor import product_rate
from benchmarks.tables import RESULTS, write_table
from benchmarks.timing import seconds
from twincode.data import Dataset, load_dataset
from twincode.devices import choose_device, device_name
from twincode.memory import keep_freed_memory
from twincode.priors import prior
from twincode.recipes import recipe
from twincode.train import fit, fit_prior

TOKENIZER_STEPS, PRIOR_STEPS = 300, 2000


class Cost(NamedTuple):
    """Seconds that a stage took: the processor's on one thread, the wall's beside a GPU.

    ``matrix_product`` says how fast that was: 1e9 operations a second in float32.
    """

    dataset: str
    stage: str
    seconds: float
    device: str
    matrix_product: float


def measure(
    data: Dataset,
    device: torch.device,
    tokenizer_steps: int = TOKENIZER_STEPS,
    prior_steps: int = PRIOR_STEPS,
    judging: Mapping[str, Any] | None = None,
) -> list[Cost]:
    """Every stage in turn, each from what the one before left."""
    trained = recipe("vqvae", steps=tokenizer_steps, batch_size=64, evaluations=0)
    model = fit(trained, data, device=device.type)

    def train_prior() -> None:
        nonlocal model
        model = fit_prior(prior("masked", steps=prior_steps), model, data)

    stages: dict[str, Callable[[], object]] = {
        "codes": lambda: [model.encode(x) for x in (data.X_train, data.X_test)],
        f"prior, {prior_steps} steps": train_prior,
        f"{len(data.X_test)} samples": lambda: model.sample(len(data.X_test)),
        "metrics": lambda: model.evaluate_generation(data, **(judging or {})),
    }
    told = device_name(device), product_rate(torch.float32, device)
    return [Cost(data.name, name, seconds(work), *told) for name, work in stages.items()]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    device = choose_device(asked.device)
    costs = measure(load_dataset(asked.dataset), device)
    for cost in costs:
        print(f"{cost.stage}: {cost.seconds:.1f} s")
    print(f"together: {sum(cost.seconds for cost in costs) / 60:.1f} min")
    write_table(RESULTS / f"{device.type}-stages.csv", costs)


if __name__ == "__main__":
    main()
