"""twincode: discrete codes for time series.

    import twincode

    data = twincode.load_dataset("GunPoint")
    model = twincode.fit(twincode.recipe("bt-vqvae", gamma=1, epochs=50), data)
    codes = model.encode(data.X_test)
    series = model.decode(codes)
    scores = model.evaluate(data)
    model.save("gunpoint")
    model = twincode.load_model("gunpoint")

The names below are the public ones. They are loaded on first use, so that importing twincode
costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twincode.config import Config
    from twincode.data import Columns, Dataset, Policy, list_datasets, load_dataset, read_series
    from twincode.errors import TwincodeError
    from twincode.estimators import TwinCode
    from twincode.explorer import explore
    from twincode.export import export_onnx
    from twincode.model import Model, load_model
    from twincode.priors import prior
    from twincode.recipes import recipe
    from twincode.report import write_report
    from twincode.study import Study, run_study
    from twincode.train import fit, fit_prior

_HOMES = {
    "Columns": "twincode.data",
    "Config": "twincode.config",
    "Dataset": "twincode.data",
    "Model": "twincode.model",
    "Policy": "twincode.data",
    "Study": "twincode.study",
    "TwinCode": "twincode.estimators",
    "TwincodeError": "twincode.errors",
    "export_onnx": "twincode.export",
    "explore": "twincode.explorer",
    "fit": "twincode.train",
    "fit_prior": "twincode.train",
    "list_datasets": "twincode.data",
    "load_dataset": "twincode.data",
    "load_model": "twincode.model",
    "read_series": "twincode.data",
    "prior": "twincode.priors",
    "recipe": "twincode.recipes",
    "run_study": "twincode.study",
    "write_report": "twincode.report",
}

__all__ = [
    "Columns",
    "Config",
    "Dataset",
    "Model",
    "Policy",
    "Study",
    "TwinCode",
    "TwincodeError",
    "explore",
    "export_onnx",
    "fit",
    "fit_prior",
    "list_datasets",
    "load_dataset",
    "load_model",
    "prior",
    "read_series",
    "recipe",
    "run_study",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("twincode")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
