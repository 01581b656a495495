"""A twin loss weighed by its gradient, so that losses of different size can be compared."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from twincode import distributed
from twincode.precision import widen

# Gradients are measured once in so many steps, and remembered for about ten measurements.
EVERY, MEMORY = 10, 0.9


class GradientScale(nn.Module):
    """How many times as long as a twin loss's gradient that of all other losses is.

    Both are gradients in the parameters that the twin loss reaches, the encoder's. Esser, Rombach
    and Ommer (2021, eq. 7) weigh the two losses of a VQGAN by this factor in the decoder's last
    layer, anew each step; here the lengths are smoothed over steps.
    """

    # Of the others' gradient and of the twin loss's, up to a factor that both share.
    lengths: Tensor
    capturable = False  # what a step does depends on its number

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("lengths", torch.zeros(2))

    @property
    def factor(self) -> Tensor:
        """The factor, a scalar; 1 where the twin loss has no gradient."""
        others, twin = self.lengths
        return torch.where(twin > 0, others / twin, 1.0)

    def measure(self, others: Tensor, twin: Tensor, parameters: Sequence[Tensor]) -> None:
        """Take in the gradients of this process's shares of the losses."""
        found = torch.autograd.grad(twin, parameters, retain_graph=True, allow_unused=True)
        encoder = [p for p, own in zip(parameters, found, strict=True) if own is not None]
        rest = torch.autograd.grad(others, encoder, retain_graph=True, allow_unused=True)
        new = torch.stack([_length(rest), _length(found)])
        # Both begin at zero, which their ratio does not notice.
        self.lengths.mul_(MEMORY).add_((1 - MEMORY) * new)


def _length(gradients: Sequence[Tensor | None]) -> Tensor:
    """The length of a gradient, summed over processes."""
    parts = [widen(part) for part in gradients if part is not None]
    distributed.sum_in_place(parts)
    return torch.stack([part.square().sum() for part in parts]).sum().sqrt()
