"""The optimiser of everything that trains."""

import torch
from torch import nn


def build_optimizer(
    device: torch.device, learning_rate: float, weight_decay: float, *modules: nn.Module
) -> torch.optim.Optimizer:
    """AdamW over every parameter of ``modules``, in one pass over all of them."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    accelerated = device.type == "cuda"
    return torch.optim.AdamW(
        # A control without parameters is never stepped, but AdamW insists on something to hold.
        parameters or [nn.Parameter(torch.empty(0, device=device))],
        # A recorded step reads the rate from a tensor.
        lr=torch.tensor(learning_rate, device=device) if accelerated else learning_rate,
        weight_decay=weight_decay,
        fused=True,
        capturable=accelerated,
    )
