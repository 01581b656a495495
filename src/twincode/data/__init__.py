"""Data: files, archives and arrays in; float32 series (n, C, L) out."""

from twincode.data.archive import load_dataset
from twincode.data.files import read_series
from twincode.data.listing import DatasetInfo, list_datasets
from twincode.data.policy import Policy, apply_policy
from twincode.data.series import Dataset, Scaling
from twincode.data.tables import Columns

__all__ = [
    "Columns",
    "Dataset",
    "DatasetInfo",
    "Policy",
    "Scaling",
    "apply_policy",
    "list_datasets",
    "load_dataset",
    "read_series",
]
