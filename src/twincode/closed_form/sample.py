"""What the closed forms need to know of a data set, gathered in one pass of bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch

from twincode.errors import TwincodeError

RESERVOIR = 10_000


@dataclass(frozen=True)
class Sample:
    """Exact first and second moments of all series, and a uniform sample of the series themselves.

    ``series`` (m, C, L) float32, ``mean`` (C L,) and ``covariance`` (C L, C L) float64.
    """

    series: torch.Tensor
    mean: torch.Tensor
    covariance: torch.Tensor


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


def encoded_in_parts(
    x: torch.Tensor, at_once: int, encode: Callable[[torch.Tensor], torch.Tensor], tokens: int
) -> torch.Tensor:
    """Codes (n, ``tokens``) of series ``x`` (n, C, L), so many of them encoded at once."""
    parts = [encode(part) for part in x.split(max(1, at_once)) if len(part)]
    return torch.cat(parts) if parts else torch.empty(0, tokens, dtype=torch.long)


def reservoir(
    batches: torch.Tensor | Iterable[torch.Tensor],
    generator: torch.Generator,
    size: int = RESERVOIR,
) -> torch.Tensor:
    """A uniform sample (m, C, L), m at most ``size``, of the series in ``batches``, in one pass.

    The sample keeps the series with the smallest random keys, which is a uniform sample without
    replacement whatever the batches (Efraimidis and Spirakis, 2006).
    """
    kept = keys = torch.empty(0)
    for batch in as_batches(batches):
        if not len(batch):
            continue
        batch = check_series(batch, (kept.shape[1], kept.shape[2]) if len(kept) else None)
        kept = torch.cat([kept, batch]) if len(kept) else batch
        keys = torch.cat([keys, torch.rand(len(batch), generator=generator)])
        if len(kept) > size:
            keys, order = keys.topk(size, largest=False)
            kept = kept[order]
    if not len(kept):
        raise TwincodeError("there are no series to fit a coder on")
    return kept


def gather(
    batches: torch.Tensor | Iterable[torch.Tensor],
    generator: torch.Generator,
    size: int = RESERVOIR,
) -> Sample:
    """One pass over ``batches``: moments merged batch by batch, and a ``reservoir`` of series."""
    count = 0
    mean = scatter = torch.zeros((), dtype=torch.float64)

    def counted() -> Iterator[torch.Tensor]:
        nonlocal count, mean, scatter
        for batch in as_batches(batches):
            yield batch  # the reservoir checks it first
            if not len(batch):
                continue
            # Chan, Golub and LeVeque (1983): moments of two groups from the moments of each.
            flat = batch.flatten(1).double()
            shift = flat.mean(0) - mean
            centred = flat - flat.mean(0)
            total = count + len(flat)
            scatter = scatter + centred.T @ centred
            scatter += torch.outer(shift, shift) * (count * len(flat) / total)
            mean = mean + shift * (len(flat) / total)
            count = total

    series = reservoir(counted(), generator, size)
    return Sample(series, mean, scatter / count)
