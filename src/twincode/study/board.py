"""How every run of a study stands at a moment: planned, running, done or failed."""

from dataclasses import dataclass, field
from typing import Any

from twincode.train.result import RESULT

PLANNED, RUNNING, DONE, FAILED = "planned", "running", "done", "failed"

Event = dict[str, Any]


@dataclass
class Row:
    """One run. ``values`` is what one epoch passes through training.

    ``from_epoch`` is where the present driver found it, so that a rate counts its own work alone.
    ``result`` is the file of its folder that marks it as done.
    """

    name: str
    title: str
    epochs: int
    values: int
    state: str = PLANNED
    epoch: int = 0
    from_epoch: int = 0
    reason: str | None = None
    worker: str | None = None
    result: str = RESULT

    @property
    def work(self) -> int:
        """What passes through training; priors and what is drawn from them count as much again."""
        return self.values * self.epochs * (1 if self.result == RESULT else 2)

    @property
    def left(self) -> int:
        """What of it is still to do."""
        return 0 if self.state in (DONE, FAILED) else self.work - self.values * self.epoch

    @property
    def own(self) -> int:
        """What of it the present driver has done."""
        trained = self.values * (self.epoch - self.from_epoch)
        judged = self.state == DONE and self.worker is not None
        return trained + (self.work - self.values * self.epochs if judged else 0)

    def put_back(self) -> None:
        """Its worker is gone; what it reached is kept in its folder."""
        self.state, self.worker = PLANNED, None


@dataclass
class Board:
    """All runs of a study, in the order planned, and the driver at work on them.

    ``began`` is when the present driver, or the last, began, in Unix time; ``alive`` says whether
    it is at work.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    began: float = 0.0
    driver: str = ""
    alive: bool = True

    def take(self, event: Event) -> None:
        """Bring the board up to date with an event of the study or of the log of a run."""
        match event:
            case {"event": "began", "time": began, "driver": driver, "runs": runs}:
                rows = [Row(**row) for row in runs]
                self.rows = {row.name: row for row in rows}
                self.began, self.driver = began, driver
            case {"run": run} if run in self.rows:
                self._take(event, self.rows[run])

    def _take(self, event: Event, row: Row) -> None:
        match event:
            case {"event": "started", "worker": worker}:
                row.state, row.worker = RUNNING, worker
            case {"event": "epoch", "epoch": epoch}:
                # A checkpoint may lie behind what was known.
                row.epoch, row.from_epoch = epoch, min(row.from_epoch, epoch - 1)
            case {"event": "lost"}:
                row.put_back()
            case {"event": "ended", "reason": None}:
                row.state, row.epoch = DONE, row.epochs
            case {"event": "ended", "reason": reason}:
                row.state, row.reason = FAILED, reason

    def of(self, state: str) -> list[Row]:
        """The runs in one state."""
        return [row for row in self.rows.values() if row.state == state]

    @property
    def fraction(self) -> float:
        """The part of the study's work that is over, counted in values passed through training."""
        total = sum(row.work for row in self.rows.values())
        if not total:
            over = len(self.of(DONE)) + len(self.of(FAILED))
            return over / max(1, len(self.rows))
        return 1 - self._left / total

    def seconds_left(self, now: float) -> float | None:
        """How long the rest will take at this driver's mean rate; None before there is one."""
        if not self._left:
            return 0.0
        done = sum(row.own for row in self.rows.values())
        return self._left * (now - self.began) / done if done else None

    @property
    def _left(self) -> int:
        return sum(row.left for row in self.rows.values())
