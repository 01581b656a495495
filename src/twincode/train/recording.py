"""A training step recorded once and played again: one launch instead of hundreds.

On an accelerator a small model spends its time on launching kernels. CUDA can record a step as a
graph and launch that, provided every step does the same to the same places in memory: all its
state lives in tensors, and nothing in it waits for a result on the host. A module that cannot
promise so says ``capturable = False``.
"""

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from twincode import distributed

VARIABLE = "TWINCODE_GRAPHS"
OFF = "0"

# Steps taken as they come before one is recorded: libraries settle on their kernels in these.
WARM_UP = 3


class Batch(NamedTuple):
    """What a process sees of a batch in one step: its views, and their share of the whole.

    ``background`` says which series are background, to a tokenizer that takes it.
    """

    upper: Tensor
    lower: Tensor | None
    background: Tensor | None
    share: float

    @property
    def tensors(self) -> list[Tensor]:
        """Those that are there."""
        return [part for part in self[:3] if part is not None]

    @property
    def kind(self) -> tuple[object, ...]:
        """What two batches have in common that one recording can serve."""
        return (*(None if part is None else part.shape for part in self[:3]), self.share)

    def copy(self) -> "Batch":
        """The same values in memory of their own."""
        return self._replace(
            upper=self.upper.clone(),
            lower=None if self.lower is None else self.lower.clone(),
            background=None if self.background is None else self.background.clone(),
        )


StepResult = tuple[dict[str, Tensor], Tensor | None]
Step = Callable[[Batch], StepResult]
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
        self._kind: tuple[object, ...] | None = None
        self._taken = 0
        self._held: Batch | None = None

    def __call__(self, batch: Batch) -> StepResult:
        """One step on a batch, recorded or not."""
        self._kind = self._kind or batch.kind
        if batch.kind != self._kind:
            return self._step(batch)
        if self._taken < WARM_UP:
            self._taken += 1
            return self._recorder.warm_up(lambda: self._step(batch))
        if self._held is None:
            held = self._held = batch.copy()
            self._replay = self._recorder.record(lambda: self._step(held))
        for place, values in zip(self._held.tensors, batch.tensors, strict=True):
            place.copy_(values)
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
