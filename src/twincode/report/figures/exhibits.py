"""The examples a run kept: which run's are shown, and what the figures of them have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twincode.report.models import Model
from twincode.report.runs import Results

CHANNELS_SHOWN = 3
STEPS_SHOWN = 160
_CHANNEL_GAP = 1.15


@dataclass(frozen=True)
class Exhibit:
    """The stored arrays of one model; class names are empty for unlabelled data."""

    model: Model
    seed: int
    classes: tuple[str, ...]
    arrays: dict[str, NDArray[Any]]

    def class_of(self, label: int) -> str:
        """The name of a class; a run stores -1 where there is none."""
        return self.classes[label] if 0 <= label < len(self.classes) else "unlabelled"

    @property
    def codebook_sizes(self) -> NDArray[Any]:
        """The size of each codebook; early runs had one and did not store it."""
        return self.arrays.get("codebook_sizes", np.array([len(self.arrays["code_counts"])]))

    @property
    def codebook_names(self) -> list[str]:
        """A name for each codebook, empty for a single one."""
        count = len(self.codebook_sizes)
        grids = [str(name) for name in self.arrays.get("grid_names", [])]
        if len(grids) == count > 1:
            return grids
        return [f"codebook {place + 1}" for place in range(count)] if count > 1 else [""]


def exhibits_of(results: Results, dataset: str, *needed: str) -> list[Exhibit]:
    """Of each trained model the run of the lowest seed that kept the arrays ``needed``."""
    found: dict[str, Exhibit] = {}
    for run in sorted(results.of_dataset(dataset), key=lambda run: run.seed):
        model = results.model_of(run)
        if model.trained and model.label not in found and all(n in run.exhibits for n in needed):
            classes = tuple(map(str, run.record["dataset"]["classes"]))
            found[model.label] = Exhibit(model, run.seed, classes, run.exhibits)
    return [found[model.label] for model in results.models if model.label in found]


def curve(series: NDArray[Any], most: int = STEPS_SHOWN) -> dict[str, Any]:
    """A series (C, L) as columns step, value and channel, thinned, channels one under another."""
    shown = series[:CHANNELS_SHOWN]
    every = max(1, -(-series.shape[1] // most))
    steps = np.arange(0, series.shape[1], every)
    gap = float(np.ptp(shown)) * _CHANNEL_GAP
    values = shown[:, steps] - gap * np.arange(len(shown))[:, None]
    channels = np.repeat(np.arange(len(shown)), len(steps))
    return {"step": np.tile(steps, len(shown)), "value": values.ravel(), "channel": channels}


def seeds_text(exhibits: list[Exhibit]) -> str:
    """Which runs the examples are from, in words."""
    seeds = ", ".join(str(seed) for seed in sorted({exhibit.seed for exhibit in exhibits}))
    return f"From one run a model, of its lowest seed ({seeds})."
