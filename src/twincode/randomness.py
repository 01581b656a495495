"""Random streams that depend on nothing but the seed, their purpose and the epoch.

No stream is carried from one epoch to the next: a resumed run draws what an undisturbed one draws,
and whatever else uses random numbers in between changes nothing. Torch's global random state is
neither read nor moved, so that runs in several threads of one process do not notice each other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode

from twincode.errors import check_count

PURPOSES = (
    *("weights", "codebook", "order", "views", "exhibit", "noise", "held_out"),
    *("masks", "sampling", "labels"),
)

_noise: ContextVar[Generator | None] = ContextVar("noise", default=None)

# What draws when weights are made, and takes a generator.
_DRAWS: frozenset[Callable[..., Any]] = frozenset(
    {
        *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal),
        *(torch.rand_like, torch.randn_like, torch.randint_like),
        *(torch.bernoulli, torch.multinomial, torch.poisson),
        *(Tensor.uniform_, Tensor.normal_, Tensor.random_, Tensor.bernoulli_),
        *(Tensor.exponential_, Tensor.log_normal_, Tensor.cauchy_, Tensor.geometric_),
        *(nn.init.uniform_, nn.init.normal_, nn.init.trunc_normal_),
        *(nn.init.kaiming_uniform_, nn.init.kaiming_normal_),
        *(nn.init.xavier_uniform_, nn.init.xavier_normal_),
    }
)


def stream_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """The seed of one stream."""
    check_count("seed", seed, least=0)
    sequence = np.random.SeedSequence([seed, PURPOSES.index(purpose), epoch])
    # Torch reads seeds as signed 64-bit numbers.
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def stream(
    seed: int, purpose: str, epoch: int = 0, device: torch.device | str = "cpu"
) -> Generator:
    """A generator at the start of one stream, on ``device``."""
    return Generator(device=device).manual_seed(stream_seed(seed, purpose, epoch))


class drawing_weights(TorchFunctionMode):  # noqa: N801 - used as a context
    """A context in which new layers of this thread draw their weights from the seed's stream.

    Layers draw from torch's global generator and take no other; here it is replaced underneath.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._generator = stream(seed, "weights")

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Hand the stream to whatever draws."""
        del types
        keywords = dict(kwargs or {})
        if func in _DRAWS and keywords.get("generator") is None:
            keywords["generator"] = self._generator
        return func(*args, **keywords)


@contextmanager
def noise_stream(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Let layers that draw noise draw it from the epoch's own stream; others do not notice."""
    token = _noise.set(stream(seed, "noise", epoch, device))
    try:
        yield
    finally:
        _noise.reset(token)


def noise() -> Generator | None:
    """What layers draw noise from: the stream at hand, or None, torch's own, outside training."""
    return _noise.get()
