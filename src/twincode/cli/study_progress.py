"""How a study stands: live in a terminal, in plain lines elsewhere, and when somebody asks."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from twincode.cli.progress import STOPPING, clock, epoch_note
from twincode.study.board import DONE, FAILED, PLANNED, RUNNING, Board, Event, Row
from twincode.study.runs import RUNS

BAR_WIDTH = 32
REFRESHES_PER_SECOND = 4
# More running at once than this are only counted.
MOST_LINES = 12


class StudyProgress:
    """All runs of a study; ``watch`` is for ``run_study``."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self.board = Board()
        self._notes: dict[str, str] = {}
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=REFRESHES_PER_SECOND,
        )

    def __enter__(self) -> "StudyProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def watch(self, event: Event, board: Board) -> None:
        """Take in what happens."""
        self.board = board
        match event:
            case {"event": "began"}:
                if self._console.is_interactive and board.of(PLANNED):
                    self._live.start()
            case {"event": "stopping"}:
                self._console.print(STOPPING)
            case {"run": name} if name in board.rows:
                self._watch(event, board.rows[name])

    def done(self, place: Path) -> list[tuple[str, Path]]:
        """What is finished of the study in ``place``: titles and folders."""
        return [(row.title, place / RUNS / row.name) for row in self.board.of(DONE)]

    def _watch(self, event: Event, row: Row) -> None:
        """Note what a run does; a log file gets a line of news."""
        news = ""
        match event:
            case {"event": "started"}:
                self._notes[row.name] = "starting"
            case {"event": "start"}:
                self._notes[row.name] = "first epoch" if row.epochs else "evaluation"
            case {"event": "epoch"}:
                self._notes[row.name] = epoch_note(event, row.epochs)
            case {"event": "health", "epoch": epoch, "message": message} if epoch < row.epochs:
                # What holds at the end is said there.
                self._say(f"{row.title}: {message}")
            case {"event": "evaluation"}:
                news = self._notes.get(row.name, "")
            case {"event": "ended", "reason": str(reason)}:
                news = f"failed: {reason}"
            case {"event": "lost"}:
                news = "its worker died; it will be taken up again"
        if news and not self._console.is_interactive:
            place = f"[{list(self.board.rows).index(row.name) + 1}/{len(self.board.rows)}]"
            self._say(f"{place} {row.title}  {news}  {_times(self.board, time.time())}")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> RenderableType:
        board, now = self.board, time.time()
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=1, completed=board.fraction, width=BAR_WIDTH),
            f"{board.fraction:4.0%} {_times(board, now)}",
        )
        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in self._running()]
        return Group(Text(counts(board)), bar, *lines)

    def _running(self) -> Iterator[str]:
        running = self.board.of(RUNNING)
        for row in running[:MOST_LINES]:
            yield f"{row.title}  {self._notes.get(row.name, '')}"
        if len(running) > MOST_LINES:
            yield f"and {len(running) - MOST_LINES} more"


def describe(board: Board, now: float) -> Iterator[str]:
    """How a study stands, line by line: counts, what runs, what failed and why, what to do."""
    left = f", {clock(board.seconds_left(now))} left" if board.alive else ""
    yield f"{counts(board)}, {board.fraction:.0%} of the work{left}"
    for row in board.of(RUNNING):
        yield f"running: {row.title}  epoch {row.epoch}/{row.epochs}  {row.worker}"
    for row in board.of(FAILED):
        yield f"failed: {row.title}: {row.reason}"
    if board.alive:
        yield f"at work: {board.driver}"
    elif board.of(PLANNED):
        yield "nobody is at work; run the same command again to go on"
    elif board.of(FAILED):
        yield "run the same command again to try what failed again"


def counts(board: Board) -> str:
    """How many runs are in which state, in words."""
    parts = [f"{len(board.of(DONE))} of {len(board.rows)} runs done"]
    parts += [f"{len(found)} {state}" for state in (RUNNING, FAILED) if (found := board.of(state))]
    return ", ".join(parts)


def _times(board: Board, now: float) -> str:
    return f"{clock(now - board.began)} so far, {clock(board.seconds_left(now))} left"
