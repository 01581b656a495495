"""The layers that encoder, decoder and projector are made of.

``views`` runs through all of them: a batch of ``views * B`` rows holds that many views of B series,
one after another. Convolutions do not care, but batch statistics are taken per view, so that
encoding two views in one pass gives the same numbers as encoding them one after the other.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from twincode.distributed import processes, total
from twincode.precision import widen


class ViewBatchNorm(_BatchNorm):
    """Batch normalisation (Ioffe and Szegedy, 2015) over (B, D) or (B, D, H, W), view by view.

    Where a view holds a single value per channel there is no spread to learn from: the running
    statistics stand in, and are left alone.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def _check_input_dim(self, input: Tensor) -> None:
        """Any shape whose second axis is the channels will do."""

    def forward(self, x: Tensor, views: int = 1) -> Tensor:
        """Normalise x (views * B, D, ...); statistics are those of the whole batch everywhere."""
        if not self.training:
            return super().forward(x)
        if processes() > 1:
            return torch.cat([self._over_processes(view) for view in x.chunk(views)])
        if x.numel() == views * self.num_features:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        if views == 1:
            return super().forward(x)
        return torch.cat([super(ViewBatchNorm, self).forward(view) for view in x.chunk(views)])

    def _over_processes(self, x: Tensor) -> Tensor:
        """Normalise this process's share of a batch by the mean and variance of all shares."""
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        values = widen(x)
        count = total(values.new_tensor([values.numel() / x.shape[1]]))
        mean = total(values.sum(axes)) / count
        centred = values - mean.view(shape)
        variance = total(centred.square().sum(axes)) / count
        with torch.no_grad():
            unbiased = variance * count / (count - 1).clamp(min=1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


class DownsamplingBlock(nn.Module):
    """Halve the time axis: (B, D_in, H, W) -> (B, D_out, H, W // 2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            in_channels, out_channels, (3, 4), (1, 2), padding=(1, 1), padding_mode="replicate"
        )
        self.norm = ViewBatchNorm(out_channels)

    def forward(self, x: Tensor, views: int = 1) -> Tensor:
        """Convolution, normalisation, activation."""
        return F.leaky_relu(self.norm(self.convolution(x), views))


class ResidualBlock(nn.Module):
    """A pre-activated residual block (He et al., 2015): (B, D, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = ViewBatchNorm(channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, views: int = 1) -> Tensor:
        """Activation, 3x3, normalisation, activation, 1x1, plus the shortcut."""
        hidden = self.norm(self.spread(F.leaky_relu(x)), views)
        return x + self.mix(F.leaky_relu(hidden))


class UpsamplingBlock(nn.Module):
    """Double the time axis: (B, D, H, W) -> (B, D, H, 2 W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(channels, channels, (3, 4), (1, 2), padding=(1, 1))
        self.norm = ViewBatchNorm(channels)

    def forward(self, x: Tensor, views: int = 1) -> Tensor:
        """Transposed convolution, normalisation, activation."""
        return F.leaky_relu(self.norm(self.convolution(x), views))
