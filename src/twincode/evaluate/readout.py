"""Readouts: from a grid of quantised latents to one feature vector a series.

A readout is a pure function of (latents, codes, codebook_size). A new one is a function and a line
in ``READOUTS``; it is named in ``READOUTS_OF_CODES`` too where it cannot do without codes.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twincode.errors import TwincodeError, unknown_name

Features = NDArray[np.float32]
Readout = Callable[[Tensor, Tensor | None, int], Features]

SCALED_RANGE = (-1.0, 1.0)


def flatten(latents: Tensor, codes: Tensor | None, codebook_size: int) -> Features:
    """Every value of z_q: (n, D, H, W) -> (n, D*H*W), channels slowest."""
    del codes, codebook_size
    return _to_numpy(latents.flatten(start_dim=1))


def mean(latents: Tensor, codes: Tensor | None, codebook_size: int) -> Features:
    """The average of z_q over the token grid: (n, D, H, W) -> (n, D)."""
    del codes, codebook_size
    return _to_numpy(latents.mean(dim=(2, 3)))


def histogram(latents: Tensor, codes: Tensor | None, codebook_size: int) -> Features:
    """Square roots of how often each code stands in each frequency row: (n, H, W) -> (n, H*K).

    Feature ``h*K + k`` belongs to row h and code k. The square root steadies the variance of a
    count and makes Euclidean distance between two histograms Hellinger's, up to a factor.
    Raises TwincodeError where there are no codes, or codes outside 0 .. K-1.
    """
    del latents
    if codes is None:
        raise TwincodeError(
            "the histogram readout needs codes, which a continuous model has not; "
            "use flatten or mean"
        )
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < codebook_size:
        raise TwincodeError(
            f"codes run from {int(codes.min())} to {int(codes.max())}, outside a codebook of "
            f"{codebook_size}; pass the size of the codebook they come from"
        )
    n, H = codes.shape[:2]
    rows = torch.arange(n * H, device=codes.device).view(n, H, 1)
    cells = (rows * codebook_size + codes).flatten()
    counts = torch.bincount(cells, minlength=n * H * codebook_size)
    return _to_numpy(counts.view(n, H * codebook_size).sqrt())


READOUTS: dict[str, Readout] = {"flatten": flatten, "mean": mean, "histogram": histogram}
READOUTS_OF_CODES = frozenset({"histogram"})


def readout_features(
    name: str, latents: Tensor, codes: Tensor | None, codebook_size: int
) -> Features:
    """The readout ``name`` of latents (n, D, H, W) and codes (n, H, W): (n, features).

    Raises TwincodeError for an unknown name, and as the readout itself does.
    """
    if name not in READOUTS:
        raise unknown_name("readout", name, READOUTS)
    return READOUTS[name](latents, codes, codebook_size)


def minmax_scale(train: NDArray[np.floating], test: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale features (n, features) to [-1, 1] on train; test may fall outside.

    scikit-learn's MinMaxScaler, in double precision whatever comes in; a constant becomes -1. Both
    parts come back in one array, train first, so that they are in memory once.
    """
    from sklearn.preprocessing import MinMaxScaler

    scaler = MinMaxScaler(SCALED_RANGE, copy=False).fit(train.astype(np.float64))
    scaled = np.concatenate([train, test], dtype=np.float64)
    return np.asarray(scaler.transform(scaled))


def _to_numpy(features: Tensor) -> Features:
    return features.detach().to("cpu", torch.float32).numpy()
