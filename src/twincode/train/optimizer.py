"""AdamW as one pass over all parameters.

The rule is that of ``torch.optim.AdamW``, to the bit: the same fused kernel. What differs is around
it. The learning rate is a tensor, so that a recorded step can be played again at another rate, and
torch's optimisers with the compiler they import (seconds of every start) are left aside.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2).

    ``set_learning_rate`` holds for the steps that follow. Parameters without a gradient are left
    as they are. The state is kept under torch's names.
    """

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, weight_decay: float
    ) -> None:
        self.parameters = list(parameters)
        self.weight_decay = weight_decay
        self.state = [_zero_state(parameter) for parameter in self.parameters]
        self._rate = _rate_like(self.parameters, learning_rate)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._rate)

    def set_learning_rate(self, rate: float) -> None:
        """Use ``rate`` from the next step on."""
        self._rate.fill_(rate)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        moved = [
            (parameter, parameter.grad, state)
            for parameter, state in zip(self.parameters, self.state, strict=True)
            if parameter.grad is not None
        ]
        if not moved:
            return
        parameters, gradients, states = map(list, zip(*moved, strict=True))
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            parameters,
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=self._rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=self.weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def load_state(self, state: dict[int, dict[str, Tensor]]) -> None:
        """Take over ``state`` by the parameter's place, in the memory order of the parameter.

        A parameter that has none begins anew. Raises ValueError where something does not fit.
        """
        fresh = [_zero_state(parameter) for parameter in self.parameters]
        for index, values in state.items():
            if index >= len(fresh) or values.keys() != fresh[index].keys():
                raise ValueError(f"no parameter {index} with {', '.join(values)}")
            for name, value in values.items():
                if value.shape != fresh[index][name].shape:
                    raise ValueError(f"{name} of parameter {index} has shape {list(value.shape)}")
                fresh[index][name].copy_(value)
        self.state = fresh


def _zero_state(parameter: Tensor) -> dict[str, Tensor]:
    return {
        "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
        "exp_avg": torch.zeros_like(parameter, requires_grad=False),
        "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
    }


def _rate_like(parameters: list[Tensor], rate: float) -> Tensor:
    """The rate as the fused kernel reads it: in full on the CPU, in float32 elsewhere."""
    device = parameters[0].device if parameters else torch.device("cpu")
    on_cpu: Any = device.type == "cpu"
    return torch.tensor(rate, dtype=torch.float64 if on_cpu else torch.float32, device=device)
