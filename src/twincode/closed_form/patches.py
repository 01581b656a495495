"""Patches and residual k-means, with codebooks shared over time: the tokenizer ``patch-rvq``."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import torch

from twincode.closed_form.calibration import cut_windows, join_windows
from twincode.closed_form.components import split_bits
from twincode.closed_form.kmeans import kmeans
from twincode.closed_form.sample import check_series, reservoir
from twincode.errors import TwincodeError

MOST_PATCHES = 20_000  # that a codebook is fitted on
COARSEST = 16  # steps of a patch, where bits allow no finer ones


@dataclass(frozen=True)
class PatchCoder:
    """Series as patches of ``patch`` steps, each a sum of codewords, one of each codebook (K, D).

    A patch's codes come one after another: the codebooks are stages, each fitted on what the ones
    before it left. Codebooks do not depend on the place, so any length can be coded.
    """

    channels: int
    length: int
    patch: int
    codebooks: tuple[torch.Tensor, ...]
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

        The patch is the size with the least error on a quarter of train held out, among sizes
        that share ``bits`` evenly; a rest of fewer bits than there are patches is not spent.
        """
        series = reservoir(batches, generator)
        n, _, L = series.shape
        series = series[torch.randperm(n, generator=generator)]
        held = torch.arange(n) % 4 == 0
        best, least = 0, math.inf
        counts = sorted({min(L, bits, max(1, round(L / size))) for size in (4, 8, 16, 32, 64, L)})
        for count in counts if n > 3 else [min(L, bits, max(1, L // COARSEST))]:
            size = -(-L // count)
            trial = cls._fit_size(
                series[~held] if n > 3 else series, size, bits, generator, bits_per_token, beam
            )
            some = series[held][:300]
            error = float((trial.decode(trial.encode(some)) - some).square().mean()) if n > 3 else 0
            if error < least:
                best, least = size, error
        return cls._fit_size(series, best, bits, generator, bits_per_token, beam)

    @classmethod
    def _fit_size(
        cls,
        series: torch.Tensor,
        patch: int,
        bits: int,
        generator: torch.Generator,
        bits_per_token: int,
        beam: int,
    ) -> Self:
        _, C, L = series.shape
        residual = cut_windows(series, patch).flatten(0, 1)
        kept = torch.randperm(len(residual), generator=generator)[:MOST_PATCHES]
        residual = residual[kept]
        codebooks = []
        for size in split_bits(max(1, bits // -(-L // patch)), bits_per_token):
            book = kmeans(residual, size, generator)
            residual = residual - book[torch.cdist(residual, book).argmin(1)]
            codebooks.append(book)
        return cls(C, L, patch, tuple(codebooks), beam)

    def sizes_of(self, length: int) -> tuple[int, ...]:
        """Number of codes of each token of a series of ``length`` steps."""
        return tuple(len(book) for book in self.codebooks) * -(-length // self.patch)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each token."""
        return self.sizes_of(self.length)

    @property
    def bits(self) -> float:
        """Bits a series of the fitted length, at a fixed rate."""
        return math.log2(math.prod(self.codebook_sizes))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Codes (n, tokens) of series ``x`` (n, C, T), of any length T, patch after patch."""
        x = check_series(x, (self.channels, x.shape[-1]))
        windows = cut_windows(x, self.patch)
        n, t, D = windows.shape
        residual = windows.reshape(n * t, 1, D)
        error = residual.new_zeros(n * t, 1)
        codes = torch.empty(n * t, 1, 0, dtype=torch.long)
        for book in self.codebooks:
            change = book.square().sum(1) - 2 * residual @ book.T
            total = (error[:, :, None] + change).flatten(1)
            error, best = total.topk(min(self.beam, total.shape[1]), largest=False)
            parent, code = (best // len(book))[:, :, None], best % len(book)
            residual = residual.gather(1, parent.expand(-1, -1, D)) - book[code]
            codes = codes.gather(1, parent.expand(-1, -1, codes.shape[2]))
            codes = torch.cat([codes, code[:, :, None]], 2)
        winner = error.argmin(1)
        return codes[torch.arange(n * t), winner].reshape(n, t * len(self.codebooks))

    def decode(self, codes: torch.Tensor, length: int | None = None) -> torch.Tensor:
        """Series (n, C, T) of ``codes`` (n, tokens); T is ``length``, else the fitted length where
        the number of patches agrees with it, else that of all patches."""
        t, odd = divmod(codes.shape[1], len(self.codebooks))
        if odd or not t:
            raise TwincodeError(f"this coder makes no codes of {codes.shape[1]} tokens")
        stages = codes.view(len(codes), t, len(self.codebooks))
        windows = torch.zeros(len(codes), t, self.codebooks[0].shape[1])
        for stage, book in enumerate(self.codebooks):
            windows += book[stages[:, :, stage]]
        if length is None:
            length = self.length if t == -(-self.length // self.patch) else t * self.patch
        return join_windows(windows, self.channels)[:, :, :length]

    def state(self) -> dict[str, torch.Tensor]:
        """Everything as tensors, for safetensors."""
        books = {f"codebook.{i}": book for i, book in enumerate(self.codebooks)}
        return {
            **{
                name: torch.tensor(getattr(self, name))
                for name in ("channels", "length", "patch", "beam")
            },
            **books,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor]) -> Self:
        """The coder whose ``state`` this is."""
        count = sum(name.startswith("codebook.") for name in state)
        books = tuple(state[f"codebook.{i}"] for i in range(count))
        channels, length, patch, beam = (
            int(state[name]) for name in ("channels", "length", "patch", "beam")
        )
        return cls(channels, length, patch, books, beam)
