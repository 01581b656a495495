"""Studies: grids of runs, carried out once.

The names below are the public ones. They are loaded on first use: a study can be described, and
its defaults shown, without the libraries that carry it out.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twincode.study.board import Board, Row
    from twincode.study.executors.inline import Inline
    from twincode.study.executors.processes import Processes
    from twincode.study.executors.ray_cluster import RayCluster
    from twincode.study.plan import Study
    from twincode.study.planned import PlannedRun
    from twincode.study.runner import Outcome, run_study
    from twincode.study.status import read_status

_HOMES = {
    "Board": "twincode.study.board",
    "Inline": "twincode.study.executors.inline",
    "Outcome": "twincode.study.runner",
    "PlannedRun": "twincode.study.planned",
    "Processes": "twincode.study.executors.processes",
    "RayCluster": "twincode.study.executors.ray_cluster",
    "Row": "twincode.study.board",
    "Study": "twincode.study.plan",
    "read_status": "twincode.study.status",
    "run_study": "twincode.study.runner",
}

__all__ = [
    "Board",
    "Inline",
    "Outcome",
    "PlannedRun",
    "Processes",
    "RayCluster",
    "Row",
    "Study",
    "read_status",
    "run_study",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
