"""Studies: grids of runs, carried out once.

The names below are the public ones. They are loaded on first use: a study can be described
without the libraries that carry it out.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twincode.study.events import read_status
    from twincode.study.executors.inline import Inline
    from twincode.study.executors.processes import Processes
    from twincode.study.executors.ray_cluster import RayCluster
    from twincode.study.plan import Study
    from twincode.study.runner import run_study
    from twincode.study.second_stage import Priors

_HOMES = {
    "Inline": "executors.inline",
    "Priors": "second_stage",
    "Processes": "executors.processes",
    "RayCluster": "executors.ray_cluster",
    "Study": "plan",
    "read_status": "events",
    "run_study": "runner",
}

__all__ = [
    "Inline",
    "Priors",
    "Processes",
    "RayCluster",
    "Study",
    "read_status",
    "run_study",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
