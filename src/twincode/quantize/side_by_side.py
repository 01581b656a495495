"""Several grids of codes in one: side by side along W, each with codes of its own."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import cast

import torch
from torch import Tensor, nn

from twincode.errors import TwincodeError
from twincode.quantize.contract import Quantized, Quantizer


def join_codes(grids: Iterable[Tensor], sizes: Sequence[int]) -> Tensor:
    """One grid (B, H, W_1 + W_2 + ...) of grids (B, H, W_i) with codes 0 .. K_i - 1 each.

    ``sizes`` are the K_i. Codes of grid i are offset by the sizes before it, so that no two grids
    share a code.
    """
    moved = [codes + offset for codes, offset in zip(grids, _offsets(sizes), strict=True)]
    return torch.cat(moved, dim=2)


def split_codes(codes: Tensor, sizes: Sequence[int], widths: Sequence[int]) -> list[Tensor]:
    """The inverse of ``join_codes``: the grids of ``widths`` W_1, W_2, ... that stand in codes."""
    parts = codes.split(list(widths), dim=2)
    return [part - offset for part, offset in zip(parts, _offsets(sizes), strict=True)]


def check_codes(grids: Iterable[Tensor], sizes: Iterable[int]) -> None:
    """Raise TwincodeError where a grid holds a code of another one's codebook."""
    for number, (codes, size) in enumerate(zip(grids, sizes, strict=True), start=1):
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < size:
            raise TwincodeError(
                f"grid {number} of the codes holds a code of another codebook; codes of the grids "
                "that stand side by side cannot change places"
            )


class SideBySide(Quantizer):
    """Several quantisers, each with codebooks of its own, whose codes stand side by side.

    How they share a latent, each giving it a code, or a grid of latents is for a subclass to say.
    """

    def __init__(self, parts: Sequence[Quantizer]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.codebook_sizes = tuple(size for part in parts for size in part.codebook_sizes)
        self.codes_per_latent = sum(part.codes_per_latent for part in parts)

    def codebooks(self) -> tuple[Tensor, ...]:
        """The codebooks of all parts."""
        return tuple(codebook for part in self._parts for codebook in part.codebooks())

    @property
    def _parts(self) -> list[Quantizer]:
        return cast(list[Quantizer], list(self.parts))

    @property
    def _sizes(self) -> list[int]:
        return [part.codebook_size for part in self._parts]

    def _join(self, quantized: Sequence[Quantized]) -> Tensor:
        return join_codes([each.codes for each in quantized if each.codes is not None], self._sizes)

    def _split(self, codes: Tensor) -> list[Tensor]:
        W = codes.shape[2] // self.codes_per_latent
        return split_codes(codes, self._sizes, [W * part.codes_per_latent for part in self._parts])

    def _look_up(self, codes: Tensor) -> list[Tensor]:
        """What each part makes of its codes; TwincodeError for codes in another part's place."""
        grids = self._split(codes)
        check_codes(grids, self._sizes)
        return [part.lookup(grid) for part, grid in zip(self._parts, grids, strict=True)]


def _offsets(sizes: Sequence[int]) -> list[int]:
    return list(accumulate(sizes[:-1], initial=0))
