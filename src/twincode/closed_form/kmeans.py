"""k-means: seeded by k-means++, refined by Lloyd's iterations, in plain torch."""

import torch


def nearest(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """The index (n,) of the centre (K, d) nearest to each point (n, d)."""
    return (centres.square().sum(1) - 2 * points @ centres.T).argmin(1)


def kmeans(
    points: torch.Tensor, size: int, generator: torch.Generator, iterations: int = 20
) -> torch.Tensor:
    """``size`` centres (K, d) of ``points`` (n, d).

    Centres are chosen by D² sampling (Arthur and Vassilvitskii, 2007) and moved by Lloyd's
    iterations; a centre that loses all its points goes to the point furthest from its own. With
    fewer distinct points than centres, some centres coincide, so the number of codes is always
    ``size``.
    """
    centres = points[:1].repeat(size, 1)
    first = int(torch.randint(len(points), (), generator=generator))
    centres[0] = points[first]
    distance = (points - centres[0]).square().sum(1)
    for k in range(1, size):
        total = distance.sum()
        if not total > 0:
            centres[k:] = centres[0]
            return centres
        # Inverse sampling, because torch.multinomial refuses more than 2^24 points.
        target = torch.rand((), generator=generator, dtype=torch.float64) * total.double()
        chosen = int(torch.searchsorted(distance.double().cumsum(0), target))
        centres[k] = points[min(chosen, len(points) - 1)]
        distance = torch.minimum(distance, (points - centres[k]).square().sum(1))
    for _ in range(iterations):
        codes = nearest(points, centres)
        counts = torch.bincount(codes, minlength=size)
        sums = torch.zeros_like(centres).index_add_(0, codes, points)
        moved = sums / counts.clamp(min=1)[:, None]
        empty = counts == 0
        if bool(empty.any()):
            error = (points - centres[codes]).square().sum(1)
            furthest = error.argsort(descending=True)[: int(empty.sum())]
            vacant = empty.nonzero().flatten()[: len(furthest)]
            moved[empty] = centres[empty]
            moved[vacant] = points[furthest]
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres
