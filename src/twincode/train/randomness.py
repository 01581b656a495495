"""Random streams that depend on nothing but the seed, their purpose and the epoch.

No stream is carried from one epoch to the next: a resumed run draws what an undisturbed one draws,
and whatever else uses random numbers in between changes nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from twincode.errors import TwincodeError

PURPOSES = ("weights", "codebook", "order", "views", "exhibit", "noise")


def stream_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """The seed of one stream."""
    if seed < 0:
        raise TwincodeError(f"seed must not be negative, not {seed}")
    sequence = np.random.SeedSequence([seed, PURPOSES.index(purpose), epoch])
    # Torch reads seeds as signed 64-bit numbers.
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def stream(
    seed: int, purpose: str, epoch: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator at the start of one stream, on ``device``."""
    return torch.Generator(device=device).manual_seed(stream_seed(seed, purpose, epoch))


@contextmanager
def noise_stream(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Let layers that draw noise draw it from the epoch's own stream; others do not notice."""
    drawn = stream_seed(seed, "noise", epoch)
    accelerated = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if accelerated else []):
        torch.default_generator.manual_seed(drawn)
        if accelerated:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(drawn)
        yield
