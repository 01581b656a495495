"""A training step recorded once and played again: one launch instead of hundreds.

On an accelerator a small model spends its time on launching kernels. CUDA can record a step as a
graph and launch that, provided every step does the same to the same places in memory: all its
state lives in tensors, and nothing in it waits for a result on the host. A module that cannot
promise so says ``capturable = False``.
"""

import os
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from twincode import distributed

VARIABLE = "TWINCODE_GRAPHS"
OFF = "0"

# Steps taken as they come before one is recorded: libraries settle on their kernels in these.
WARM_UP = 3

StepResult = tuple[dict[str, Tensor], Tensor | None]
Step = Callable[[Tensor, Tensor | None, float], StepResult]
R = TypeVar("R")


class Recorder(Protocol):
    """How work is recorded on a device."""

    def warm_up(self, work: Callable[[], R]) -> R:
        """Do ``work`` now, in the surroundings of a recording."""

    def record(self, work: Callable[[], R]) -> Callable[[], R]:
        """Record ``work`` without doing it; what is returned does it, in the same memory."""


class CudaRecorder:
    """Recording as a CUDA graph."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    def warm_up(self, work: Callable[[], R]) -> R:
        """Do ``work`` on a stream of its own, as recording wants it done beforehand."""
        here = torch.cuda.current_stream()
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            result = work()
        here.wait_stream(self._stream)
        return result

    def record(self, work: Callable[[], R]) -> Callable[[], R]:
        """Capture ``work``; each replay overwrites the results of the one before."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            result = work()

        def replay() -> R:
            graph.replay()
            return result

        return replay


class RecordedStep:
    """``step``, recorded at the shape of its first batch.

    Batches of that shape are copied to where the recording reads them and the recording is played;
    others, such as a smaller last one, run as they are. The same steps are taken in the same order
    as without recording. Results are overwritten by the next call.
    """

    def __init__(self, step: Step, recorder: Recorder) -> None:
        self._step = step
        self._recorder = recorder
        self._like: tuple[torch.Size, bool, float] | None = None
        self._taken = 0
        self._replay: Callable[[], StepResult] | None = None

    def __call__(self, upper: Tensor, lower: Tensor | None, share: float) -> StepResult:
        """One step on a batch, recorded or not."""
        kind = (upper.shape, lower is None, share)
        self._like = self._like or kind
        if kind != self._like:
            return self._step(upper, lower, share)
        if self._taken < WARM_UP:
            self._taken += 1
            return self._recorder.warm_up(lambda: self._step(upper, lower, share))
        if self._replay is None:
            self._upper = upper.clone()
            self._lower = None if lower is None else lower.clone()
            held = (self._upper, self._lower)
            self._replay = self._recorder.record(lambda: self._step(*held, share))
        self._upper.copy_(upper)
        if self._lower is not None and lower is not None:
            self._lower.copy_(lower)
        return self._replay()


def recorder_for(device: torch.device, modules: Iterable[nn.Module]) -> Recorder | None:
    """How to record steps of ``modules`` on ``device``; None where they run as they are.

    Several processes that train one model do not record, nor does anything where the environment
    variable TWINCODE_GRAPHS is 0.
    """
    wanted = os.environ.get(VARIABLE, "") != OFF
    alone = distributed.processes() == 1
    if device.type != "cuda" or not (wanted and alone and all(map(capturable, modules))):
        return None
    with torch.cuda.device(device):
        return CudaRecorder()


def capturable(module: nn.Module) -> bool:
    """Whether every part of ``module`` keeps to what a recorded step must keep to."""
    return all(getattr(part, "capturable", True) for part in module.modules())
