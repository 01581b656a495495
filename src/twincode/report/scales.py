"""From values to places along an axis, and the round numbers that mark it."""

import math
from dataclasses import dataclass
from typing import NamedTuple

_ROUND_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LOG_STEPS = (1.0, 2.0, 5.0)
_SLACK = 1e-9  # of a step, so that a limit that is itself a tick is not lost to rounding


class Tick(NamedTuple):
    """A marked value and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Scale:
    """``low`` to ``high`` onto 0 to 1, evenly or by the logarithm."""

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where ``value`` lies: 0 at ``low``, 1 at ``high``; what has no logarithm at 0."""
        if self.logarithmic and value <= 0:
            return 0.0
        if self.logarithmic:
            low, high = math.log(self.low), math.log(self.high)
            return (math.log(value) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: int, percent: bool = False) -> list[Tick]:
        """Round values within the scale, about ``most`` of them."""
        values = self._powers() if self.logarithmic else self._steps(most)
        return [Tick(value, _text(value, percent)) for value in values]

    def _steps(self, most: int) -> list[float]:
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - _SLACK)
        last = math.floor(self.high / step + _SLACK)
        # Rounding clears what the product adds: 3 x 0.1 is to read 0.3.
        decimals = max(0, 2 - math.floor(math.log10(step)))
        return [round(index * step, decimals) + 0.0 for index in range(first, last + 1)]

    def _powers(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = _LOG_STEPS if len(decades) <= len(_LOG_STEPS) else (1.0,)
        found = [step * 10.0**decade for decade in decades for step in steps]
        return [value for value in found if self.low <= value <= self.high]


def round_limits(low: float, high: float, margin: float, logarithmic: bool = False) -> Scale:
    """A scale that holds ``low`` to ``high`` with a margin (a share of the range) at both ends."""
    if not math.isfinite(low) or not math.isfinite(high):
        low, high, logarithmic = 0.0, 1.0, False
    if logarithmic:
        factor = (high / low) ** margin if high > low else 2.0
        return Scale(low / factor, high * factor, True)
    spread = (high - low) or abs(high) or 1.0
    room = spread * (margin if high > low else 0.5)
    return Scale(low - room, high + room)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _ROUND_STEPS if step * power >= rough * (1 - _SLACK))


def _text(value: float, percent: bool) -> str:
    if percent:
        return f"{value * 100:g}%"
    return f"{value:g}".replace("-", "−")
