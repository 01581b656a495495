"""Series held out of training, and the state that was best on them."""

import copy
import math
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from twincode.randomness import stream

MOST_SHARE = 0.2  # of all rows where every class gives some, unless more are asked for
Learner = TypeVar("Learner", bound=nn.Module)


def hold_out(n: int, held: int, seed: int) -> tuple[Tensor, Tensor]:
    """The rows to learn from and the ``held`` rows that are not, both in order, of n.

    The seed draws them; labels have no say in it.
    """
    order = torch.randperm(n, generator=stream(seed, "held_out"))
    return order[held:].sort().values, order[:held].sort().values


def hold_out_by_class(
    y: Tensor, share: float, seed: int, least: int, most: int
) -> tuple[Tensor, Tensor]:
    """The rows to learn from and the rows that are not, both in order, of labels y (n,).

    Of each class that is the ``share`` of its rows, at least ``least`` but never more than half, of
    all at most about ``most`` and, where small classes give so many, a fifth. The seed draws them.
    """
    share = min(share, most / max(len(y), 1))
    order = torch.randperm(len(y), generator=stream(seed, "held_out"))
    held = torch.zeros(len(y), dtype=torch.bool)
    for label in y.unique():
        rows = order[y[order] == label]
        held[rows[: min(max(least, round(share * len(rows))), len(rows) // 2)]] = True
    drawn = order[held[order]]
    held[drawn[max(least, round(max(share, MOST_SHARE) * len(y))) :]] = False
    return (~held).nonzero()[:, 0], held.nonzero()[:, 0]


class Plateau(nn.Module):
    """Notices when an error on held-out series stops falling: ``patience`` judgements with no gain.

    It is a part of the checkpoint. ``since`` is the epoch of the last of these, 0 before.
    """

    def __init__(self, patience: int, gain: float, error: float) -> None:
        super().__init__()
        self.patience, self.gain = patience, gain
        self.best: Tensor
        self.without: Tensor
        self.reached: Tensor
        self.register_buffer("best", torch.tensor(error, dtype=torch.float64))
        self.register_buffer("without", torch.tensor(0))
        self.register_buffer("reached", torch.tensor(0))

    @property
    def since(self) -> int:
        """The epoch."""
        return int(self.reached)

    def judge(self, error: float, epoch: int) -> None:
        """Take in the error after an epoch."""
        if error < float(self.best) * (1 - self.gain):
            self.best.fill_(error)
            self.without.zero_()
            return
        self.without += 1
        if self.patience and not self.since and int(self.without) >= self.patience:
            self.reached.fill_(epoch)


class BestState(nn.Module, Generic[Learner]):
    """A copy of what is trained as it was when its ``error`` on held-out series was smallest.

    It is a part of the checkpoint, so a resumed run keeps what an undisturbed one keeps.
    """

    def __init__(self, learner: Learner, error_of: Callable[[Learner], float]) -> None:
        super().__init__()
        self.error_of = error_of
        self.learner = copy.deepcopy(learner)
        self.error: Tensor
        self.register_buffer("error", torch.tensor(math.inf, dtype=torch.float64))
        self.requires_grad_(False)

    def judge(self, learner: Learner) -> float:
        """The error of what is trained, whose state is kept if it is the smallest."""
        error = self.error_of(learner)
        if error < self.error:
            self.error.fill_(error)
            self.learner.load_state_dict(learner.state_dict())
        return error

    def give_back(self, learner: Learner) -> None:
        """Put the best state into what is trained."""
        learner.load_state_dict(self.learner.state_dict())
