"""A training step recorded once and played again: one launch instead of hundreds.

On an accelerator a small model spends its time on launching kernels. CUDA can record a step as a
graph and launch that, provided every step does the same to the same places in memory: all its
state lives in tensors, nothing in it waits for a result on the host, and no noise is drawn in it. A
module that cannot promise so says ``capturable = False``. Off unless the environment variable
TWINCODE_GRAPHS is 1.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from twincode import distributed

VARIABLE = "TWINCODE_GRAPHS"
ON = "1"

# Steps taken as they come before one is recorded: libraries settle on their kernels in these.
WARM_UP = 3
# Of batches that differ in size by one at most.
SIZES = 2

# Takes tensors and plain values, and returns tensors in any structure.
Step = Callable[..., Any]


class CudaRecorder:
    """Recording as a CUDA graph."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    def warm_up(self, work: Callable[[], Any]) -> Any:
        """Do ``work`` on a stream of its own, as recording wants it done beforehand."""
        here = torch.cuda.current_stream()
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            result = work()
        here.wait_stream(self._stream)
        return result

    def record(self, work: Callable[[], Any]) -> Callable[[], Any]:
        """Record ``work`` without doing it; what is returned does it, in the same memory."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            result = work()

        def replay() -> Any:
            graph.replay()
            return result

        return replay


class RecordedStep:
    """``step``, recorded at the shapes of its batches: an epoch's even batches have two at most.

    A batch is copied to where the recording of its shapes reads it and the recording is played;
    one of yet other shapes runs as it is. Results are overwritten by the next call.
    """

    def __init__(self, step: Step, recorder: Any) -> None:
        self._step = step
        self._recorder = recorder
        self._recordings: dict[tuple[Any, ...], _Recording] = {}

    def __call__(self, *batch: Any) -> Any:
        """One step on a batch, recorded or not. What is no tensor has to be equal to be played."""
        shapes = tuple(getattr(part, "shape", part) for part in batch)
        if shapes not in self._recordings:
            if len(self._recordings) == SIZES:
                return self._step(*batch)
            self._recordings[shapes] = _Recording(self._step, self._recorder)
        return self._recordings[shapes](*batch)


class _Recording:
    """A step at one shape: taken as it comes at first, then recorded, then played."""

    def __init__(self, step: Step, recorder: Any) -> None:
        self._step = step
        self._recorder = recorder
        self._taken = 0
        self._replay: Callable[[], Any] | None = None

    def __call__(self, *batch: Any) -> Any:
        if self._taken < WARM_UP:
            self._taken += 1
            return self._recorder.warm_up(lambda: self._step(*batch))
        if self._replay is None:
            self._held = [p.clone() if isinstance(p, Tensor) else p for p in batch]
            self._replay = self._recorder.record(lambda: self._step(*self._held))
        for place, values in zip(self._held, batch, strict=True):
            if isinstance(place, Tensor):
                place.copy_(values)
        return self._replay()


def recorded(step: Step, device: torch.device, modules: Iterable[nn.Module]) -> RecordedStep | None:
    """``step``, recorded where that was asked for and ``modules`` on ``device`` can be."""
    wanted = os.environ.get(VARIABLE, "") == ON
    alone = distributed.processes() == 1
    if device.type != "cuda" or not (wanted and alone and all(map(capturable, modules))):
        return None
    with torch.cuda.device(device):
        return RecordedStep(step, CudaRecorder())


def capturable(module: nn.Module) -> bool:
    """Whether every part of ``module`` keeps to what a recorded step must keep to."""
    return all(getattr(part, "capturable", True) for part in module.modules())
