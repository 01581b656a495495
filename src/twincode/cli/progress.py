"""The progress bar: what runs, how far it is, how long it will take.

A terminal shows two lines that keep themselves up to date. Anything else, a log file say, gets
one plain line at each evaluation.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from twincode.study import PlannedRun
from twincode.train.log import Record

# The rate is taken over this many seconds, long enough to hold an evaluation.
RATE_SECONDS = 120

STOPPING = "stopping when this epoch is done; press Ctrl-C again to stop at once"

D = TypeVar("D", bound="_Display")


class _TwoLines(Progress):
    """What runs and how it does on one line, how far it is on the next."""

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            text = f"{task.description}  {task.fields['note']}"
            yield Text(text, no_wrap=True, overflow="ellipsis")
            yield self.make_tasks_table([task])


class _Display:
    """What the two kinds of progress share. ``completed`` and ``total`` have any unit."""

    def __init__(self, title: str = "", total: float | None = None) -> None:
        self._console = Console(stderr=True)
        self._bar = _TwoLines(
            BarColumn(bar_width=32),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("so far,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
            speed_estimate_period=RATE_SECONDS,
            disable=not self._console.is_interactive,
        )
        self._task = self._bar.add_task(title, total=total, note="")
        self.seen_anything = False

    def __enter__(self: D) -> D:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A bar that never moved says nothing; a failure's one line is to stand alone.
        self._bar.live.transient = not self.seen_anything
        self._bar.stop()

    def _show(self, title: str, record: Record, epochs: int, completed: float) -> None:
        """Bring the display up to date with a record of the log of a run of ``epochs``."""
        if record["event"] == "epoch":
            note = _note(record, epochs)
            self._bar.update(self._task, description=title, completed=completed, note=note)
        elif record["event"] == "start":
            note = "first epoch" if epochs else "evaluation"
            self._bar.update(self._task, description=title, note=note)
        elif record["event"] == "evaluation" and self._bar.disable:
            self._print(title)
        elif record["event"] == "health" and record["epoch"] < epochs:
            # What holds at the end is said there.
            line = f"{title}: {record['message']}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif record["event"] == "stopping":
            self._console.print(STOPPING)
        self.seen_anything = True

    def _print(self, title: str) -> None:
        task = self._bar.tasks[0]
        elapsed, left = _clock(task.elapsed), _clock(task.time_remaining)
        line = f"{title}  {task.fields['note']}  {elapsed} so far, {left} left"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class RunProgress(_Display):
    """The epochs of one run; give ``watch`` to ``fit``."""

    def __init__(self, title: str, epochs: int) -> None:
        super().__init__(title, epochs)
        self._title = title
        self._epochs = epochs

    def watch(self, record: Record) -> None:
        """Take in a record of the log."""
        self._show(self._title, record, self._epochs, record.get("epoch", 0))


class StudyProgress(_Display):
    """All runs of a study; ``announce`` and ``watch`` are for ``run_study``.

    The bar counts values passed through training, so that the time left is right for data sets of
    different sizes too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._titles: dict[Path, str] = {}
        self._before: dict[Path, int] = {}
        self.runs: list[PlannedRun] = []

    def announce(self, runs: list[PlannedRun]) -> None:
        """Learn what there is to do."""
        self.runs = runs
        total = 0
        for number, run in enumerate(runs, start=1):
            self._titles[run.folder] = f"[{number}/{len(runs)}] {run.title}"
            self._before[run.folder] = total
            total += 0 if run.done else run.config.training.epochs * run.dataset.X_train.size
        self._bar.update(self._task, total=total)

    def watch(self, run: PlannedRun, record: Record) -> None:
        """Take in a record of the log of one run."""
        done = record.get("epoch", 0) * run.dataset.X_train.size
        title, before = self._titles[run.folder], self._before[run.folder]
        self._show(title, record, run.config.training.epochs, before + done)


def _note(record: Record, epochs: int) -> str:
    epoch, perplexity = record["epoch"], record["perplexity"]
    parts = [f"epoch {epoch}/{epochs}", f"loss {record['losses']['total']:.4g}"]
    parts += [f"perplexity {perplexity:.1f}"] if perplexity is not None else []
    parts += [f"{dead:.3g} dead codes"] if (dead := record.get("dead_codes")) else []
    parts += ["last evaluation"] if epoch == epochs else []
    return "  ".join(parts)


def _clock(seconds: float | None) -> str:
    return "-:--:--" if seconds is None else str(timedelta(seconds=round(seconds)))
