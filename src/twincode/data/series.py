"""The one form in which series travel through twincode."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twincode.data.classes import LabelArray, class_indices, plain_labels, sorted_classes
from twincode.data.policy import STRICT, FloatArray, Policy, SeriesArray, apply_policy
from twincode.data.tables import DEFAULT_COLUMNS, Columns, Frame, frame_rows
from twincode.errors import TwincodeError, one_line


@dataclass(frozen=True)
class Dataset:
    """Series in a train and a test part, unscaled, as float32 arrays of shape (n, C, L).

    Labels are indices into ``classes``; a part without labels has ``None``. Without a test part
    ``X_test`` has no series. ``origin`` says in words where the data came from.
    """

    name: str
    X_train: FloatArray
    X_test: FloatArray
    y_train: LabelArray | None
    y_test: LabelArray | None
    classes: tuple[str, ...]
    origin: str

    @classmethod
    def from_arrays(
        cls,
        X: ArrayLike | Sequence[ArrayLike],
        y: ArrayLike | None = None,
        test: tuple[ArrayLike | Sequence[ArrayLike], ArrayLike | None] | None = None,
        name: str = "arrays",
        policy: Policy = STRICT,
    ) -> "Dataset":
        """Train series X with their labels y, where there are some, and a ``test`` part (X, y).

        X is (n, L) or (n, C, L), or n arrays (L_i,) or (C, L_i) where ``policy`` takes unequal
        lengths. Raises TwincodeError for no train series or series that are none, labels that are
        not one a series, and whatever the policy refuses.
        """
        if test is None:
            test = [], None
        if not isinstance(test, tuple | list) or len(test) != 2:
            raise TwincodeError("test must be a pair (X, y), where y may be None")
        X_test, y_test = test
        train, held_out = _series(X, "X"), _series(X_test, "test X")
        if not train:
            raise TwincodeError("there are no train series")
        joined = apply_policy([*train, *held_out], policy, train_size=len(train))
        labels = _labels(y, len(train), "y"), _labels(y_test, len(held_out), "test y")
        classes = sorted_classes({label for part in labels for label in part or ()})
        return cls(
            name,
            joined[: len(train)],
            joined[len(train) :],
            class_indices(labels[0], classes),
            class_indices(labels[1], classes),
            classes,
            "arrays",
        )

    @classmethod
    def from_frame(
        cls,
        frame: Frame,
        columns: Columns = DEFAULT_COLUMNS,
        test: Frame | None = None,
        name: str = "frame",
        policy: Policy = STRICT,
    ) -> "Dataset":
        """The series in a table of pandas, polars or Arrow, one row a series or one a time step.

        ``columns`` says which hold ids and labels. Raises TwincodeError for columns that are not
        there, that hold no numbers, and whatever the policy refuses.
        """

        def read(given: Frame, where: str) -> tuple[list[SeriesArray], list[str] | None]:
            rows = frame_rows(given, columns, where)
            return rows.series, rows.labels(where)

        held_out = None if test is None else read(test, "the test frame")
        return cls.from_arrays(*read(frame, "the frame"), held_out, name, policy)

    @property
    def channels(self) -> int:
        """Number of channels C."""
        return int(self.X_train.shape[1])

    @property
    def length(self) -> int:
        """Number of time steps L."""
        return int(self.X_train.shape[2])

    @cached_property
    def checksum(self) -> str:
        """A hash of every value and of the classes' numbers, but not of their names."""
        digest = hashlib.sha256()
        for part in (self.X_train, self.X_test, self.y_train, self.y_test):
            array = np.ascontiguousarray(part) if part is not None else np.empty(0)
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Scaling:
    """A mean and a standard deviation for each channel, taken over the whole train part.

    One number of each stands for all channels.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def fit(cls, X: FloatArray) -> "Scaling":
        """Those of the channels of ``X`` (n, C, L); a constant channel keeps scale 1."""
        channels = [X[:, channel] for channel in range(X.shape[1])]
        return cls(
            mean=tuple(float(each.mean(dtype=np.float64)) for each in channels),
            # Rounding in the mean would give a constant channel a tiny deviation instead of none.
            std=tuple(
                1.0 if each.min() == each.max() else float(each.std(dtype=np.float64))
                for each in channels
            ),
        )

    def apply(self, X: FloatArray) -> FloatArray:
        """Scaled copy of ``X`` (n, C, L), computed in float64 so that a large mean costs no digits.

        Raises TwincodeError for values so far from the train set's that float32 cannot hold them.
        """
        mean, std = self._columns
        scaled = (X.astype(np.float64) - mean) / std
        if (np.abs(scaled) > np.finfo(np.float32).max).any():
            raise TwincodeError(
                "series hold values far beyond those of the train set "
                f"(mean {_listed(self.mean)}, standard deviation {_listed(self.std)}); "
                "check their units"
            )
        return scaled.astype(np.float32)

    def invert(self, X: FloatArray) -> FloatArray:
        """The series in their original units."""
        mean, std = self._columns
        return (X.astype(np.float64) * std + mean).astype(np.float32)

    @property
    def _columns(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both as (C, 1)."""
        return np.array(self.mean)[:, None], np.array(self.std)[:, None]


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _series(X: ArrayLike | Sequence[ArrayLike], what: str) -> list[NDArray[np.float64]]:
    """One array (C, L_i) a series; NaN stays."""
    try:
        # Data frames, and tables of Arrow, give columns in turn, and rows as an array.
        framed = hasattr(X, "to_numpy") or hasattr(X, "to_pandas")
        table = np.asarray(X) if framed else X
        rows = [real_numbers(series, np.float64) for series in table]  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise TwincodeError(
            f"{what} must be numbers (n, L) or (n, C, L), or a list of n arrays"
        ) from None
    except RuntimeError as error:  # of a tensor that NumPy cannot see
        raise TwincodeError(f"{what} cannot be read: {one_line(error)}") from error
    for row in rows:
        if row.ndim not in (1, 2) or row.size == 0:
            raise TwincodeError(f"{what} must be (n, L) or (n, C, L); a series has {row.shape}")
    return [np.atleast_2d(row) for row in rows]


def real_numbers(X: ArrayLike, dtype: type[np.floating]) -> NDArray[Any]:
    """An array of real numbers, NaN where it is masked; TypeError or ValueError for others."""
    if isinstance(X, np.ma.MaskedArray):
        X = np.ma.filled(np.ma.asarray(X, dtype), np.nan)
    array: NDArray[Any] = np.asarray(X)
    if array.dtype.kind == "c":
        raise TypeError("complex numbers")
    return array.astype(dtype, copy=False)


def _labels(y: ArrayLike | None, n: int, what: str) -> list[str] | None:
    if y is None:
        return None
    if np.ma.is_masked(y):
        raise TwincodeError(f"{what} has a masked label; give each series one, or leave them out")
    labels: NDArray[Any] = np.asarray(y)
    if labels.shape != (n,):
        raise TwincodeError(
            f"{what} must hold one label for each of {n} series, not {labels.shape}"
        )
    return plain_labels(labels.tolist(), what)
