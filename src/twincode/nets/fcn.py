"""The fully convolutional network that classifies series (Wang, Yan and Oates, 2017)."""

import torch
from torch import Tensor, nn

WIDTHS, KERNELS = (128, 256, 128), (8, 5, 3)


class FullyConvolutional(nn.Module):
    """x (B, C, L) -> logits (B, classes): convolutions, the mean over time, a linear layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, kernel in zip(WIDTHS, KERNELS, strict=True):
            layers += [
                # An even kernel reaches one step further ahead than back.
                nn.Identity() if kernel % 2 else nn.ZeroPad1d((0, 1)),
                nn.Conv1d(channels, width, kernel, padding=(kernel - 1) // 2),
                nn.BatchNorm1d(width),
                nn.ReLU(inplace=True),
            ]
            channels = width
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Linear(channels, classes)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees, (B, 128)."""
        found: Tensor = self.convolutions(x).mean(-1, dtype=torch.float32)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.features(x))
        return logits
