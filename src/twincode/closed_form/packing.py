"""What a mixture code says of one series, in the bytes that it really takes."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import torch

from twincode.closed_form.arithmetic import Decoder, Encoder, running_total
from twincode.closed_form.levels import FREQUENCY_BITS
from twincode.closed_form.trellis import NEXT_STATE

Starts = list[int]
# Of each level its context, 0 where it is not coded, and how many of its last bits are as they are.
Contexts = tuple[list[int], list[int]]

_NEXT: list[list[int]] = NEXT_STATE.tolist()


class Words(NamedTuple):
    """What is packed of one series: the step, where there is one, modes, and levels in order."""

    step: int | None
    modes: list[int]
    levels: list[int]


class Packer(NamedTuple):
    """Arithmetic coding of steps, of modes given the one before, and of levels given contexts.

    Of each there are the starts of the shares of all symbols.
    """

    steps: Starts
    modes: list[Starts]
    levels: list[list[Starts]]

    @classmethod
    def of(cls, steps: torch.Tensor, modes: torch.Tensor, levels: torch.Tensor) -> Self:
        """Of whole frequencies: of steps (S,), of modes (M + 1, M), of levels (2, contexts, K)."""
        return cls(
            running_total(steps.tolist()),
            [running_total(row) for row in modes.tolist()],
            [[running_total(row) for row in rows] for rows in levels.tolist()],
        )

    def pack(self, words: Words, contexts: Contexts, bits: int) -> bytes | None:
        """One series in ``bits`` bits, or None where it takes more."""
        encoder = Encoder(bits)
        if words.step is not None:
            _add(encoder, self.steps, words.step)
        before = len(self.modes) - 1
        for mode in words.modes:
            _add(encoder, self.modes[before], mode)
            before = mode
        state = 0
        for level, context, low in zip(words.levels, *contexts, strict=True):
            size = abs(level)
            if context:
                _add(encoder, self.levels[state >> 1][context - 1], size >> low)
                if low:
                    encoder.add(size & ((1 << low) - 1), 1, low)
                if size or low:
                    encoder.add(int(level < 0), 1, 1)
            state = _NEXT[state][size & 1]
        number = encoder.close()
        return None if number is None else number.to_bytes(-(-bits // 8), "big")

    def unpack(
        self,
        packed: bytes,
        bits: int,
        windows: int,
        has_step: bool,
        contexts_of: Callable[[int | None, list[int]], Contexts],
    ) -> Words:
        """The inverse of ``pack``; ``contexts_of`` a step and the modes of so many windows."""
        decoder = Decoder(int.from_bytes(packed, "big"), bits)
        step = _take(decoder, self.steps) if has_step else None
        modes = [len(self.modes) - 1]
        for _ in range(windows):
            modes.append(_take(decoder, self.modes[modes[-1]]))
        levels, state = [], 0
        for context, low in zip(*contexts_of(step, modes[1:]), strict=True):
            size = 0
            sign = 1
            if context:
                size = _take(decoder, self.levels[state >> 1][context - 1]) << low
                if low:
                    size |= decoder.take_raw(low)
                if (size or low) and decoder.take_raw(1):
                    sign = -1
            levels.append(sign * size)
            state = _NEXT[state][size & 1]
        return Words(step, modes[1:], levels)


def _add(encoder: Encoder, starts: Starts, symbol: int) -> None:
    encoder.add(starts[symbol], starts[symbol + 1] - starts[symbol], FREQUENCY_BITS)


def _take(decoder: Decoder, starts: Sequence[int]) -> int:
    return decoder.take(starts, lambda share: bisect_right(starts, share) - 1, FREQUENCY_BITS)
