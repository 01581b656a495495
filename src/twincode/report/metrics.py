"""What each measured number is called, which direction is better and how it is written."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

MAIN_READOUT = "flatten"
ACCURACY_DECIMALS = 3
SIGNIFICANT_DIGITS = 3
MOST_DECIMALS = 5
MISSING = "–"
NO_BREAK = "\u00a0"
_P_DECIMALS = 3
_SMALLEST_P = 0.001


@dataclass(frozen=True)
class Metric:
    """One measured quantity.

    ``better`` is ``"higher"``, ``"lower"`` or empty where neither direction is better in itself;
    ``probe`` says that the number belongs to a readout.
    """

    name: str
    title: str
    better: str = ""
    probe: bool = False
    bounded: bool = False

    @property
    def arrow(self) -> str:
        """An arrow in the better direction, or nothing."""
        return {"higher": "↑", "lower": "↓"}.get(self.better, "")

    @property
    def heading(self) -> str:
        """Its title and its arrow."""
        return f"{self.title} {self.arrow}".strip()


_CATALOGUE = {
    metric.name: metric
    for metric in (
        Metric("reconstruction", "Reconstruction error", "lower"),
        Metric("reconstruction_time", "Time error", "lower"),
        Metric("reconstruction_frequency", "Frequency error", "lower"),
        Metric("train_reconstruction_time", "Time error, train", "lower"),
        Metric("svm_accuracy", "Linear SVM", "higher", probe=True, bounded=True),
        Metric("intrinsic_dimension", "Intrinsic dimension", probe=True),
        Metric("silhouette", "Silhouette", "higher", probe=True, bounded=True),
        Metric("silhouette_std", "Silhouette, fits' spread", probe=True, bounded=True),
        Metric("perplexity", "Perplexity"),
        Metric("used_codes", "Used codes"),
        Metric("codebook_cosine", "Codebook cosine", bounded=True),
        Metric("dead_codes", "Dead codes"),
        Metric("active_units", "Active units"),
        Metric("seconds", "Seconds"),
        Metric("parameters", "Parameters"),
    )
}
_NEIGHBOURS = re.compile(r"knn(\d+)_accuracy")


def metric_of(name: str) -> Metric:
    """The metric called ``name``; an unknown name keeps its own words and has no direction."""
    neighbours = _NEIGHBOURS.fullmatch(name)
    if neighbours:
        return Metric(name, f"{neighbours[1]}-NN", "higher", probe=True, bounded=True)
    return _CATALOGUE.get(name) or Metric(name, name.replace("_", " ").capitalize())


def _in_order(names: Sequence[str], *leading: str, trailing: Sequence[str] = ()) -> list[str]:
    present = set(names)
    neighbours = sorted(filter(_NEIGHBOURS.fullmatch, present), key=_neighbour_count)
    order = [*leading, "svm_accuracy", *neighbours, "silhouette", "intrinsic_dimension", *trailing]
    return [name for name in order if name in present]


def _neighbour_count(name: str) -> int:
    found = _NEIGHBOURS.fullmatch(name)
    return int(found[1]) if found else 0


def table_metrics(names: Sequence[str]) -> list[str]:
    """Those of ``names`` that a comparison table shows, in its order."""
    trailing = ("perplexity", "used_codes", "active_units", "seconds")
    return _in_order(names, "reconstruction", trailing=trailing)


def plotted_metrics(names: Sequence[str]) -> list[str]:
    """Those of ``names`` that the figures show, in their order."""
    return _in_order(
        names, trailing=("reconstruction", "perplexity", "used_codes", "codebook_cosine")
    )


def decimals_for(name: str, values: Sequence[float]) -> int:
    """How many decimals a column of ``values`` needs: three digits of its middle number."""
    if metric_of(name).bounded:
        return ACCURACY_DECIMALS
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return 0
    digits = SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(median_low(sizes)))
    return max(0, min(MOST_DECIMALS, digits))


def number(value: float, decimals: int) -> str:
    """``value`` with a true minus sign, or a dash where there is none."""
    return f"{value:.{decimals}f}".replace("-", "−") if math.isfinite(value) else MISSING


def mean_and_spread(mean: float, spread: float | None, decimals: int) -> str:
    """``mean ± spread``, the mean alone where no spread is known, a dash where nothing is."""
    if spread is None or not math.isfinite(mean):
        return number(mean, decimals)
    return f"{number(mean, decimals)} ± {number(spread, decimals)}"


def signed(value: float, decimals: int) -> str:
    """A difference with its sign; what rounds to zero has none."""
    text = number(value, decimals)
    zero = not any(digit in text for digit in "123456789")
    return text.removeprefix("−") if zero else f"+{text}" if value > 0 else text


def p_text(p: float) -> str:
    """A p value as it is written."""
    return f"< {_SMALLEST_P}" if p < _SMALLEST_P else number(p, _P_DECIMALS)
