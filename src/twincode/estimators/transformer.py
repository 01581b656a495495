"""``TwinCode``: a recipe as a transformer of scikit-learn."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from twincode.errors import TwincodeError
from twincode.estimators.core import Estimator
from twincode.model import Model

_FITTED = ("model_", "readout_", "_dimensions", "_length", "_n_features_out")


class TwinCode(Estimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Series to features that are read off discrete codes, for scikit-learn's pipelines.

    Series are (n, L), or (n, C, L) for several channels, without gaps. Names of recipes and
    settings are those of ``twincode.recipe``; a setting that is None is as the recipe has it.

    Parameters
    ----------
    recipe : how codes are made: ``mixture`` in closed form, ``vqvae``, ``bt-vqvae``, ...
    readout : what ``transform`` reads off: ``flatten``, ``mean``, ``histogram`` or ``pyramid``.
    random_state : int, RandomState or None, as everywhere in scikit-learn.
    device : ``cpu``, ``cuda`` or ``auto``.
    bits, epochs, gamma, ... : settings of the recipe, one parameter each.

    Attributes
    ----------
    model_ : the fitted ``twincode.Model``: its codes' cost, ``save``, ``evaluate``.
    n_features_in_ : L, or C for series (n, C, L).
    readout_ : the ``readout`` at the time of ``fit``, which ``transform`` reads off.

    All errors are ValueErrors. Equal ``random_state``, data and number of threads give equal codes
    on one machine; joblib gives its workers one thread each, so a search and the refit after it may
    end with other codes.
    """

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Train on series X; y is ignored but by ``contrastive-vae``."""
        for name in _FITTED:  # a fit that fails leaves nothing that is half of this
            self.__dict__.pop(name, None)
        series = self._checked(X, fits=True)
        self._train(series, y)
        self._dimensions, self._length = series.ndim, series.shape[-1]
        self._n_features_out = self._features(series[:1]).shape[1]
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Features (n, features) of series X."""
        check_is_fitted(self, "model_")
        return self._features(self._checked(X))

    def encode(self, X: ArrayLike) -> NDArray[np.int64]:
        """Codes (n, H, W) of series X."""
        return self._fitted().encode(self._checked(X))

    def __sklearn_tags__(self) -> Any:
        """Series of several channels are taken; features are float32."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """The number of steps, ``n_features_in_``, is known before a fit has succeeded."""
        return hasattr(self, "model_")

    def _fitted(self) -> Model:
        check_is_fitted(self, "model_")
        return self.model_

    def _features(self, series: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        return self.model_.transform(series, self.readout_)

    def _checked(self, X: ArrayLike, fits: bool = False) -> NDArray[np.floating[Any]]:
        """X, if it can be series: those that were fitted or others of their kind."""
        if np.ma.is_masked(X):
            raise TwincodeError("X has masked values; fill them in first")
        series: NDArray[np.floating[Any]] = validate_data(
            self, X, reset=fits, allow_nd=True, dtype=[np.float64, np.float32]
        )
        if series.ndim not in (2, 3):
            raise TwincodeError(f"X must be (n, L) or (n, C, L), not {series.shape}")
        if series.shape[-1] < 2:
            raise TwincodeError("X has one step a series (n_features=1); at least 2 are needed")
        if fits:
            return series
        if series.ndim != self._dimensions:
            raise TwincodeError(f"X has {series.ndim} dimensions; it had {self._dimensions} in fit")
        if series.shape[-1] != self._length:
            raise TwincodeError(f"X has {series.shape[-1]} steps; it had {self._length} in fit")
        return series
