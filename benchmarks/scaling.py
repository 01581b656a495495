"""How the cost of ours grows: with length, batch, codebook, projector and number of series."""

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.cases import our_encoding, our_step
from benchmarks.timing import Work, best

ROUNDS = 2


class Point(NamedTuple):
    """One measured cost."""

    curve: str
    along: str
    size: int
    seconds: float


def _points(curve: str, along: str, works: Iterator[tuple[int, Work]]) -> Iterator[Point]:
    for size, work in works:
        yield Point(curve, along, size, best(work, ROUNDS))


def curves(precision: str, device: str = "cpu") -> Iterator[Point]:
    """Every point of every curve, a training step unless it says encode."""
    lengths, batches = (64, 128, 256, 512, 1024), (32, 64, 128, 256)
    for name in ("vqvae", "bt-vqvae"):
        yield from _points(
            f"{name} step",
            "length L",
            ((L, our_step(L, name, precision, device)) for L in lengths),
        )
    yield from _points(
        "bt-vqvae step",
        "batch B",
        ((B, our_step(140, "bt-vqvae", precision, device, n=B, batch_size=B)) for B in batches),
    )
    yield from _points(
        "vqvae step",
        "codebook size K",
        (
            (K, our_step(140, "vqvae", precision, device, codebook_size=K))
            for K in (32, 128, 512, 2048)
        ),
    )
    yield from _points(
        "bt-vqvae step",
        "projector width P",
        (
            (P, our_step(140, "bt-vqvae", precision, device, projector_width=P))
            for P in (512, 1024, 2048, 4096)
        ),
    )
    yield from _points(
        "encode", "length L", ((L, our_encoding(L, device=device, n=512)) for L in lengths)
    )
    yield from _points(
        "encode",
        "series n",
        ((n, our_encoding(140, device=device, n=n)) for n in (256, 512, 1024, 2048, 4096)),
    )
