"""What the closed forms need to know of a data set, gathered in one pass of bounded memory."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from twincode.errors import TwincodeError

RESERVOIR = 10_000


@dataclass(frozen=True)
class Sample:
    """Exact first and second moments of all series, and a uniform sample of the series themselves.

    ``series`` (m, C, L) float32, ``mean`` (C L,) and ``covariance`` (C L, C L) float64, ``count``
    the number of series seen.
    """

    series: torch.Tensor
    mean: torch.Tensor
    covariance: torch.Tensor
    count: int


def as_batches(x: torch.Tensor | Iterable[torch.Tensor]) -> Iterable[torch.Tensor]:
    """One tensor (n, C, L) as a single batch; an iterable of such tensors as it is."""
    return [x] if isinstance(x, torch.Tensor) else x


def check_series(x: torch.Tensor, shape: tuple[int, int] | None = None) -> torch.Tensor:
    """``x`` as float32 (n, C, L); TwincodeError unless it is finite and of ``shape`` (C, L)."""
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise TwincodeError(f"series must be (n, channels, steps), not {tuple(x.shape)}")
    if shape is not None and tuple(x.shape[1:]) != shape:
        raise TwincodeError(
            f"this coder was fitted on series of {shape[0]} channels and {shape[1]} steps, "
            f"not {x.shape[1]} and {x.shape[2]}"
        )
    if not bool(torch.isfinite(x).all()):
        raise TwincodeError("series hold NaN or infinite values; fill or drop them first")
    return x.float()


def gather(
    batches: torch.Tensor | Iterable[torch.Tensor],
    generator: torch.Generator,
    reservoir: int = RESERVOIR,
) -> Sample:
    """One pass over ``batches``: moments merged batch by batch, and a uniform sample of series.

    The sample keeps the ``reservoir`` series with the smallest random keys, which is a uniform
    sample without replacement whatever the batches (Efraimidis and Spirakis, 2006).
    """
    kept = torch.empty(0)
    keys = torch.empty(0, dtype=torch.float64)
    count = 0
    mean = scatter = torch.zeros(())
    for batch in as_batches(batches):
        shape = (int(kept.shape[1]), int(kept.shape[2])) if count else None
        batch = check_series(batch, shape)
        if not len(batch):
            continue
        flat = batch.flatten(1).double()
        if not count:
            kept = batch[:0]
            mean = flat.new_zeros(flat.shape[1])
            scatter = flat.new_zeros(flat.shape[1], flat.shape[1])
        # Chan, Golub and LeVeque (1983): moments of two groups from the moments of each.
        m = len(flat)
        shift = flat.mean(0) - mean
        centred = flat - flat.mean(0)
        scatter += centred.T @ centred + torch.outer(shift, shift) * (count * m / (count + m))
        mean = mean + shift * (m / (count + m))
        count += m
        kept = torch.cat([kept, batch])
        keys = torch.cat([keys, torch.rand(m, dtype=torch.float64, generator=generator)])
        if len(kept) > reservoir:
            keys, order = keys.topk(reservoir, largest=False)
            kept = kept[order]
    if not count:
        raise TwincodeError("there are no series to fit a coder on")
    return Sample(kept, mean, scatter / count, count)
