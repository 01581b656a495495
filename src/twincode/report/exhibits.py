"""The examples that runs kept: whose are shown, and series as columns to draw."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twincode.report.models import Model
from twincode.report.runs import Results

_CHANNELS_SHOWN = 3
_CHANNEL_GAP = 1.15


@dataclass(frozen=True)
class Exhibit:
    """The stored arrays of one model by name; class names are empty for unlabelled data."""

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


def exhibits_of(results: Results, dataset: str, *needed: str) -> list[Exhibit]:
    """Of each fitted model the run of the lowest seed that kept the arrays ``needed``."""
    found: dict[str, Exhibit] = {}
    for run in sorted(results.of_dataset(dataset), key=lambda run: run.seed):
        model = results.model_of(run)
        if model.fitted and model.label not in found and set(needed) <= set(run.exhibits):
            classes = tuple(map(str, run.record["dataset"]["classes"]))
            found[model.label] = Exhibit(model, run.seed, classes, run.exhibits)
    return [found[model.label] for model in results.models if model.label in found]


def curve(series: NDArray[Any], most: int = 160) -> dict[str, Any]:
    """A series (C, L) as columns step, value and channel, thinned, channels one under another."""
    shown = series[:_CHANNELS_SHOWN]
    steps = np.arange(0, series.shape[1], max(1, -(-series.shape[1] // most)))
    gap = float(np.ptp(shown)) * _CHANNEL_GAP
    values = shown[:, steps] - gap * np.arange(len(shown))[:, None]
    channels = np.repeat(np.arange(len(shown)), len(steps))
    return {"step": np.tile(steps, len(shown)), "value": values.ravel(), "channel": channels}


def seeds_text(exhibits: list[Exhibit]) -> str:
    """Which runs the examples are from."""
    seeds = ", ".join(str(seed) for seed in sorted({exhibit.seed for exhibit in exhibits}))
    return f"From one run a model, of its lowest seed ({seeds})."
