"""``TwinCodeTransformer``: a recipe as a transformer of aeon. Importing this needs aeon."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twincode.data import Policy, apply_policy
from twincode.data.policy import fill_along
from twincode.errors import installing
from twincode.estimators.core import Estimator, Series
from twincode.model import Model

try:
    from aeon.transformations.collection import BaseCollectionTransformer
except ImportError as error:
    raise ImportError(f"TwinCodeTransformer needs aeon: {installing('aeon')}") from error

_RESAMPLED = Policy(lengths="resample")


class TwinCodeTransformer(Estimator, BaseCollectionTransformer):
    """Collections of series to features that are read off discrete codes, for aeon's pipelines.

    Takes what aeon takes: (n, C, L) or a list of (C, L_i), with gaps too. Gaps are filled along a
    line between neighbours, and lengths are brought to that of the longest series in fit. The
    parameters are those of ``twincode.TwinCode``, and so is ``model_``.
    """

    _tags = {  # noqa: RUF012 - aeon reads it of the class
        "X_inner_type": ["np-list", "numpy3D"],
        "output_data_type": "Tabular",
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:missing_values": True,
        "removes_unequal_length": True,
        "removes_missing_values": True,
        "algorithm_type": "deeplearning",
        "python_dependencies": "torch",
    }

    def encode(self, X: Series) -> NDArray[np.int64]:
        """Codes (n, H, W) of a collection of series."""
        model = self._fitted()
        series = self._preprocess_collection(X, store_metadata=False)
        self._check_shape(series)
        return model.encode(self._array(series))

    def _fit(self, X: Sequence[NDArray[Any]], y: ArrayLike | None = None) -> None:
        self._train(_filled(X), y, _RESAMPLED)

    def _transform(
        self, X: Sequence[NDArray[Any]], y: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        del y
        return self.model_.transform(self._array(X), self.readout_)

    def _fitted(self) -> Model:
        self._check_is_fitted()
        return self.model_

    def _array(self, series: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Series of the length of the model's, without gaps."""
        return apply_policy(_filled(series), _RESAMPLED, target_length=self.model_.tokenizer.length)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        """A tiny model, for aeon's own checks."""
        del parameter_set
        return {"recipe": "patch-rvq", "bits": 8}


def _filled(series: Sequence[NDArray[Any]]) -> list[NDArray[np.floating]]:
    """Series (C, L_i) without gaps. In files a gap at the end is a shorter series, not here."""
    return [
        fill_along(np.asarray(each, np.float64), f"series {row}")
        for row, each in enumerate(series, 1)
    ]
