"""How much of a Gaussian posterior says anything of the series."""

from torch import Tensor

ACTIVE_VARIANCE = 0.01


def active_units(means: Tensor) -> int:
    """Number of latent values whose posterior mean varies over the data by more than 0.01.

    ``means`` is (n, ...), a row a series. The measure, the threshold and its use for finding
    posterior collapse are those of Burda, Grosse and Salakhutdinov (2016, section 5.2).
    """
    variances = means.flatten(start_dim=1).double().var(dim=0, correction=0)
    return int((variances > ACTIVE_VARIANCE).sum())
