"""How the trained runs of a study were made, as text."""

from collections.abc import Iterable

from twincode.report.chapter.markdown import listed
from twincode.report.results import Results
from twincode.report.runs import Run


def trained_runs(results: Results) -> list[Run]:
    """The runs that were trained: controls have no epochs."""
    return [run for run in results.runs if run.epochs > 0]


def setting(results: Results, group: str, name: str) -> str:
    """The value of a setting over the trained runs; all of them where they differ."""
    runs = trained_runs(results)
    values = {str(run.record["config"].get(group, {}).get(name, "unknown")) for run in runs}
    return listed(sorted(values)) or "none"


def epochs(results: Results, dataset: str = "") -> str:
    """The epochs of the trained runs, on one data set or all: ``100`` or ``25 to 100``."""
    return _span(run.epochs for run in trained_runs(results) if dataset in ("", run.dataset))


def steps(results: Results, dataset: str = "") -> str:
    """The optimiser steps of the trained runs, on one data set or all."""
    return _span(run.steps for run in trained_runs(results) if dataset in ("", run.dataset))


def seed_count(results: Results) -> int:
    """How many seeds there are over all runs."""
    return len({run.seed for run in results.runs})


def _span(values: Iterable[int]) -> str:
    found = sorted(set(values))
    if not found:
        return "none"
    return f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}"
