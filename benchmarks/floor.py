"""What the machine can do, and what a training step must do: the distance between them is slack."""

from dataclasses import dataclass

import torch

from benchmarks.timing import best
from twincode.nets import count_downsamplings

SIDE = 2048
COPIED = 2**24  # float32 values: far more than any cache holds


@dataclass(frozen=True)
class Machine:
    """Multiply-adds a second (in units of 1e9 operations, two each) and bytes a second copied."""

    float32: float
    bfloat16: float
    copy: float

    @classmethod
    def measure(cls, device: torch.device) -> "Machine":
        """The machine's own matrix product and copy."""
        float32, bfloat16 = (
            product_rate(dtype, device) for dtype in (torch.float32, torch.bfloat16)
        )
        x = torch.randn(COPIED, device=device)
        y = torch.empty_like(x)
        return cls(float32, bfloat16, copy=2 * 4 * COPIED / best(lambda: y.copy_(x)) / 1e9)


def product_rate(dtype: torch.dtype, device: torch.device) -> float:
    """What the machine's own matrix product reaches, in 1e9 operations a second."""
    a, b = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    return 2 * SIDE**3 / best(lambda: a @ b) / 1e9


@dataclass(frozen=True)
class Work:
    """What one call must do at least: floating-point operations and bytes moved."""

    operations: float
    bytes: float = 0.0

    def floor(self, machine: Machine, precision: str) -> float:
        """Seconds at the rates of the machine's own matrix product and copy."""
        rate = machine.bfloat16 if precision == "bfloat16" else machine.float32
        return self.operations / rate / 1e9 + self.bytes / machine.copy / 1e9


def encoder_operations(length: int, D: int = 64, residuals: int = 4, width: int = 8) -> float:
    """Of one forward pass over one univariate series."""
    F, T = 5, length // 2 + 1
    halvings = count_downsamplings(T, width)
    total, channels = 0.0, 2
    for level in range(1, halvings + 1):
        total += F * (T >> level) * 12 * channels * D
        channels = D
    return 2 * (total + residuals * F * (T >> halvings) * 10 * D * D)


def decoder_operations(length: int, D: int = 64, residuals: int = 4, width: int = 8) -> float:
    """Of one forward pass over one univariate series."""
    F, T = 5, length // 2 + 1
    halvings = count_downsamplings(T, width)
    W = T >> halvings
    total = residuals * F * W * 10 * D * D
    for level in range(halvings):
        total += F * (W << level) * 12 * D * D
    return 2 * (total + F * (W << halvings) * 12 * D * 2)


def naive_step(length: int, batch: int) -> Work:
    """Forward and backward of the naive VQ-VAE: three times the operations of forward alone."""
    return Work(3 * batch * (encoder_operations(length) + decoder_operations(length)))


def twin_step(length: int, batch: int, P: int = 4096) -> Work:
    """The naive step, the lower view's encoding, projector and twin loss, and AdamW's traffic."""
    parameters = 64 * P + 2 * P * P
    operations = (
        naive_step(length, batch).operations
        + 3 * batch * encoder_operations(length)
        + 3 * 2 * batch * 2 * parameters
        + twin_loss(batch, P).operations
    )
    # The optimiser reads weight, gradient and two moments and writes all but the gradient.
    return Work(operations, bytes=7 * 4 * parameters)


def twin_loss(batch: int, P: int = 4096) -> Work:
    """Two B x B products forward, as many operations twice over backward."""
    return Work(3 * 2 * 2 * batch * batch * P, bytes=3 * 2 * 4 * batch * P)


def encoding(length: int, batch: int) -> Work:
    """One forward pass of the encoder."""
    return Work(batch * encoder_operations(length))
