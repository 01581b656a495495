"""Which tokens are hidden: how many of a grid, and which."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from twincode.priors.prior import CHUNK

Schedule = Callable[[Tensor], Tensor]


def cosine(u: Tensor) -> Tensor:
    """The share cos(pi u / 2) that is masked (Chang et al., 2022): from all at 0 to none at 1."""
    return torch.cos(math.pi / 2 * u)


def kept_cosine(u: Tensor) -> Tensor:
    """1 - cos(pi u / 2): TimeVQVAE keeps the share that MaskGIT masks."""
    return 1 - cosine(u)


def uniform_share(u: Tensor) -> Tensor:
    """1 - u."""
    return 1 - u


SCHEDULES: dict[str, Schedule] = {
    "cosine": cosine,
    "kept_cosine": kept_cosine,
    "uniform": uniform_share,
}


def lowest(values: Tensor, count: Tensor) -> Tensor:
    """Whether each of values (B, n) is among the ``count`` (B,) smallest of its row.

    Of equal ones the first are.
    """
    return values.argsort(dim=1, stable=True).argsort(dim=1) < count[:, None]


def left_hidden(unknown: Tensor, steps: int) -> Tensor:
    """How many of ``unknown`` (B,) tokens are hidden after each of S steps of decoding, (S + 1, B).

    floor(unknown cos(pi t / 2 S)), always fewer than the step before, none after the last.
    """
    left = [unknown]
    for t in range(1, steps + 1):
        share = math.cos(math.pi * t / (2 * steps)) if t < steps else 0.0
        # Half of 40 is 20, although the cosine comes to a little less than a half.
        wanted = (unknown * share + 1e-9).floor().long()
        left.append(torch.minimum(wanted, left[-1] - 1).clamp(min=0))
    return torch.stack(left)


def training_masks(
    B: int, n: int, schedule: Schedule, generator: Generator, one_share: bool = False
) -> Tensor:
    """Masks (B, n) for training: ceil(n r(u)) places of each series, chosen uniformly.

    There is one u a series, stratified over the batch: the b-th lies in [b / B, (b + 1) / B). With
    ``one_share`` there is one u for all.
    """
    device = generator.device
    drawn = torch.rand(B, generator=generator, device=device)
    u = drawn[:1].expand(B) if one_share else (torch.arange(B, device=device) + drawn) / B
    count = (n * schedule(u)).ceil().clamp(1, n)
    return lowest(torch.rand(B, n, generator=generator, device=device), count)


def bound_masks(n: int, draws: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Masks (draws, CHUNK, n) of sizes (draws, CHUNK), uniform on 1 .. n.

    The sizes of a series are stratified over its draws, which leaves each of them uniform.
    """
    first = torch.arange(draws)[:, None]
    # Which stratum a draw has differs from series to series.
    turn = torch.randint(draws, (CHUNK,), generator=generator)
    drawn = torch.rand(draws, CHUNK, generator=generator)
    u = ((first + turn) % draws + drawn) / draws
    count = (n * u).floor().long().clamp(max=n - 1) + 1
    noise = torch.rand(draws * CHUNK, n, generator=generator)
    return lowest(noise, count.flatten()).view(draws, CHUNK, n), count
