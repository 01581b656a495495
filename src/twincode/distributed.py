"""Several processes that train one model together, started by ``torchrun``.

Each takes a share of every batch. What a batch decides as a whole (its statistics, its twin loss,
the movement of the codebook) is computed over all shares, so that two processes with 64 series
each give what one gives with 128. Without a process group everything here does nothing.
"""

import os
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import FunctionCtx

from twincode.randomness import noise

# One process evaluates while the others wait.
PATIENCE = timedelta(hours=6)


def own_device(device: torch.device) -> torch.device:
    """The accelerator that belongs to this process; any other device as it is."""
    if str(device) != "cuda":
        return device
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def join(device: torch.device) -> None:
    """Join the process group ``torchrun`` has prepared; nothing happens in a process of its own."""
    if expected() > 1 and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)


def expected() -> int:
    """How many processes ``torchrun`` has started; others set ``WORLD_SIZE`` for ends of theirs."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def leave() -> None:
    """Leave the process group, where there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def wait() -> None:
    """Let all processes come to this point before any goes on."""
    if processes() > 1:
        dist.barrier()


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process; 0 writes and evaluates."""
    return dist.get_rank() if processes() > 1 else 0


def agreed(flag: bool, device: torch.device) -> bool:
    """Whether ``flag`` is set in any process: the same answer in all of them."""
    if processes() == 1:
        return flag
    flags = torch.tensor(int(flag), device=device)
    dist.all_reduce(flags)
    return bool(flags > 0)


def share(x: Tensor) -> Tensor:
    """This process's rows of a whole batch: consecutive ones, as even as can be."""
    return x.tensor_split(processes())[rank()]


def sum_in_place(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over all processes; no gradient flows."""
    if processes() > 1:
        for tensor in tensors:
            dist.all_reduce(tensor)


def normal_like(x: Tensor) -> Tensor:
    """Standard normal noise for a share x (B_i, ...) of a batch.

    Every process draws for the whole batch and keeps its rows.
    """
    sizes = _sizes(x) if processes() > 1 else [len(x)]
    shape = (sum(sizes), *x.shape[1:])
    drawn = torch.randn(shape, generator=noise(), dtype=x.dtype, device=x.device)
    return drawn.split(sizes)[rank()]


def total(x: Tensor) -> Tensor:
    """The sum of x over all processes, with its gradient."""
    return _Total.apply(x) if processes() > 1 else x


def whole_batch(x: Tensor) -> Tensor:
    """The shares x (B_i, ...) of all processes as one batch (B, ...), with its gradient."""
    return _WholeBatch.apply(x) if processes() > 1 else x


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: FunctionCtx, x: Tensor) -> Tensor:
        summed = x.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(_ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed


class _WholeBatch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        sizes = _sizes(x)
        ctx.sizes = sizes  # type: ignore[attr-defined]
        # Every process must send as much as the largest share.
        padded = x.new_zeros((max(sizes), *x.shape[1:]))
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed.split(ctx.sizes)[rank()]  # type: ignore[attr-defined]


def _sizes(x: Tensor) -> list[int]:
    sizes = torch.zeros(processes(), dtype=torch.int64, device=x.device)
    sizes[rank()] = len(x)
    dist.all_reduce(sizes)
    return [int(size) for size in sizes]
