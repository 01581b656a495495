"""The projector between the latents and a twin loss."""

from torch import Tensor, nn

from twincode.nets.blocks import ViewBatchNorm


class Projector(nn.Module):
    """z (B, D, H, W) -> projections (B, P): global max pooling, then a three-layer perceptron.

    Linear, normalisation and ReLU twice, then a last linear layer, all P wide (Zbontar et al.,
    2021; the pooling is the thesis's, section 2.5.4).
    """

    def __init__(self, latent_channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(latent_channels, width)
        self.first_norm = ViewBatchNorm(width)
        self.second = nn.Linear(width, width)
        self.second_norm = ViewBatchNorm(width)
        self.last = nn.Linear(width, width)

    def forward(self, z: Tensor, views: int = 1) -> Tensor:
        """Project ``views`` views of a batch at once; z is (views * B, D, H, W)."""
        pooled = z.amax(dim=(2, 3))
        hidden = self.first_norm(self.first(pooled), views).relu()
        hidden = self.second_norm(self.second(hidden), views).relu()
        return self.last(hidden)
