"""The one training loop: an epoch of whatever trains."""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from twincode import distributed
from twincode.errors import TwincodeError
from twincode.randomness import noise_stream, stream
from twincode.train.log import Record
from twincode.train.task import Schedule, Task


def train_epoch(task: Task, epoch: int) -> Record:
    """One pass over a task's rows, in an order and with noise that follow from the epoch alone.

    Returns the mean of every loss, what the task tells of the epoch, and the seconds it took.
    Raises TwincodeError when a loss stops being finite.
    """
    began = time.perf_counter()
    schedule, sums = task.schedule, dict[str, Tensor]()
    task.begin_epoch(epoch)
    with noise_stream(schedule.seed, epoch, task.device):
        for step, rows in batches_of(schedule, epoch):
            set_learning_rate(task.optimizer, learning_rate_at(schedule, step))
            losses = task.step(rows.to(task.device), step)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value * len(rows)
    distributed.sum_in_place(sums.values())
    means = {name: (total / schedule.n).item() for name, total in sums.items()}
    for name, mean in means.items():
        if not math.isfinite(mean):
            raise TwincodeError(
                f"{name} stopped being a number in epoch {epoch}; try a smaller learning_rate"
            )
    told = task.end_epoch()
    return {"epoch": epoch, "losses": means, **told, "seconds": time.perf_counter() - began}


def batches_of(schedule: Schedule, epoch: int) -> Iterator[tuple[int, Tensor]]:
    """The optimiser steps of an epoch, counted over the whole run, and the rows of each.

    Batches are even: their sizes differ by one at most. A last one of few series would count as
    much as a full one, and its statistics would spoil those that evaluation uses.
    """
    order = torch.randperm(schedule.n, generator=stream(schedule.seed, "order", epoch))
    first = (epoch - 1) * schedule.steps_per_epoch
    return enumerate(order.tensor_split(schedule.steps_per_epoch), start=first)


def learning_rate_at(schedule: Schedule, step: int) -> float:
    """The learning rate, over the last ``decay_share`` of the steps falling to 0 along a cosine.

    With a share of 1 that is the cosine decay of Loshchilov and Hutter (2017). Over the first
    ``warmup_share`` it rises in equal steps.
    """
    rising = schedule.warmup_share * schedule.steps
    if step + 1 < rising:
        return schedule.learning_rate * (step + 1) / rising
    falling = schedule.decay_share * schedule.steps
    fallen = step - (schedule.steps - falling)
    if fallen <= 0:
        return schedule.learning_rate
    return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * fallen / falling))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next step of all parameters have this rate."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)  # where a recorded step reads it
        else:
            group["lr"] = rate
