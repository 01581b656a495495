"""A textbook BT-VQVAE: one view a pass, float32, library transforms, nothing rearranged.

Modules carry the names of twincode's, so that both can be given the same weights.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DownsamplingBlock(nn.Module):
    """Strided convolution, batch normalisation, activation."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            in_channels, out_channels, (3, 4), (1, 2), padding=(1, 1), padding_mode="replicate"
        )
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.convolution(x)))


class ResidualBlock(nn.Module):
    """Activation, 3x3, normalisation, activation, 1x1, shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(F.leaky_relu(self.norm(self.spread(F.leaky_relu(x)))))


class UpsamplingBlock(nn.Module):
    """Transposed convolution, normalisation, activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(channels, channels, (3, 4), (1, 2), padding=(1, 1))
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.convolution(x)))


class Encoder(nn.Module):
    """The blocks, one after another."""

    def __init__(self, in_channels: int, channels: int, downsamplings: int, residuals: int) -> None:
        super().__init__()
        first = [DownsamplingBlock(in_channels, channels)]
        rest = [DownsamplingBlock(channels, channels) for _ in range(downsamplings - 1)]
        self.blocks = nn.Sequential(
            *first, *rest, *[ResidualBlock(channels) for _ in range(residuals)]
        )

    def forward(self, u: Tensor) -> Tensor:
        return self.blocks(u)


class Decoder(nn.Module):
    """The blocks, one more upsampling, a resize."""

    def __init__(
        self,
        out_channels: int,
        channels: int,
        upsamplings: int,
        residuals: int,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.size = size
        self.blocks = nn.Sequential(
            *[ResidualBlock(channels) for _ in range(residuals)],
            *[UpsamplingBlock(channels) for _ in range(upsamplings)],
        )
        self.last = nn.ConvTranspose2d(channels, out_channels, (3, 4), (1, 2), padding=(1, 1))

    def forward(self, z: Tensor) -> Tensor:
        return F.interpolate(self.last(self.blocks(z)), size=self.size, mode="bilinear")


class Codebook(nn.Module):
    """Nearest code by explicit distances; moving averages through one-hot rows."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("codebook", torch.randn(size, channels))
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", self.codebook.clone())
        self.codebook: Tensor
        self.counts: Tensor
        self.sums: Tensor

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        vectors = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        codes = torch.cdist(vectors, self.codebook).argmin(dim=1)
        z_q = self.codebook[codes].view(z.shape[0], *z.shape[2:], -1).permute(0, 3, 1, 2)
        loss = F.mse_loss(z, z_q.detach())
        return z + (z_q - z).detach(), codes, loss

    @torch.no_grad()
    def update(self, z: Tensor, codes: Tensor, decay: float = 0.8, epsilon: float = 1e-5) -> None:
        vectors = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        one_hot = F.one_hot(codes, len(self.codebook)).float()
        self.counts.mul_(decay).add_(one_hot.sum(0), alpha=1 - decay)
        self.sums.mul_(decay).add_(one_hot.T @ vectors, alpha=1 - decay)
        total = self.counts.sum()
        smoothed = (self.counts + epsilon) / (total + len(self.codebook) * epsilon) * total
        self.codebook.copy_(self.sums / smoothed[:, None])


class Projector(nn.Module):
    """Global max pooling and a three-layer perceptron."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels, width)
        self.first_norm = nn.BatchNorm1d(width)
        self.second = nn.Linear(width, width)
        self.second_norm = nn.BatchNorm1d(width)
        self.last = nn.Linear(width, width)

    def forward(self, z: Tensor) -> Tensor:
        pooled = z.amax(dim=(2, 3))
        hidden = F.relu(self.first_norm(self.first(pooled)))
        return self.last(F.relu(self.second_norm(self.second(hidden))))


class VQVAE(nn.Module):
    """The tokenizer on torch.stft and torch.istft."""

    def __init__(self, length: int, downsamplings: int, channels: int = 64, size: int = 32) -> None:
        super().__init__()
        self.length = length
        frames = length // 2 + 1
        self.encoder = Encoder(2, channels, downsamplings, 4)
        self.quantizer = Codebook(size, channels)
        self.decoder = Decoder(2, channels, downsamplings, 4, (5, frames))
        self.register_buffer("window", torch.ones(8), persistent=False)
        self.window: Tensor

    def transform(self, x: Tensor) -> Tensor:
        spectrum = torch.stft(x[:, 0], 8, 2, window=self.window, return_complex=True)
        return torch.stack([spectrum.real, spectrum.imag], dim=1)

    def series(self, u: Tensor) -> Tensor:
        spectrum = torch.complex(u[:, 0], u[:, 1])
        return torch.istft(spectrum, 8, 2, window=self.window, length=self.length)[:, None]

    def encode(self, x: Tensor) -> Tensor:
        z = self.encoder(self.transform(x))
        return self.quantizer(z)[1].view(z.shape[0], *z.shape[2:])
