"""twincode as a transformer of scikit-learn, and in ``estimators.aeon`` of aeon."""

from twincode.estimators.transformer import TwinCode

__all__ = ["TwinCode"]
