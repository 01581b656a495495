"""Arithmetic coding in whole numbers of unlimited size: the bits that codes really take.

A series is an interval of [0, 2^P); each symbol narrows it to its share. Any number of the final
interval tells the symbols, so the shortest multiple of a power of two in it is the packed code.
Python's long integers need no renormalisation and lose nothing. Source: Witten, Neal and Cleary
(1987); Cover and Thomas (2006), 13.3.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

GUARD_BITS = 48  # precision kept beyond the bits a code may take


class Encoder:
    """Narrows an interval by symbols; ``close`` gives its number of ``bits`` bits."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.low = 0
        self.width = 1 << (bits + GUARD_BITS)

    def add(self, start: int, size: int, total_bits: int) -> None:
        """Take the share [start, start + size) of 2^total_bits."""
        part = self.width >> total_bits
        self.low += part * start
        self.width = part * size

    def close(self) -> int | None:
        """A number below 2^bits inside the interval, or None where the symbols took more bits."""
        number = -(-self.low >> GUARD_BITS)
        return number if number << GUARD_BITS < self.low + self.width else None


class Decoder:
    """Reads symbols back from a number that ``Encoder.close`` gave."""

    def __init__(self, number: int, bits: int) -> None:
        self.rest = number << GUARD_BITS
        self.width = 1 << (bits + GUARD_BITS)

    def take(self, starts: Sequence[int], find: Callable[[int], int], total_bits: int) -> int:
        """The next symbol: ``starts`` (symbols + 1) are the shares' ends, ``find`` locates one."""
        part = self.width >> total_bits
        symbol = find(min(self.rest // part, (1 << total_bits) - 1))
        self.rest -= part * starts[symbol]
        self.width = part * (starts[symbol + 1] - starts[symbol])
        return symbol

    def take_raw(self, bits: int) -> int:
        """The next whole number of ``bits`` bits that were stored as they are."""
        part = self.width >> bits
        number = min(self.rest // part, (1 << bits) - 1)
        self.rest -= part * number
        self.width = part
        return number


def running_total(sizes: Iterable[int]) -> list[int]:
    """Starts of shares of ``sizes``, and the end of the last one."""
    return list(accumulate(sizes, initial=0))
