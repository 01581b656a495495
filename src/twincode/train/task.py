"""What the training loop trains: a task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from twincode.train.log import Record, RunLog


@dataclass(frozen=True)
class Schedule:
    """How long a task trains on ``n`` rows, in which batches, and how often it is evaluated.

    ``decay_share`` is the part of the steps, the last, in which the learning rate falls, and
    ``warmup_share`` the part, the first, in which it rises.
    """

    n: int
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    evaluations: int = 0
    decay_share: float = 1.0
    warmup_share: float = 0.0

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one pass over the rows."""
        return -(-self.n // self.batch_size)

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.epochs * self.steps_per_epoch


class RunKey(NamedTuple):
    """What tells a run from others: its settings, and the data's checksum and classes.

    ``identity`` is ``config`` without later settings at which nothing changes.
    """

    config: Mapping[str, Any]
    identity: Mapping[str, Any]
    checksum: str
    classes: tuple[str, ...]


class Task(Protocol):
    """Something to train: its modules, one optimiser step, and what becomes of it.

    What the checkpoint holds is ``modules`` and the optimiser; all else follows from the seed, the
    epoch and the step.
    """

    key: RunKey
    device: torch.device
    optimizer: torch.optim.Optimizer

    @property
    def schedule(self) -> Schedule:
        """How long it trains; it may become shorter while it does."""
        ...

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All that is trained or moved, by the names that the checkpoint gives them."""
        ...

    def go_on(self, epoch: int) -> None:
        """Be as after this epoch, once ``modules`` are: what follows from its number alone."""

    def begin_epoch(self, epoch: int) -> None:
        """Get ready for an epoch."""

    def step(self, rows: Tensor, step: int) -> dict[str, Tensor]:
        """One optimiser step on these rows, the ``step``-th of the run: the losses by name.

        Of several processes each takes its share of the rows and tells its share of the losses.
        """
        ...

    def end_epoch(self) -> Record:
        """What the log says of the epoch beside its losses."""
        ...

    def evaluate(self, last: bool) -> list[dict[str, Any]]:
        """Measurements of the task as it stands, as rows of the log. Nothing is moved.

        ``last`` at the end of the run, where what takes long is measured too.
        """
        ...

    def notice(self, log: RunLog, last: bool) -> Record | None:
        """What has newly gone wrong or right, if anything; ``last`` at the end of the run."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the first line of the log says of it."""
        ...

    def keep(self, folder: Path, scores: Sequence[Record]) -> None:
        """Write what was learnt into ``folder``; ``scores`` are those of the last evaluation."""

    def result(self) -> dict[str, Any]:
        """What the stored result says beside what is in the log."""
        ...
