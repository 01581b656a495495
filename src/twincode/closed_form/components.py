"""Principal components and residual product k-means: the tokenizer ``pca-pq``."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch

from twincode.closed_form.beam import MOST_PARTIAL, beam_search
from twincode.closed_form.books import Book, fixed_bits, fixed_bits_of
from twincode.closed_form.copies import varied_copies
from twincode.closed_form.kmeans import kmeans
from twincode.closed_form.sample import Sample, check_series, encoded_in_parts, gather
from twincode.errors import TwincodeError

COPIES = 10
MOST_WITH_COPIES = 20_000  # series and copies together
# Fewer series cannot tell whether copies help; more tell no more.
FEWEST_TO_CHOOSE, MOST_TO_CHOOSE = 20, 2500


def split_bits(bits: int, bits_per_token: int) -> tuple[int, ...]:
    """Codebook sizes that spend exactly ``bits``: full tokens, then one of what is left over."""
    if bits < 1:
        raise TwincodeError(f"a code needs at least 1 bit, not {bits}")
    full, rest = divmod(bits, bits_per_token)
    return (2**bits_per_token,) * full + ((2**rest,) if rest else ())


def widest_group(variance: torch.Tensor, bits: float, limit: int) -> torch.Tensor:
    """The components a token of ``bits`` should see: those reverse water-filling gives bits.

    Of ``variance`` (d,), at most the ``limit`` largest; each of the group's components lies above
    the water level at which the group spends ``bits`` (Cover and Thomas, 2006, 10.3.3).
    """
    values, order = variance.topk(min(limit, len(variance)))
    logs = values.clamp(min=1e-30).log2()
    wide = 1
    while wide < len(logs) and float((logs[:wide] - logs[wide]).sum()) / 2 < bits:
        wide += 1
    return order[:wide]


@dataclass(frozen=True)
class ComponentCoder:
    """Series as a sum of codewords, each over a few principal components.

    ``mean`` (C L,), ``components`` (d, C L) with orthonormal rows; token t adds row ``codes[:, t]``
    of ``codebooks[t]`` (K, g) to the components ``groups[t]`` (g,). Tokens come in the order of
    the variance they take away, so the first ones are the coarse ones.
    """

    takes_any_length: ClassVar[bool] = False

    shape: tuple[int, int]
    mean: torch.Tensor
    components: torch.Tensor
    groups: tuple[torch.Tensor, ...]
    codebooks: tuple[torch.Tensor, ...]
    beam: int = 8

    @property
    def channels(self) -> int:
        """Channels of a series."""
        return self.shape[0]

    @property
    def length(self) -> int:
        """Steps of a series."""
        return self.shape[1]

    def books_of(self, _length: int) -> tuple[Book, ...]:
        """The codebook of each token."""
        return tuple(Book(f"token {i}", 1, len(book)) for i, book in enumerate(self.codebooks, 1))

    @property
    def bits(self) -> float:
        """Bits a series, at a fixed rate."""
        return fixed_bits(self.books_of(self.length))

    def bits_of(self, codes: torch.Tensor, _length: int | None = None) -> torch.Tensor:
        """Bits (n,) that each series of ``codes`` (n, tokens) takes: ``bits``."""
        return fixed_bits_of(codes, self.books_of(self.length))

    @classmethod
    def fit(
        cls,
        batches: torch.Tensor | Iterable[torch.Tensor],
        bits: int,
        generator: torch.Generator,
        bits_per_token: int = 5,
        group_size: int = 8,
        beam: int = 8,
        copies: int | None = None,
    ) -> Self:
        """Fit on series (n, C, L), or on batches of them, read once in bounded memory.

        With ``copies``, on so many varied copies of a sample of the series too; by default these
        are ``COPIES`` if that lowers the error on a quarter of the sample held out, else none.
        """
        sizes = split_bits(bits, bits_per_token)
        sample = gather(batches, generator)
        settings = (sizes, generator, group_size, beam)
        if copies is None:
            copies = _choose_copies(sample.series, settings)
        if copies:
            sample = _with_copies(sample.series, copies, generator)
        return cls._fit(sample, *settings)

    @classmethod
    def _fit(
        cls,
        sample: Sample,
        sizes: tuple[int, ...],
        generator: torch.Generator,
        group_size: int,
        beam: int,
    ) -> Self:
        components = torch.linalg.eigh(sample.covariance).eigenvectors.flip(1).T.float()
        mean = sample.mean.float()
        residual = (sample.series.flatten(1) - mean) @ components.T
        groups, codebooks = [], []
        for size in sizes:
            group = widest_group(residual.square().mean(0), math.log2(size), group_size)
            points = residual[:, group]
            centres = kmeans(points, size, generator)
            codes = torch.cdist(points, centres).argmin(1)
            residual[:, group] = points - centres[codes]
            groups.append(group)
            codebooks.append(centres)
        used, places = torch.cat(groups).unique(return_inverse=True)
        own = tuple(place.clone() for place in places.split([len(group) for group in groups]))
        shape = (int(sample.series.shape[1]), int(sample.series.shape[2]))
        return cls(shape, mean, components[used], own, tuple(codebooks), beam)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Codes (n, tokens) of series ``x`` (n, C, L), by a beam search over partial codes."""
        x = check_series(x, self.shape)
        largest = max(len(book) for book in self.codebooks)
        at_once = min(4096, MOST_PARTIAL // (self.beam * largest))

        def search(part: torch.Tensor) -> torch.Tensor:
            z = (part.flatten(1) - self.mean) @ self.components.T
            return beam_search(z, self.groups, self.codebooks, self.beam)

        return encoded_in_parts(x, at_once, search, len(self.codebooks))

    def decode(self, codes: torch.Tensor, _length: int | None = None) -> torch.Tensor:
        """Series (n, C, L) of ``codes`` (n, tokens), always of the fitted length."""
        z = self.mean.new_zeros(len(codes), len(self.components))
        for group, book, code in zip(self.groups, self.codebooks, codes.T, strict=True):
            z[:, group] += book[code]
        return (self.mean + z @ self.components).unflatten(1, self.shape)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything as tensors, for safetensors."""
        return {
            "shape": torch.tensor(self.shape),
            "beam": torch.tensor(self.beam),
            "mean": self.mean,
            "components": self.components,
            **{f"group.{i}": group for i, group in enumerate(self.groups)},
            **{f"codebook.{i}": book for i, book in enumerate(self.codebooks)},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor]) -> Self:
        """The coder whose ``state`` this is."""
        count = sum(name.startswith("group.") for name in state)
        C, L = state["shape"].tolist()
        return cls(
            (C, L),
            state["mean"],
            state["components"],
            tuple(state[f"group.{i}"] for i in range(count)),
            tuple(state[f"codebook.{i}"] for i in range(count)),
            int(state["beam"]),
        )


def _with_copies(series: torch.Tensor, copies: int, generator: torch.Generator) -> Sample:
    fewer = min(copies, max(1, MOST_WITH_COPIES // len(series) - 1))
    return gather(varied_copies(series, fewer, generator), generator, MOST_WITH_COPIES)


def _choose_copies(
    series: torch.Tensor, settings: tuple[tuple[int, ...], torch.Generator, int, int]
) -> int:
    """How many copies have the least error on a quarter of ``series`` held out."""
    if len(series) < FEWEST_TO_CHOOSE:
        return 0
    generator = settings[1]
    series = series[torch.randperm(len(series), generator=generator)[:MOST_TO_CHOOSE]]
    held = torch.arange(len(series)) % 4 == 0
    learnt, some = series[~held], series[held]
    errors = []
    for sample in (gather(learnt, generator), _with_copies(learnt, COPIES, generator)):
        coder = ComponentCoder._fit(sample, *settings)
        errors.append(float((coder.decode(coder.encode(some)) - some).square().mean()))
    return COPIES if errors[1] < errors[0] else 0
