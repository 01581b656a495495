"""What is known of every run of a study at a moment: planned, running, done or failed."""

from collections.abc import Iterable
from dataclasses import dataclass, field

PLANNED, RUNNING, DONE, FAILED = "planned", "running", "done", "failed"


@dataclass
class Row:
    """One run. ``values`` is what one epoch passes through training; times are Unix times.

    ``from_epoch`` is where the present driver found it, so that a rate counts its own work alone.
    """

    name: str
    dataset: str
    label: str
    seed: int
    epochs: int
    values: int
    state: str = PLANNED
    epoch: int = 0
    from_epoch: int = 0
    attempts: int = 0
    reason: str | None = None
    worker: str | None = None
    started: float | None = None
    ended: float | None = None

    @property
    def title(self) -> str:
        """What runs, in words."""
        return f"{self.dataset}  {self.label}  seed {self.seed}"

    def start(self, worker: str, now: float) -> None:
        """A worker takes it up."""
        self.state, self.worker, self.started, self.ended = RUNNING, worker, now, None
        self.attempts += 1

    def reach(self, epoch: int) -> None:
        """An epoch is done. A checkpoint may lie behind what was known."""
        self.from_epoch = min(self.from_epoch, epoch - 1)
        self.epoch = epoch

    def end(self, reason: str | None, now: float) -> None:
        """It is over: done, or failed for a reason."""
        self.state, self.reason, self.ended = (FAILED if reason else DONE), reason, now
        self.epoch = self.epoch if reason else self.epochs

    def put_back(self) -> None:
        """Its worker is gone; what it reached is kept in its folder."""
        self.state, self.worker = PLANNED, None


@dataclass
class Board:
    """All runs of a study, in the order planned, and the driver at work on them.

    ``began`` is when the present driver, or the last, began; ``alive`` says whether it is at work.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    began: float = 0.0
    driver: str = ""
    alive: bool = True

    def of(self, state: str) -> list[Row]:
        """The runs in one state."""
        return [row for row in self.rows.values() if row.state == state]

    @property
    def fraction(self) -> float:
        """The part of the study's work that is over, counted in values passed through training."""
        total = _work((row, row.epochs) for row in self.rows.values())
        if not total:
            over = len(self.of(DONE)) + len(self.of(FAILED))
            return over / max(1, len(self.rows))
        return 1 - self._left / total

    def seconds_left(self, now: float) -> float | None:
        """How long the rest will take at this driver's mean rate; None before there is one."""
        if not self._left:
            return 0.0
        done = _work((row, row.epoch - row.from_epoch) for row in self.rows.values())
        return self._left * (now - self.began) / done if done else None

    @property
    def _left(self) -> int:
        open_rows = [*self.of(PLANNED), *self.of(RUNNING)]
        return _work((row, row.epochs - row.epoch) for row in open_rows)


def _work(spans: Iterable[tuple[Row, int]]) -> int:
    return sum(row.values * epochs for row, epochs in spans)
