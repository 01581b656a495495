"""What a training step of each recipe costs in time and memory, as a benchmark measured it.

Runs of a study share the machine with others, so their own times compare nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twincode.errors import TwincodeError
from twincode.report.across import geometric_mean
from twincode.report.chapter.markdown import listed
from twincode.report.chapter.stored import read_rows

COSTS_FILE = Path("benchmarks") / "systems.csv"
_COLUMNS = [
    *("recipe", "length", "ratio", "lowest", "highest", "peak_memory", "parameters", "codes"),
    *("commit", "load"),
]


@dataclass(frozen=True)
class Cost:
    """One recipe at one series length.

    ``ratio`` is its step's time as a multiple of the naive model's, ``peak_memory`` the highest
    resident memory of its process in bytes, ``codes`` how many codes a series becomes.
    """

    recipe: str
    length: int
    ratio: float
    peak_memory: float
    codes: int
    commit: str


def read_costs(folder: Path) -> list[Cost]:
    """The measured costs among the results, none where there is no such file.

    Raises TwincodeError for a damaged file, and where recipes were measured at different lengths.
    """
    path = folder / COSTS_FILE
    costs = read_rows(path, _COLUMNS, _cost, "a table of measured costs")
    for cost in costs:
        if _lengths(costs, cost.recipe) != _lengths(costs):
            raise TwincodeError(
                f"{path} does not have {cost.recipe} at every length; run `make bench-systems`"
            )
    return costs


def step_ratio(costs: Sequence[Cost], recipe: str) -> float:
    """The geometric mean over lengths of a step's time, × naive; NaN where it was not measured."""
    return geometric_mean([cost.ratio for cost in costs if cost.recipe == recipe])


def peak_memory(costs: Sequence[Cost], recipe: str) -> float:
    """The most memory in bytes over the lengths; NaN where it was not measured."""
    return max((cost.peak_memory for cost in costs if cost.recipe == recipe), default=float("nan"))


def codes_ratio(costs: Sequence[Cost], recipe: str, base: str) -> float:
    """The geometric mean over lengths of a series' codes, as a multiple of those of ``base``.

    NaN where either has none or was not measured.
    """
    measured = {(cost.recipe, cost.length): cost.codes for cost in costs if cost.codes}
    lengths = [length for name, length in measured if name == recipe and (base, length) in measured]
    return geometric_mean([measured[recipe, L] / measured[base, L] for L in lengths])


def costs_sentence(costs: Sequence[Cost]) -> str:
    """Where the costs come from."""
    lengths = [str(length) for length in sorted(_lengths(costs))]
    commits = list(dict.fromkeys(cost.commit for cost in costs))
    return (
        "Codes say how many of them a series becomes. Step and peak memory are not from these "
        "runs, which shared the machine with others, but "
        f"from [a benchmark](../results/{COSTS_FILE.as_posix()}) (`make bench-systems`, commit "
        f"{listed(commits)}) on series of {listed(lengths)} steps: the time of a training step as "
        "a multiple of the naive model's, measured in turns, as the geometric mean over the "
        "lengths; and the most memory that a process training it had in use, at the length that "
        "needs most."
    )


def _cost(row: list[str]) -> Cost:
    recipe, length, ratio, _, _, memory, _, codes, commit, _ = row
    cost = Cost(recipe, int(length), float(ratio), float(memory), int(codes), commit)
    if not (cost.ratio > 0 and cost.peak_memory > 0):
        raise ValueError(f"{recipe} has ratio {ratio} and peak_memory {memory}")
    return cost


def _lengths(costs: Sequence[Cost], recipe: str = "") -> set[int]:
    return {cost.length for cost in costs if recipe in ("", cost.recipe)}
