"""How numbers are written, and what is known of the metric they belong to."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_low

MISSING = "–"
_MOST_DECIMALS = 5
_SMALLEST_P = 0.001


@dataclass(frozen=True)
class Metric:
    """A measured quantity, as the result that holds it describes it.

    ``better`` is ``"higher"``, ``"lower"`` or empty where neither direction is better in itself.
    """

    name: str
    title: str
    better: str = ""

    @property
    def heading(self) -> str:
        """Its title and an arrow in the better direction."""
        return (
            f"{self.title} {'↑' if self.better == 'higher' else '↓'}" if self.better else self.title
        )


@dataclass(frozen=True, order=True)
class Measure:
    """A metric under one readout of the codes; the readout is empty for one of the whole model."""

    metric: Metric
    readout: str

    @property
    def title(self) -> str:
        """The metric's title, and the readout."""
        return f"{self.metric.title}, {self.readout}" if self.readout else self.metric.title

    @property
    def heading(self) -> str:
        """The metric's heading, and the readout."""
        return f"{self.metric.heading}, {self.readout}" if self.readout else self.metric.heading

    @property
    def key(self) -> str:
        """Metric and readout as one word that names a column."""
        return re.sub(r"[^\w@]", "_", "@".join(filter(None, [self.metric.name, self.readout])))


def decimals_for(values: Iterable[float]) -> int:
    """How many decimals a column of ``values`` needs: three digits of its middle number."""
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return 0
    return max(0, min(_MOST_DECIMALS, 2 - math.floor(math.log10(median_low(sizes)))))


def number(value: float, decimals: int) -> str:
    """``value`` with a true minus sign, or a dash where there is none."""
    return f"{value:.{decimals}f}".replace("-", "−") if math.isfinite(value) else MISSING


def signed(value: float, decimals: int) -> str:
    """A difference with its sign; what rounds to zero has none."""
    text = number(value, decimals)
    if not any(digit in text for digit in "123456789"):
        return text.removeprefix("−")
    return f"+{text}" if value > 0 else text


def p_text(p: float) -> str:
    """A p value as it is written, a dash where there was no test."""
    return f"< {_SMALLEST_P}" if p < _SMALLEST_P else number(p, 3)


def duration(seconds: float) -> str:
    """``seconds`` in the largest units that fit: ``3 h 12 min``, ``4 min 10 s``, ``8.4 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
