"""Lower precision where it is harmless, full precision where it is not."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from twincode.errors import TwincodeWarning, unknown_name

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

P = ParamSpec("P")
R = TypeVar("R")


@functools.cache
def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16; others imitate it, at a fraction of the speed."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except AttributeError:  # a torch without that library
        return False


def computing_in(precision: str, device: torch.device) -> torch.autocast:
    """A context in which convolutions and linear layers compute in ``precision``.

    Parameters, statistics and the optimiser stay in float32. Where the device has no bfloat16,
    float32 takes its place with a TwincodeWarning: it is the faster there. Raises TwincodeError for
    an unknown name.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    lowered = precision != "float32"
    if lowered and not has_bfloat16(device):
        message = f"this {device.type} has no {precision}; float32 takes its place"
        warnings.warn(message, TwincodeWarning, stacklevel=2)
        lowered = False
    return torch.autocast(device.type, PRECISIONS[precision], enabled=lowered, cache_enabled=False)


def full_precision(device: torch.device) -> torch.autocast:
    """A context in which nothing is rounded to a lower precision, whatever is around it."""
    return torch.autocast(device.type, enabled=False)


def in_full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Compute in float32 whatever the context: for sums and distances that rounding would spoil.

    Arguments in a half precision are widened; float64 stays as it is.
    """

    @functools.wraps(function)
    def run(*arguments: P.args, **keywords: P.kwargs) -> R:
        values = [*arguments, *keywords.values()]
        device = next(value.device for value in values if isinstance(value, Tensor))
        widened: Any = [widen(argument) for argument in arguments]
        named: Any = {name: widen(value) for name, value in keywords.items()}
        if not torch.is_autocast_enabled(device.type):
            return function(*widened, **named)
        with full_precision(device):
            return function(*widened, **named)

    return run


def widen(value: Any) -> Any:
    """A tensor of a half precision in float32; anything else as it is."""
    halved = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if halved else value
