"""What models keep against the bits they take: the series beside the bound, and the classes."""

import math
from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from twincode.report.blocks import Control, Figure
from twincode.report.figures import theme
from twincode.report.frontier import Numbers
from twincode.report.metrics import number
from twincode.report.models import BITS, Model
from twincode.report.runs import Results

Rows = list[dict[str, Any]]

NO_LIMIT = "no limit"
_BOUND, _ORIGINAL = "Gaussian bound", "Original series"
_BEYOND = 3  # where models without a limit stand, as a multiple of the most bits
_MARGIN = 1.6  # around the bits, as a multiple too: so wide, they hold a round number


def error_against_bits(results: Results, numbers: Mapping[str, Numbers]) -> Figure | None:
    """NMSE of every model, and the Gaussian bound at its bits.

    ``numbers`` are those of each data set, and over all under an empty name.
    """
    rows = [row for row in _rows(results, numbers) if row["nmse"] > 0]  # others have no logarithm
    if not any(row["bits"] > 0 for row in rows):
        return None
    rows += [{**row, "curve": _BOUND, "nmse": row["bound"]} for row in rows if row["bound"] > 0]
    scale = alt.Scale(type="log", nice=False, padding=14)
    return Figure(
        "frontier-error", "Error against bits",
        "Bits: what a series of test takes in the mean; models without codes have no limit. NMSE: "
        "mean squared error over the variance of test, over data sets the geometric mean. Gaussian "
        "bound: the least NMSE of any code of as many bits, were test Gaussian of the same "
        "covariance.",
        _chart(results, rows, "nmse", results.measures["nmse"].short, scale),
        pd.DataFrame(rows), (_datasets(rows),),
    )  # fmt: skip


def accuracy_against_bits(results: Results, numbers: Mapping[str, Numbers]) -> Figure | None:
    """Accuracy on decoded series of every model, beside that on the series themselves."""
    rows = [row for row in _rows(results, numbers) if math.isfinite(row["kernels"])]
    if not any(row["bits"] > 0 for row in rows):
        return None
    of_originals = {row["dataset"]: row["original"] for row in rows}
    rows += [
        {"dataset": dataset, "curve": _ORIGINAL, "model": _ORIGINAL, "kernels": accuracy,
         "retained_accuracy": 1.0}
        for dataset, accuracy in of_originals.items()
        if math.isfinite(accuracy)
    ]  # fmt: skip
    gains = [results.measures[n] for n in ("kernels", "retained_accuracy") if n in results.measures]
    scale = alt.Scale(zero=False, padding=14)
    return Figure(
        "frontier-accuracy", "Classes against bits",
        "Kernels accuracy: MiniROCKET and a ridge classifier on decoded series. Retained accuracy: "
        "that over the accuracy on the original series. Over data sets, means.",
        _chart(results, rows, "{gain}", "{gain title}", scale),
        pd.DataFrame(rows), (_datasets(rows), Control("gain", "Upwards", theme.options(gains))),
    )  # fmt: skip


def _rows(results: Results, numbers: Mapping[str, Numbers]) -> Rows:
    """A row for each model and data set: where it stands."""
    limits = [own["bits"] for each in numbers.values() for own in each.values() if own["bits"] > 0]
    if not limits:
        return []
    found = []
    for dataset, each in numbers.items():
        for model in (m for m in results.models if m.label in each and not m.is_raw):
            own = each[model.label]
            row = {"dataset": dataset, "curve": model.kind(BITS), "model": model.label, **own}
            if own["bits"] > 0:
                found.append({**row, "across": own["bits"], "taken": number(own["bits"], 0)})
            elif not model.coded:
                found.append({**row, "across": _BEYOND * max(limits), "taken": NO_LIMIT})
    return found


def _datasets(rows: Rows) -> Control:
    present = dict.fromkeys(row["dataset"] for row in rows)
    return Control("dataset", "Data set", {name or "all data sets": name for name in present})


def _chart(results: Results, rows: Rows, up: str, title: str, scale: alt.Scale) -> dict[str, Any]:
    """Curves through the points of each kind of model; what has no place across is a level."""
    present = {row["curve"] for row in rows}
    kinds: dict[str, list[Model]] = {}
    for model in results.models:
        kinds.setdefault(model.kind(BITS), []).append(model)
    # Of several rates the middle one has the hue that all are shades of.
    styles = {
        **{kind: (own[len(own) // 2].colour, own[0].shape) for kind, own in kinds.items()},
        _BOUND: (theme.INK, "stroke"),
        _ORIGINAL: (theme.SOFT, "stroke"),
    }
    colours = {kind: colour for kind, (colour, _) in styles.items() if kind in present}
    shapes = {kind: shape for kind, (_, shape) in styles.items() if kind in present}
    every = (
        alt.Chart(theme.TABLE)
        .transform_filter(theme.chosen("dataset"))
        .encode(
            y=alt.Y(f"{up}:Q", title=title, scale=scale),
            color=theme.named(alt.Color, "curve", colours),
            tooltip=[
                "model:N",
                alt.Tooltip("taken:N", title=results.measures["bits"].title),
                alt.Tooltip(f"{up}:Q", title=title),
            ],
        )
    )
    placed = every.transform_filter("isValid(datum.across)").encode(x=_across(results, rows))
    dashed = alt.condition(f"datum.curve == '{_BOUND}'", alt.value([5, 4]), alt.value([1, 0]))
    return theme.wide(
        360,
        every.transform_filter("!isValid(datum.across)").mark_rule(strokeDash=[5, 4]),
        placed.mark_line(strokeWidth=1.8).encode(strokeDash=dashed),
        placed.mark_point(size=90, filled=True, opacity=1).encode(
            shape=theme.named(alt.Shape, "curve", shapes),
            stroke=theme.named(alt.Stroke, "curve", colours),
        ),
    )


def _across(results: Results, rows: Rows) -> alt.X:
    """Bits on a logarithmic axis, and at its end a place for what has no limit."""
    bits = [row["bits"] for row in rows if row.get("bits", 0) > 0]
    end = max(row.get("across", 0) for row in rows)
    round_numbers = [m * 10**power for power in range(9) for m in (1, 2, 5)]
    low, high = min(bits) / _MARGIN, max(bits) * _MARGIN
    ticks = [bits for bits in round_numbers if low <= bits <= high]
    words = f"datum.value > {high} ? '{NO_LIMIT}' : format(datum.value, 'd')"
    return alt.X(
        "across:Q",
        title=results.measures["bits"].title,
        scale=alt.Scale(type="log", domain=[low, max(high, end * 1.2)], nice=False),
        axis=alt.Axis(values=[*ticks, end] if end > high else ticks, labelExpr=words),
    )
