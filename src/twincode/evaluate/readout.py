"""Readouts: from a grid of quantised latents to one feature vector a series.

A readout is a pure function of (latents, codes, layout). A new one is a function and a line in
``READOUTS``; one that cannot do without codes answers None where there are none.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twincode.errors import TwincodeError, unknown_name
from twincode.quantize import Layout

Rows = NDArray[np.float32]
Readout = Callable[[Tensor, Tensor | None, Layout], Rows | None]

SCALED_RANGE = (-1.0, 1.0)
PYRAMID = (1, 2, 4)  # windows a level


def flatten(latents: Tensor, codes: Tensor | None, layout: Layout) -> Rows:
    """Every value of z_q: (n, D, H, W) -> (n, D*H*W), channels slowest."""
    del codes, layout
    return _to_numpy(latents.flatten(start_dim=1))


def mean(latents: Tensor, codes: Tensor | None, layout: Layout) -> Rows:
    """The average of z_q over the token grid: (n, D, H, W) -> (n, D)."""
    del codes, layout
    return _to_numpy(latents.mean(dim=(2, 3)))


def histogram(latents: Tensor, codes: Tensor | None, layout: Layout) -> Rows | None:
    """Square roots of how often each code stands in each frequency row: (n, H, W) -> (n, H*K).

    Feature ``h*K + k`` belongs to row h and code k. The square root steadies the variance of a
    count and makes Euclidean distance between two histograms Hellinger's, up to a factor.
    None without codes; raises TwincodeError for codes that are not in the layout.
    """
    del latents
    if codes is None:
        return None
    layout.check(codes)
    return _to_numpy(frequencies(codes, layout.codebook_size))


def pyramid(latents: Tensor, codes: Tensor | None, layout: Layout) -> Rows | None:
    """``histogram`` of all columns, of their halves and of their quarters: (n, features).

    Each grid of the layout is cut by itself, as evenly as its columns allow; windows of which there
    are more than columns are left out. Features come grid by grid, level by level, window by
    window, row by row. After Lazebnik, Schmid and Ponce, "Beyond bags of features" (CVPR 2006).
    """
    del latents
    if codes is None:
        return None
    layout.check(codes)
    windows = (
        frequencies(window, grid.codebook_size)
        for grid, own in zip(layout.grids, layout.split(codes), strict=True)
        for count in PYRAMID
        if count <= grid.width
        for window in own.tensor_split(count, dim=2)
    )
    return _to_numpy(torch.cat(list(windows), dim=1))


def frequencies(codes: Tensor, codebook_size: int) -> Tensor:
    """Square roots of how often each of K codes stands in each row: (n, H, W) -> (n, H*K)."""
    n, H = codes.shape[:2]
    rows = torch.arange(n * H, device=codes.device).view(n, H, 1)
    cells = (rows * codebook_size + codes).flatten()
    counts = torch.bincount(cells, minlength=n * H * codebook_size)
    return counts.view(n, H * codebook_size).float().sqrt()


READOUTS: dict[str, Readout] = {
    "flatten": flatten,
    "mean": mean,
    "histogram": histogram,
    "pyramid": pyramid,
}


def readout_features(name: str, latents: Tensor, codes: Tensor | None, layout: Layout) -> Rows:
    """The readout ``name`` of latents (n, D, H, W) and codes (n, H, W): (n, features).

    Raises TwincodeError for an unknown name, and where a readout needs codes and there are none.
    """
    if name not in READOUTS:
        raise unknown_name("readout", name, READOUTS)
    features = READOUTS[name](latents, codes, layout)
    if features is None:
        raise TwincodeError(
            f"the {name} readout needs codes, and a continuous model has none; use flatten or mean"
        )
    return features


def minmax_scale(train: NDArray[np.floating], test: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale features (n, features) to [-1, 1] by their ranges on train, and test no further.

    What lies beyond the range on train is moved to its end: where train hardly varies, a few test
    series would otherwise lie thousands of ranges away and decide every distance. scikit-learn's
    MinMaxScaler, in double precision whatever comes in; a constant becomes -1, and on test what is
    above it up to 1. Both parts come back in one array, train first, so that they are in memory
    once.
    """
    from sklearn.preprocessing import MinMaxScaler

    scaler = MinMaxScaler(SCALED_RANGE, copy=False, clip=True).fit(train.astype(np.float64))
    scaled = np.concatenate([train, test], dtype=np.float64)
    return np.asarray(scaler.transform(scaled))


def _to_numpy(features: Tensor) -> Rows:
    return features.detach().to("cpu", torch.float32).numpy()
