"""The one form in which series travel through twincode."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twincode.errors import TwincodeError

FloatArray = NDArray[np.float32]
LabelArray = NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Series in a train and a test part, unscaled, as float32 arrays of shape (n, C, L).

    Labels are indices into ``classes``; a part without labels has ``None``. ``origin`` says in
    words where the data came from.
    """

    name: str
    X_train: FloatArray
    X_test: FloatArray
    y_train: LabelArray | None
    y_test: LabelArray | None
    classes: tuple[str, ...]
    origin: str

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
        """A hash of every value and label: two data sets with one checksum are the same data."""
        digest = hashlib.sha256()
        for part in (self.X_train, self.X_test, self.y_train, self.y_test):
            array = np.ascontiguousarray(part) if part is not None else np.empty(0)
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Scaling:
    """One mean and one standard deviation, taken over the whole train part."""

    mean: float
    std: float

    @classmethod
    def fit(cls, X: FloatArray) -> "Scaling":
        """Mean and standard deviation of every value in ``X``; a constant set keeps scale 1."""
        # Rounding in the mean would give a constant set a tiny deviation instead of none.
        constant = bool(X.min() == X.max())
        std = 1.0 if constant else float(X.std(dtype=np.float64))
        return cls(mean=float(X.mean(dtype=np.float64)), std=std)

    def apply(self, X: FloatArray) -> FloatArray:
        """Scaled copy of ``X``, computed in float64 so that a large mean costs no digits.

        Raises TwincodeError for values so far from the train set's that float32 cannot hold them.
        """
        scaled = (X.astype(np.float64) - self.mean) / self.std
        if (np.abs(scaled) > np.finfo(np.float32).max).any():
            raise TwincodeError(
                "series hold values far beyond those of the train set "
                f"(mean {self.mean:.3g}, standard deviation {self.std:.3g}); check their units"
            )
        return scaled.astype(np.float32)

    def invert(self, X: FloatArray) -> FloatArray:
        """The series in their original units."""
        return (X.astype(np.float64) * self.std + self.mean).astype(np.float32)
