"""What is known of a measured number, and how numbers are written."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_low

MISSING = "–"
_MOST_DECIMALS = 5


@dataclass(frozen=True)
class Measure:
    """A metric under one readout of the codes; without a readout, one of the model as a whole.

    Title and direction come with the results: ``better`` is ``"higher"``, ``"lower"`` or empty.
    """

    metric: str
    readout: str
    title: str
    better: str

    @property
    def key(self) -> str:
        """Metric and readout as one word: ``svm_accuracy@flatten``, ``perplexity``."""
        return key_of(self.metric, self.readout)

    @property
    def short(self) -> str:
        """The title and an arrow in the better direction."""
        return " ".join(filter(None, [self.title, {"higher": "↑", "lower": "↓"}.get(self.better)]))

    @property
    def heading(self) -> str:
        """The same with the readout."""
        return ", ".join(filter(None, [self.short, self.readout]))


def key_of(metric: str, readout: str) -> str:
    """Metric and readout as one word that can name a column."""
    return re.sub(r"[^\w@]", "_", f"{metric}@{readout}" if readout else metric)


def decimals_for(values: Iterable[float]) -> int:
    """How many decimals a column of ``values`` needs: three digits of its middle number, and one of
    its least."""
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return 0
    middle, least = (math.floor(math.log10(size)) for size in (median_low(sizes), min(sizes)))
    return max(0, min(_MOST_DECIMALS, max(2 - middle, -least)))


def number(value: float, decimals: int) -> str:
    """``value`` with a true minus sign, or a dash where there is none.

    One too small for the most decimals that a column has is written as a power of ten.
    """
    if not math.isfinite(value):
        return MISSING
    tiny = decimals == _MOST_DECIMALS and 0 < abs(value) < 10**-decimals / 2
    return f"{value:.1e}".replace("-", "−") if tiny else f"{value:.{decimals}f}".replace("-", "−")


def signed(value: float, decimals: int) -> str:
    """A difference with its sign; what rounds to zero has none."""
    text = number(value, decimals)
    if not any(digit in text for digit in "123456789"):
        return text.removeprefix("−")
    return f"+{text}" if value > 0 else text


def p_text(p: float) -> str:
    """A p value as it is written, a dash where there was no test."""
    return "< 0.001" if p < 0.001 else number(p, 3)
