"""What is minimised: named losses, each with its weight."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from twincode.config import ObjectiveConfig
from twincode.distributed import processes
from twincode.errors import TwincodeError, unknown_name
from twincode.losses import TWIN_LOSSES, reconstruction_losses
from twincode.nets import Projector
from twincode.tokenizers import Output

UPPER_INPUTS = ("clean", "view")


class Objective(nn.Module):
    """Eq. 4.9, L_recon + L_codebook, plus gamma times a twin loss on the two latents (eq. 4.18).

    It sees only Outputs, so any twin loss works on any tokenizer. It owns the projector, which is
    there only where gamma is not 0.
    """

    def __init__(self, config: ObjectiveConfig, latent_channels: int) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.projector: Projector | None = None
        if config.gamma:
            self.projector = Projector(latent_channels, config.projector_width)

    @property
    def needs_twin(self) -> bool:
        """Whether a second view has to be encoded at all."""
        return self.projector is not None

    def forward(self, output: Output) -> dict[str, Tensor]:
        """The losses by name, unweighted."""
        losses = {**reconstruction_losses(output.pairs), "codebook": output.vq_loss}
        if self.projector is not None and output.twin_latents is not None:
            both = self.projector(torch.cat([output.latents, output.twin_latents]), views=2)
            upper, lower = both.chunk(2)
            twin_loss = TWIN_LOSSES[self.config.twin_loss]
            losses[self.config.twin_loss] = twin_loss(upper, lower, self.config)
        return losses

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum that is minimised."""
        weights = {self.config.twin_loss: self.config.gamma}
        weighted = [weights.get(name, 1.0) * value for name, value in losses.items()]
        return torch.stack(weighted).sum()

    def portion(self, losses: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
        """What this process adds to each loss of a batch of which it holds ``share``.

        The portions of all processes sum to the losses of the batch. A twin loss is that of the
        whole batch already and counts once in all.
        """
        return {
            name: value * (1 / processes() if name == self.config.twin_loss else share)
            for name, value in losses.items()
        }


def _check(config: ObjectiveConfig) -> None:
    if config.twin_loss not in TWIN_LOSSES:
        raise unknown_name("twin_loss", config.twin_loss, TWIN_LOSSES)
    if config.upper_input not in UPPER_INPUTS:
        raise unknown_name("upper_input", config.upper_input, UPPER_INPUTS)
    if not config.gamma >= 0:
        raise TwincodeError(f"gamma must not be negative, not {config.gamma}")
    if config.projector_width < 1:
        raise TwincodeError(f"projector_width must be at least 1, not {config.projector_width}")
