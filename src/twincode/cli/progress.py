"""The progress bar: what runs, how far it is, how long it will take."""

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from twincode.study import PlannedRun
from twincode.train.log import Record

# The rate is taken over this many seconds, long enough to hold an evaluation.
RATE_SECONDS = 120


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        speed_estimate_period=RATE_SECONDS,
    )


def _note(record: Record) -> str:
    if record["event"] == "evaluation":
        return ""
    total = record["losses"]["total"]
    use = record["perplexity"]
    return f"loss {total:.4f}" + (f"  perplexity {use:.1f}" if use is not None else "")


class RunProgress:
    """One bar over the epochs of one run; give ``watch`` to ``fit``."""

    def __init__(self, title: str, epochs: int) -> None:
        self._bar = _bar()
        self._task = self._bar.add_task(title, total=epochs, unit="epochs", note="")

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def watch(self, record: Record) -> None:
        """Move the bar by a record of the log."""
        if record["event"] == "epoch":
            self._bar.update(self._task, completed=record["epoch"], note=_note(record))


class StudyProgress:
    """A bar over the epochs of all runs, and the name of the run at work."""

    def __init__(self) -> None:
        self._bar = _bar()
        self._runs: list[PlannedRun] = []
        self._task = self._bar.add_task("", total=None, unit="epochs", note="")

    def __enter__(self) -> "StudyProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def announce(self, runs: list[PlannedRun]) -> None:
        """Learn what there is to do."""
        self._runs = runs
        todo = [run for run in runs if not run.done]
        self._bar.update(self._task, total=sum(run.config.training.epochs for run in todo))

    def watch(self, run: PlannedRun, record: Record) -> None:
        """Move the bar by a record of one run's log."""
        place = f"[{self._runs.index(run) + 1}/{len(self._runs)}] {run.title}"
        if record["event"] == "epoch":
            self._bar.update(self._task, advance=1, description=place, note=_note(record))
        else:
            self._bar.update(self._task, description=place)
