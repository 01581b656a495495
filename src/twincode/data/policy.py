"""What is done about missing values and unequal lengths: a stated policy, never a silent NaN.

A series whose last time steps are NaN in every channel is a *shorter* series, as the UCR archive
writes it. Any other NaN is a *missing* value.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twincode.errors import TwincodeError, TwincodeWarning, unknown_name

FloatArray = NDArray[np.float32]
SeriesArray = NDArray[np.floating[Any]]

MISSING = ("error", "interpolate")
LENGTHS = ("error", "resample", "truncate")
_FLOAT32_MAX = float(np.finfo(np.float32).max)
# Beside its mean a channel varies at least so much where float32 keeps all but a millionth of it.
_LEAST_DEVIATION = 300 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Policy:
    """How series with missing values or of unequal lengths become one array.

    ``missing``: ``error`` refuses them; ``interpolate`` joins the known neighbours within the
    channel by a line, and takes the nearest known value at either end.

    ``lengths``: ``error`` refuses them; ``resample`` brings each series to the length of the
    longest train series by linear interpolation; ``truncate`` cuts each to the shortest of all.
    For a trained model they are brought to its length, or longer ones cut to it.

    Raises TwincodeError for any other value.
    """

    missing: str = "error"
    lengths: str = "error"

    def __post_init__(self) -> None:
        if self.missing not in MISSING:
            raise unknown_name("policy for missing values", self.missing, MISSING)
        if self.lengths not in LENGTHS:
            raise unknown_name("policy for unequal lengths", self.lengths, LENGTHS)


STRICT = Policy()


def apply_policy(
    series: Sequence[SeriesArray],
    policy: Policy = STRICT,
    *,
    target_length: int | None = None,
    train_size: int | None = None,
    names: Sequence[str] | None = None,
) -> FloatArray:
    """One finite float32 array (n, C, L) from n arrays (C, L_i).

    ``target_length`` fixes L, as a trained model does; shorter series then need ``resample``, and
    longer ones that or ``truncate``. Without it L follows from the policy, where ``resample`` looks
    only at the first ``train_size`` series (all of them by default). ``names`` are what errors call
    each series.

    Raises TwincodeError for no series at all, channels that differ, infinite values, values beyond
    float32, a channel without any known value, and for whatever the policy refuses. The message
    names the first such series and the option that would serve.
    """
    if len(series) == 0:
        raise TwincodeError("there are no series; give at least one")
    if target_length is not None and target_length < 1:
        raise TwincodeError(f"the target length must be at least 1, not {target_length}")
    names = names or _numbered(series)
    trimmed = _trimmed(series, names)
    length = _common_length(trimmed, names, policy, target_length, train_size)
    result = np.empty((len(trimmed), trimmed[0].shape[0], length), dtype=np.float32)
    for row, (array, name) in enumerate(zip(trimmed, names, strict=True)):
        known = _fill(array, name, policy.missing)
        result[row] = (
            known[:, :length] if policy.lengths == "truncate" else _resample(known, length)
        )
    _warn_of_offsets(result, trimmed)
    return result


def fill_gaps(
    series: Sequence[SeriesArray], missing: str, names: Sequence[str] | None = None
) -> list[NDArray[np.float64]]:
    """Each series (C, L_i) without missing values, and shorter by those at its end.

    ``missing`` is a policy's. Raises TwincodeError as ``apply_policy`` does.
    """
    names = names or _numbered(series)
    trimmed = _trimmed(series, names)
    return [_fill(array, name, missing) for array, name in zip(trimmed, names, strict=True)]


def rows_by_length(series: Sequence[SeriesArray]) -> dict[int, list[int]]:
    """The rows of series (..., L_i) of each length."""
    found: dict[int, list[int]] = {}
    for row, each in enumerate(series):
        found.setdefault(each.shape[-1], []).append(row)
    return found


def _numbered(series: Sequence[SeriesArray]) -> list[str]:
    return [f"series {row}" for row in range(1, len(series) + 1)]


def _trimmed(series: Sequence[SeriesArray], names: Sequence[str]) -> list[NDArray[np.float64]]:
    checked = [_check(array, name) for array, name in zip(series, names, strict=True)]
    _check_channels(checked, names)
    return [_trim(array, name) for array, name in zip(checked, names, strict=True)]


def _check(array: SeriesArray, name: str) -> NDArray[np.float64]:
    values = np.asarray(array, dtype=np.float64)
    if values.ndim != 2:
        raise TwincodeError(f"{name} must have shape (channels, time steps), not {values.shape}")
    if np.isinf(values).any():
        raise TwincodeError(f"{name} has an infinite value; replace it or remove the series")
    if (np.abs(values) > _FLOAT32_MAX).any():
        raise TwincodeError(f"{name} has a value too large for float32; use larger units")
    return values


def _check_channels(series: Sequence[NDArray[np.float64]], names: Sequence[str]) -> None:
    expected = series[0].shape[0] if series else 0
    for array, name in zip(series, names, strict=True):
        if array.shape[0] != expected:
            raise TwincodeError(
                f"{name} has {array.shape[0]} channels where {names[0]} has {expected}; "
                "every series needs the same channels"
            )


def _trim(array: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    known_steps = np.flatnonzero(~np.isnan(array).all(axis=0))
    if known_steps.size == 0:
        raise TwincodeError(f"{name} has no known value; remove it")
    return array[:, : known_steps[-1] + 1]


def _warn_of_offsets(held: FloatArray, series: Sequence[NDArray[np.float64]]) -> None:
    """Warn of channels (n, C, L) that float32 has left few digits of what varies in them."""
    for channel in range(held.shape[1]):
        values = held[:, channel]
        if values.min() <= 0 <= values.max():
            continue
        mean, deviation = (float(of(values, dtype=np.float64)) for of in (np.mean, np.std))
        few = deviation < _LEAST_DEVIATION * abs(mean)
        if few and any(np.ptp(each[channel][~np.isnan(each[channel])]) > 0 for each in series):
            warnings.warn(
                f"channel {channel + 1} varies little around {mean:.6g}: float32, in which series "
                "are held, keeps few digits of that; take a constant off it first",
                TwincodeWarning,
                stacklevel=3,
            )


def _common_length(
    series: Sequence[NDArray[np.float64]],
    names: Sequence[str],
    policy: Policy,
    target_length: int | None,
    train_size: int | None,
) -> int:
    lengths: list[int] = [array.shape[1] for array in series]
    if policy.lengths == "resample":
        return target_length or max(lengths[:train_size])
    if policy.lengths == "truncate" and target_length is None:
        return min(lengths)
    expected = target_length or lengths[0]
    like = "" if target_length else f" like {names[0]}"
    for length, name in zip(lengths, names, strict=True):
        if length < expected or (length > expected and policy.lengths != "truncate"):
            raise TwincodeError(
                f'{name} has {length} time steps, not {expected}{like}; use lengths="resample"'
            )
    return expected


def _fill(array: NDArray[np.float64], name: str, missing: str) -> NDArray[np.float64]:
    unknown = np.isnan(array)
    if not unknown.any():
        return array
    if missing == "error":
        channel, step = np.argwhere(unknown)[0] + 1
        raise TwincodeError(
            f"{name} has a missing value (channel {channel}, time step {step}); "
            'use missing="interpolate"'
        )
    return fill_along(array, name)


def fill_along(array: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """A series (C, L) with gaps filled linearly in time, at its ends by the nearest value.

    Raises TwincodeError, with its ``name``, for a channel without any known value.
    """
    unknown = np.isnan(array)
    if not unknown.any():
        return array
    empty = np.flatnonzero(unknown.all(axis=1))
    if empty.size:
        raise TwincodeError(f"{name} has no known value in channel {empty[0] + 1}; remove it")
    steps = np.arange(array.shape[1])
    return np.stack(
        [
            np.interp(steps, steps[~gaps], channel[~gaps])
            for channel, gaps in zip(array, unknown, strict=True)
        ]
    )


def _resample(array: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    if array.shape[1] == length:
        return array
    old, new = np.linspace(0, 1, array.shape[1]), np.linspace(0, 1, length)
    return np.stack([np.interp(new, old, channel) for channel in array])
