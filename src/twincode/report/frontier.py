"""What models cost and what they keep, on a data set or over all: the numbers of the frontier."""

import math
from collections.abc import Mapping
from statistics import fmean
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import gmean

from twincode.report.compare import shared
from twincode.report.models import BITS, Model, is_number
from twincode.report.runs import Results

Numbers: TypeAlias = dict[str, dict[str, float]]  # by a model's label, then by name

_MEASURED = (
    *("bits", "bits_per_step", "nmse", "bound", "kernels", "retained_accuracy"),
    *("model_bytes", "seconds"),
)
_RATIOS = ("nmse", "bound", "over_bound")  # over data sets their mean is geometric
_NEAR = 1.1  # a rate as a multiple of another, where both count as one


def on_dataset(results: Results, dataset: str) -> Numbers:
    """The numbers of each model that has an NMSE there, NaN where one was not measured.

    Beside what was measured: NMSE ``over_bound``, and ``original``, the accuracy on the series
    themselves, which every model's retained accuracy tells where they were not run.
    """
    found: Numbers = {}
    originals: dict[bool, list[float]] = {True: [], False: []}
    for model in results.models:
        own = {name: results.mean(dataset, model.label, name) for name in _MEASURED}
        own["over_bound"] = own["nmse"] / own["bound"] if own["bound"] > 0 else math.nan
        retained = 1.0 if model.is_raw else own["retained_accuracy"]
        if own["kernels"] > 0 and retained > 0:
            originals[model.is_raw].append(own["kernels"] / retained)
        if math.isfinite(own["nmse"]):
            found[model.label] = own
    original = fmean(originals[True] or originals[False] or [math.nan])
    return {label: {**own, "original": original} for label, own in found.items()}


def over_all(by_dataset: Mapping[str, Numbers]) -> tuple[Numbers, dict[str, int]]:
    """The same over the data sets on which every model has an NMSE, and how many they are.

    Models that have one on fewer than half of the data sets are left out. Other numbers may be
    known on fewer data sets: the count is told by name.
    """

    def table(name: str) -> pd.DataFrame:
        """One number of every model (columns) on every data set (rows)."""
        columns = {d: {m: own[name] for m, own in each.items()} for d, each in by_dataset.items()}
        return pd.DataFrame(columns, dtype=float).T

    kept = shared(table("nmse").dropna(how="all"))
    found: Numbers = {str(label): {} for label in kept if len(kept)}
    counts = {}
    for name in (*_MEASURED, "over_bound", "original"):
        # What some models never have, as controls have no bits, is no gap in the others' numbers.
        values = table(name).loc[kept.index, list(found)].dropna(axis=1, how="all").dropna()
        counts[name] = len(values)
        for label, own in found.items():
            mean = gmean if name in _RATIOS else np.mean
            own[name] = float(mean(values[label])) if label in values and len(values) else math.nan
    return found, counts


def rates(results: Results, numbers: Numbers) -> dict[str, float]:
    """The rate of each model with bits, by label: those it was asked for, otherwise those it takes.

    A model that cannot be asked counts at a rate that its bits come within a tenth of.
    """
    asked = {model.label: _asked(model) for model in results.models}
    known = sorted({bits for bits in asked.values() if bits > 0})
    taken = {label: own["bits"] for label, own in numbers.items() if own["bits"] > 0}
    found = {}
    for label in sorted(taken, key=taken.__getitem__):
        rate, bits = asked[label], taken[label]
        if math.isnan(rate):
            rate = next((each for each in known if each / _NEAR < bits < each * _NEAR), bits)
            known.append(rate)
        found[label] = rate
    return found


def leaders(results: Results, numbers: Numbers, rate_of: Mapping[str, float]) -> dict[float, Model]:
    """The fitted model of least NMSE at each rate that several have."""
    found = {}
    for rate in sorted(set(rate_of.values())):
        models = [m for m in results.models if m.fitted and rate_of.get(m.label) == rate]
        if len(models) > 1:
            found[rate] = min(models, key=lambda model: numbers[model.label]["nmse"])
    return found


def _asked(model: Model) -> float:
    """The rate a model was asked for, NaN where it cannot be asked."""
    asked: float = model.settings.get(BITS, math.nan)
    return asked if is_number(asked) else math.nan
