"""Reconstruction loss."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F


def reconstruction_losses(pairs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """The mean squared error of each named (target, reconstruction) pair (eq. 4.11).

    Their sum is eq. 4.12: MSE(x, x_hat) + MSE(u, u_hat) for a tokenizer with pairs ``time`` and
    ``frequency``. Invariant to swapping target and reconstruction.
    """
    return {
        f"reconstruction_{name}": F.mse_loss(reconstruction, target)
        for name, (target, reconstruction) in pairs.items()
    }
