"""How much of a Gaussian posterior says anything of the series."""

from torch import Tensor

from twincode.quantize import Regions
from twincode.tokenizers import Tokenizer

ACTIVE_UNITS = "active_units"
ACTIVE_VARIANCE = 0.01


def active_units(means: Tensor) -> int:
    """Number of latent values whose posterior mean varies over the data by more than 0.01.

    ``means`` is (n, ...), a row a series. The measure, the threshold and its use for finding
    posterior collapse are those of Burda, Grosse and Salakhutdinov (2016, section 5.2).
    """
    variances = means.flatten(start_dim=1).double().var(dim=0, correction=0)
    return int((variances > ACTIVE_VARIANCE).sum())


def posterior_measures(tokenizer: Tokenizer, means: Tensor) -> dict[str, float]:
    """``active_units`` of means (n, D, H, W), and of each level or band where there are several."""
    measures = {ACTIVE_UNITS: active_units(means)}
    for name in tokenizer.region_names:
        measures[_of_region(name)] = active_units(tokenizer.region(means, None, name)[0])
    return {name: float(count) for name, count in measures.items()}


def latent_values(tokenizer: Tokenizer) -> dict[str, int]:
    """How many latent values a series has, by the name of the measure that counts active ones.

    Where there are several levels or bands it is they that are named, since one may have collapsed
    while the others live.
    """
    height, quantizer = tokenizer.latent_channels * tokenizer.grid[0], tokenizer.quantizer
    if not isinstance(quantizer, Regions):
        return {ACTIVE_UNITS: height * tokenizer.grid[1]}
    widths = zip(tokenizer.region_names, quantizer.widths, strict=True)
    return {_of_region(name): height * width for name, width in widths}


def _of_region(name: str) -> str:
    return f"{ACTIVE_UNITS}_{name}"
