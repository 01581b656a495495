"""Patches and residual k-means, with codebooks shared over time: the tokenizer ``patch-rvq``."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch

from twincode.closed_form.beam import MOST_PARTIAL, beam_search
from twincode.closed_form.books import Book, fixed_bits, fixed_bits_of, token_sizes
from twincode.closed_form.calibration import cut_windows, join_windows
from twincode.closed_form.components import split_bits
from twincode.closed_form.kmeans import kmeans
from twincode.closed_form.sample import check_series, encoded_in_parts, reservoir
from twincode.errors import TwincodeError

MOST_PATCHES = 20_000  # that a codebook is fitted on
MOST_TO_CHOOSE = 2000  # series by which sizes are chosen
SIZES = (4, 8, 16, 32, 64)
# Fewer series cannot tell which sizes are best: patches are this long then, where bits allow.
FEWEST_TO_CHOOSE, USUAL = 4, 16

# Patch sizes from coarse to fine, and the bits a series that each is given.
Plan = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class PatchLevel:
    """Series as patches of ``patch`` steps, each a sum of codewords, one of each codebook (K, D).

    Codebooks are stages, each fitted on what the ones before it left.
    """

    patch: int
    codebooks: tuple[torch.Tensor, ...]

    @classmethod
    def fit(
        cls,
        series: torch.Tensor,
        patch: int,
        bits: int,
        generator: torch.Generator,
        bits_per_token: int,
    ) -> Self:
        """Fit on ``series`` (n, C, L); bits fewer than there are patches are not spent."""
        residual = cut_windows(series, patch).flatten(0, 1)
        kept = torch.randperm(len(residual), generator=generator)[:MOST_PATCHES]
        residual = residual[kept]
        codebooks = []
        for size in split_bits(max(1, bits // -(-series.shape[2] // patch)), bits_per_token):
            book = kmeans(residual, size, generator)
            residual = residual - book[torch.cdist(residual, book).argmin(1)]
            codebooks.append(book)
        return cls(patch, tuple(codebooks))

    def patches_of(self, length: int) -> int:
        """Number of patches of a series of ``length`` steps."""
        return -(-length // self.patch)

    def series_at_once(self, length: int, beam: int) -> int:
        """How many series of so many steps a beam search has memory for."""
        largest = max(map(len, self.codebooks))
        return max(1, MOST_PARTIAL // (self.patches_of(length) * beam * largest))

    def encode(self, x: torch.Tensor, beam: int) -> torch.Tensor:
        """Codes (n, stages, t) of series ``x`` (n, C, T), by a beam search patch by patch."""
        windows = cut_windows(x, self.patch)
        n, t, D = windows.shape
        every = [torch.arange(D)] * len(self.codebooks)
        codes = beam_search(windows.reshape(n * t, D), every, self.codebooks, beam)
        return codes.view(n, t, -1).transpose(1, 2)

    def decode(self, codes: torch.Tensor, channels: int) -> torch.Tensor:
        """Series (n, C, t patch) of ``codes`` (n, stages, t)."""
        windows = torch.zeros(codes.shape[0], codes.shape[2], self.codebooks[0].shape[1])
        for book, stage in zip(self.codebooks, codes.unbind(1), strict=True):
            windows += book[stage]
        return join_windows(windows, channels)


@dataclass(frozen=True)
class PatchCoder:
    """Series as a sum of levels of patches, coarse ones first; see ``PatchLevel``.

    The codes of a level come stage after stage, and those of a stage along time. Codebooks do not
    depend on the place, so any length can be coded.
    """

    takes_any_length: ClassVar[bool] = True

    channels: int
    length: int
    levels: tuple[PatchLevel, ...]
    beam: int = 8

    @classmethod
    def fit(
        cls,
        batches: torch.Tensor | Iterable[torch.Tensor],
        bits: int,
        generator: torch.Generator,
        bits_per_token: int = 5,
        beam: int = 8,
    ) -> Self:
        """Fit on series (n, C, L), or on batches of them, read once in bounded memory.

        One size of patches with all bits, or a coarse one with a token a patch and a fine one with
        the rest: what has the least error on a quarter of train held out.
        """
        series = reservoir(batches, generator)
        n, _, L = series.shape
        series = series[torch.randperm(n, generator=generator)]
        if n < FEWEST_TO_CHOOSE:
            usual = -(-L // min(L, bits, max(1, L // USUAL)))
            return cls._fit(series, ((usual, bits),), generator, bits_per_token, beam)
        some = series[:MOST_TO_CHOOSE]
        held = torch.arange(len(some)) % 4 == 0

        def held_out_error(plan: Plan) -> float:
            trial = cls._fit(some[~held], plan, generator, bits_per_token, beam)
            return float((trial.decode(trial.encode(some[held])) - some[held]).square().mean())

        best = min(_plans(L, bits, bits_per_token), key=held_out_error)
        return cls._fit(series, best, generator, bits_per_token, beam)

    @classmethod
    def _fit(
        cls,
        series: torch.Tensor,
        plan: Plan,
        generator: torch.Generator,
        bits_per_token: int,
        beam: int,
    ) -> Self:
        _, C, L = series.shape
        residual, levels = series, []
        for patch, bits in plan:
            level = PatchLevel.fit(residual, patch, bits, generator, bits_per_token)
            levels.append(level)
            if len(levels) < len(plan):
                alone = cls(C, L, (level,), beam)
                residual = residual - alone.decode(alone.encode(residual))
        return cls(C, L, tuple(levels), beam)

    def books_of(self, length: int) -> tuple[Book, ...]:
        """A codebook a stage, for all patches of a series of ``length`` steps."""
        return tuple(
            Book(
                f"{level.patch} steps, stage {i}",
                level.patches_of(length),
                len(book),
                length / level.patch,
            )
            for level in self.levels
            for i, book in enumerate(level.codebooks, 1)
        )

    @property
    def codebooks(self) -> tuple[torch.Tensor, ...]:
        """Those of all stages, (K, D) each."""
        return tuple(book for level in self.levels for book in level.codebooks)

    @property
    def bits(self) -> float:
        """Bits a series of the fitted length, at a fixed rate."""
        return fixed_bits(self.books_of(self.length))

    def bits_of(self, codes: torch.Tensor, length: int | None = None) -> torch.Tensor:
        """Bits (n,) that each series of ``length`` steps takes."""
        return fixed_bits_of(codes, self.books_of(length or self.length))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Codes (n, tokens) of series ``x`` (n, C, T), of any length T."""
        x = check_series(x, (self.channels, x.shape[-1]))
        at_once = min(level.series_at_once(x.shape[2], self.beam) for level in self.levels)
        return encoded_in_parts(
            x, at_once, self.search, len(token_sizes(self.books_of(x.shape[2])))
        )

    def search(self, x: torch.Tensor) -> torch.Tensor:
        """The same of finite series."""
        codes = []
        for level in self.levels:
            own = level.encode(x, self.beam)
            x = x - level.decode(own, self.channels)[:, :, : x.shape[2]]
            codes.append(own.flatten(1))
        return torch.cat(codes, 1)

    def decode(self, codes: torch.Tensor, length: int | None = None) -> torch.Tensor:
        """Series (n, C, T) of ``codes`` (n, tokens); T is ``length``, else the fitted length."""
        length = length or self.length
        sizes = [level.patches_of(length) * len(level.codebooks) for level in self.levels]
        if codes.shape[1] != sum(sizes):
            raise TwincodeError(
                f"series of {length} steps have {sum(sizes)} tokens, not {codes.shape[1]}"
            )
        x = torch.zeros(codes.shape[0], self.channels, length)
        for level, own in zip(self.levels, codes.split(sizes, 1), strict=True):
            stages = own.unflatten(1, (len(level.codebooks), -1))
            x += level.decode(stages, self.channels)[:, :, :length]
        return x

    def restore(self, codes: torch.Tensor) -> torch.Tensor:
        """The same of the fitted length."""
        return self.decode(codes)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything as tensors, for safetensors."""
        numbers = {name: getattr(self, name) for name in ("channels", "length", "beam")}
        patches = [level.patch for level in self.levels]
        return {
            **{name: torch.tensor(value) for name, value in numbers.items()},
            "patches": torch.tensor(patches),
            **{
                f"codebook.{i}.{j}": book
                for i, level in enumerate(self.levels)
                for j, book in enumerate(level.codebooks)
            },
        }

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor]) -> Self:
        """The coder whose ``state`` this is."""
        levels = []
        for i, patch in enumerate(state["patches"].tolist()):
            count = sum(name.startswith(f"codebook.{i}.") for name in state)
            books = tuple(state[f"codebook.{i}.{j}"] for j in range(count))
            levels.append(PatchLevel(patch, books))
        channels, length, beam = (int(state[name]) for name in ("channels", "length", "beam"))
        return cls(channels, length, tuple(levels), beam)


def _plans(length: int, bits: int, bits_per_token: int) -> Iterator[Plan]:
    """One size for all bits, then pairs of sizes, those that ``bits`` allow."""
    counts = {min(length, bits, max(1, round(length / size))) for size in (*SIZES, length)}
    singles = [-(-length // count) for count in sorted(counts)]
    yield from (((patch, bits),) for patch in singles)
    for coarse in singles:
        spent = -(-length // coarse) * bits_per_token
        for fine in singles:
            if 2 * fine <= coarse < length and bits - spent >= -(-length // fine):
                yield ((coarse, spent), (fine, bits - spent))
