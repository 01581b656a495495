"""A data set as models see it: scaled, on a device."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from twincode.data.series import Dataset, Scaling


class Split(NamedTuple):
    """Scaled series (n, C, L) on a device and labels (n,), indices into ``classes``, part by part.

    Without a test part ``x_test`` has no series, and without labels they are None.
    """

    x_train: Tensor
    x_test: Tensor
    y_train: np.ndarray | None
    y_test: np.ndarray | None
    classes: tuple[str, ...]


def prepare(dataset: Dataset, scaling: Scaling, device: torch.device) -> Split:
    """Scale both parts with the train part's numbers and move them to ``device``."""
    return Split(
        torch.from_numpy(scaling.apply(dataset.X_train)).to(device),
        torch.from_numpy(scaling.apply(dataset.X_test)).to(device),
        dataset.y_train,
        dataset.y_test,
        dataset.classes,
    )
