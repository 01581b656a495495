"""The projectors and the predictor between the latents and a twin loss."""

from torch import Tensor, nn

from twincode.nets.blocks import ViewBatchNorm
from twincode.nets.whitening import IterativeWhitening


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


class WhitenedProjector(Projector):
    """The same, its projections whitened in groups of features (Lee and Aune, 2021)."""

    def __init__(
        self, latent_channels: int, width: int, whitening_width: int, iterations: int
    ) -> None:
        super().__init__(latent_channels, width)
        self.whitening = IterativeWhitening(width, whitening_width, iterations)

    def forward(self, z: Tensor, views: int = 1) -> Tensor:
        """Project and whiten ``views`` views of a batch at once; z is (views * B, D, H, W)."""
        return self.whitening(super().forward(z, views), views)


class Perceptron(nn.Module):
    """(B, n) -> (B, m): linear, with ``normalised`` a normalisation, ReLU, linear."""

    def __init__(self, inputs: int, hidden: int, outputs: int, normalised: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.norm = ViewBatchNorm(hidden) if normalised else None
        self.last = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, views: int = 1) -> Tensor:
        """Map ``views`` views of a batch at once; x is (views * B, n)."""
        hidden = self.first(x)
        if self.norm is not None:
            hidden = self.norm(hidden, views)
        return self.last(hidden.relu())


class ShallowProjector(Perceptron):
    """z (B, D, H, W) -> projections (B, P): global max pooling, then a two-layer perceptron.

    The head of SimCLR and of MoCo's second version, without normalisation as in SimCLR's paper
    (its released code has one behind each layer), and of BYOL, which has one between the layers.
    Both layers are P wide.
    """

    def __init__(self, latent_channels: int, width: int, normalised: bool = False) -> None:
        super().__init__(latent_channels, width, width, normalised)

    def forward(self, z: Tensor, views: int = 1) -> Tensor:
        """Project ``views`` views of a batch at once; z is (views * B, D, H, W)."""
        return super().forward(z.amax(dim=(2, 3)), views)
