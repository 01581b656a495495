"""Varied copies of series, for closed forms that would otherwise learn few series by heart."""

import torch

SHIFT = 0.03  # of the length, either way
STRETCH = 0.03  # about the middle
AMPLITUDE = 0.1


def varied_copies(x: torch.Tensor, copies: int, generator: torch.Generator) -> torch.Tensor:
    """Series ``x`` (n, C, L) and ``copies`` of each: (n (1 + copies), C, L).

    A copy is moved and stretched in time, the ends repeated, and scaled about its mean in time;
    each change is drawn uniformly up to its limit.
    """
    _, C, L = x.shape
    again = x.repeat(copies, 1, 1)
    shift, stretch, gain = (
        (2 * torch.rand(len(again), 1, generator=generator) - 1) * limit
        for limit in (SHIFT * L, STRETCH, AMPLITUDE)
    )
    middle = (L - 1) / 2
    places = (torch.arange(L) - middle) * (1 + stretch) + middle + shift
    places = places.clamp(0, L - 1)
    left = places.floor().long()
    part = (places - left)[:, None]
    index = left[:, None].expand(-1, C, -1)
    moved = torch.lerp(again.gather(2, index), again.gather(2, (index + 1).clamp(max=L - 1)), part)
    mean = moved.mean(2, keepdim=True)
    return torch.cat([x, mean + (moved - mean) * (1 + gain[:, :, None])])
