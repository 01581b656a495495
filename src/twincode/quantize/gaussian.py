"""The Gaussian bottleneck that makes a tokenizer a variational autoencoder."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from twincode.distributed import normal_like
from twincode.precision import in_full_precision
from twincode.quantize.quantizer import Quantized, Quantizer
from twincode.settings import Settings


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each latent value, in nats (Kingma and Welling, 2014)."""
    return (mean.square() + log_variance.exp() - log_variance - 1) / 2


@dataclass(frozen=True)
class GaussianSettings(Settings):
    """The weight of the KL term."""

    kl_weight: float = 0.01

    def __post_init__(self) -> None:
        self.check_at_least(0, "kl_weight")


class GaussianBottleneck(Quantizer):
    """A normal posterior for each latent value: drawn from in training, its mean elsewhere.

    A 1 x 1 convolution gives means and log-variances (thesis section 4.2.1); the draw is
    reparameterised. The loss is ``kl_weight`` times the KL term of the evidence lower bound
    (eq. 7.1, 7.2), a mean over latent values as the other terms are means. With reconstruction
    terms that are means too, weight 1 is the bound of a decoder whose variance is about the ratio
    of series values to twice the latent values. Latents stay continuous: there are no codes.
    """

    gaussian = True
    capturable = False
    loss_name = "kl"

    def __init__(self, settings: GaussianSettings, latent_channels: int) -> None:
        super().__init__()
        self.kl_weight = settings.kl_weight
        self.project = nn.Conv2d(latent_channels, 2 * latent_channels, kernel_size=1)

    @in_full_precision
    def posterior(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, (B, D, H, W) each."""
        mean, log_variance = self.project(z).chunk(2, dim=1)
        return mean, log_variance

    @in_full_precision
    def forward(self, z: Tensor) -> Quantized:
        """Draw from the posterior of z (B, D, H, W), from the noise at hand."""
        mean, log_variance = self.posterior(z)
        loss = self.kl_weight * kl_to_standard_normal(mean, log_variance).mean()
        if not self.training:
            return Quantized(mean, None, loss)
        drawn = mean + torch.exp(log_variance / 2) * normal_like(mean)
        return Quantized(drawn, None, loss)
