"""Where to compute."""

import os

import torch

from twincode.distributed import own_device
from twincode.errors import TwincodeError


def choose_device(name: str | torch.device) -> torch.device:
    """The device of that name; ``auto`` is the accelerator where there is one, else the CPU.

    Raises TwincodeError for a device this machine does not have.
    """
    chosen = name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = own_device(torch.device(chosen))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError):
        raise TwincodeError(f"device {str(name)!r} is not available here; try cpu") from None
    return device


def device_name(device: torch.device) -> str:
    """The device in words: ``cpu`` or the accelerator's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
