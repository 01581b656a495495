"""How much of a Gaussian posterior says anything of the series."""

import torch
from torch import Tensor

from twincode.evaluate.metric import Evaluator, Judged, Metric
from twincode.quantize import Regions
from twincode.tokenizers import Tokenizer

ACTIVE_UNITS = "active_units"
ACTIVE_VARIANCE = 0.01


class Posterior(Evaluator):
    """How many latent values of a Gaussian posterior are active over train and test together."""

    metrics = (Metric(ACTIVE_UNITS, "Active units"),)

    def declare(self, tokenizer: Tokenizer) -> list[Metric]:
        """One number of the whole posterior, and one of each level or band."""
        names = tokenizer.region_names
        regions = (Metric(_of_region(name), f"Active units, {name}") for name in names)
        return [*self.metrics, *regions]

    def measure(self, judged: Judged) -> dict[str, float]:
        """What is declared; nothing without a Gaussian posterior."""
        tokenizer = judged.tokenizer
        if not tokenizer.quantizer.gaussian:
            return {}
        means = torch.cat([judged.train.latents, judged.test.latents])
        found = {ACTIVE_UNITS: float(active_units(means))}
        for name in tokenizer.region_names:
            found[_of_region(name)] = float(active_units(tokenizer.region(means, None, name)[0]))
        return found


def active_units(means: Tensor) -> int:
    """Number of latent values whose posterior mean varies over the data by more than 0.01.

    ``means`` is (n, ...), a row a series. The measure, the threshold and its use for finding
    posterior collapse are those of Burda, Grosse and Salakhutdinov (2016, section 5.2).
    """
    variances = means.flatten(start_dim=1).double().var(dim=0, correction=0)
    return int((variances > ACTIVE_VARIANCE).sum())


def latent_values(tokenizer: Tokenizer) -> dict[str, int]:
    """How many latent values a series has, by the name of the measure that counts active ones.

    Where there are several levels or bands it is they that are named, since one may have collapsed
    while the others live.
    """
    height, quantizer = tokenizer.latent_channels * tokenizer.grid[0], tokenizer.quantizer
    if not isinstance(quantizer, Regions):
        return {ACTIVE_UNITS: height * tokenizer.grid[1]}
    return {_of_region(name): height * width for name, width in quantizer.widths.items()}


def _of_region(name: str) -> str:
    return f"{ACTIVE_UNITS}_{name}"
