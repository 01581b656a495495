"""How the cost of ours grows: with length, batch, codebook, projector and number of series."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from benchmarks.cases import our_encoding, our_step
from benchmarks.timing import Work, best

ROUNDS = 2
LENGTHS = (64, 128, 256, 512, 1024)
Sizes = Sequence[int]


class Point(NamedTuple):
    """One measured cost."""

    curve: str
    along: str
    size: int
    seconds: float


def curves(precision: str, device: str = "cpu") -> Iterator[Point]:
    """Every point of every curve, a training step unless it says encode."""
    step = partial(our_step, precision=precision, device=device)
    naive, twin = partial(step, name="vqvae"), partial(step, name="bt-vqvae")
    encode = partial(our_encoding, device=device)
    works: list[tuple[str, str, Sizes, Callable[[int], Work]]] = [
        ("vqvae step", "length L", LENGTHS, naive),
        ("bt-vqvae step", "length L", LENGTHS, twin),
        ("bt-vqvae step", "batch B", (32, 64, 128, 256), lambda B: twin(140, n=B, batch_size=B)),
        (
            "vqvae step",
            "codebook size K",
            (32, 128, 512, 2048),
            lambda K: naive(140, codebook_size=K),
        ),
        (
            "bt-vqvae step",
            "projector width P",
            (512, 1024, 2048, 4096),
            lambda P: twin(140, projector_width=P),
        ),
        ("encode", "length L", LENGTHS, partial(encode, n=512)),
        ("encode", "series n", (256, 512, 1024, 2048, 4096), lambda n: encode(140, n=n)),
    ]
    for curve, along, sizes, make in works:
        for size in sizes:
            yield Point(curve, along, size, best(make(size), ROUNDS))
