"""The progress bar: what runs, how far it is, how long it will take.

A terminal shows two lines that keep themselves up to date. Anything else, a log file say, gets
one plain line at each evaluation.
"""

import time
from collections.abc import Iterable
from datetime import timedelta
from types import TracebackType

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

from twincode.train.log import Record

# The rate is taken over this many seconds, long enough to hold an evaluation.
RATE_SECONDS = 120
# How often a log file is told how a conversion of files stands.
LINE_SECONDS = 60

STOPPING = "stopping when this epoch is done; press Ctrl-C again to stop at once"


class _TwoLines(Progress):
    """What runs and how it does on one line, how far it is on the next."""

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            text = f"{task.description}  {task.fields['note']}"
            yield Text(text, no_wrap=True, overflow="ellipsis")
            yield self.make_tasks_table([task])


class RowsProgress:
    """The rows of files that are converted; give ``watch`` to ``convert_folder``."""

    def __init__(self, title: str) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]} rows/s,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
            disable=not self._console.is_interactive,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=None, rate="-")
        self._title = title
        self._start = self._told = time.monotonic()

    def __enter__(self) -> "RowsProgress":
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.stop()

    def watch(self, done: int, total: int) -> None:
        """Show how many rows are done. A log file gets a line a minute."""
        now = time.monotonic()
        rate = done / max(now - self._start, 1e-9)
        self._bar.update(self._task, completed=done, total=total, rate=f"{rate:,.0f}")
        if self._bar.disable and now - self._told >= LINE_SECONDS:
            self._told = now
            left = clock((total - done) / rate if done else None)
            line = f"{self._title}  {done:,} of {total:,} rows, {rate:,.0f} rows/s, {left} left"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class RunProgress:
    """The epochs of one run; give ``watch`` to ``fit``.

    How many there are may be left to what the run says at its start.
    """

    def __init__(self, title: str, epochs: int = 0) -> None:
        self._title = title
        self._epochs = epochs
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
        self._task = self._bar.add_task(title, total=epochs, note="")
        self.seen_anything = False

    def __enter__(self) -> "RunProgress":
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

    def watch(self, record: Record) -> None:
        """Take in a record of the log."""
        if record["event"] == "epoch":
            note = epoch_note(record, self._epochs)
            self._bar.update(self._task, completed=record["epoch"], note=note)
        elif record["event"] == "start":
            self._epochs = record.get("epochs", self._epochs)
            self._bar.update(self._task, total=self._epochs)
            self._bar.update(self._task, note="first epoch" if self._epochs else "evaluation")
        elif record["event"] == "evaluation" and self._bar.disable:
            self._print()
        elif record["event"] == "health" and record["epoch"] < self._epochs:
            # What holds at the end is said there.
            line = f"{self._title}: {record['message']}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif record["event"] == "stopping":
            self._console.print(STOPPING)
        self.seen_anything = True

    def _print(self) -> None:
        task = self._bar.tasks[0]
        elapsed, left = clock(task.elapsed), clock(task.time_remaining)
        line = f"{self._title}  {task.fields['note']}  {elapsed} so far, {left} left"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def epoch_note(record: Record, epochs: int) -> str:
    """How a run does, from the record of an epoch."""
    epoch, perplexity = record["epoch"], record.get("perplexity")
    parts = [f"epoch {epoch}/{epochs}", f"loss {record['losses']['total']:.4g}"]
    parts += [f"perplexity {perplexity:.1f}"] if perplexity is not None else []
    parts += [f"{dead:.3g} dead codes"] if (dead := record.get("dead_codes")) else []
    parts += ["last evaluation"] if epoch == epochs else []
    return "  ".join(parts)


def clock(seconds: float | None) -> str:
    """A span of time as hours, minutes and seconds; dashes where it is not known."""
    return "-:--:--" if seconds is None else str(timedelta(seconds=round(seconds)))
