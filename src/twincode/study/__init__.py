"""Studies: grids of runs, carried out once."""

from twincode.study.plan import Study
from twincode.study.runner import Outcome, PlannedRun, run_study

__all__ = ["Outcome", "PlannedRun", "Study", "run_study"]
