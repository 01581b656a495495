"""twincode as a transformer of scikit-learn, and of aeon (``estimators.aeon``) for who has it."""

from twincode.estimators.transformer import TwinCode

__all__ = ["TwinCode"]
