"""The raw series as its own representation: the control every table carries."""

from torch import Tensor

from twincode.config import Config
from twincode.quantize import Identity
from twincode.tokenizers.contract import Output, Tokenizer


class RawSeries(Tokenizer):
    """x (B, C, L) as a grid of C latent channels, one row high and L wide; nothing to learn."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.channels = channels
        self.length = length
        self.grid = (1, length)
        self.latent_channels = channels
        self.quantizer = Identity()

    def forward(self, x: Tensor, twin: Tensor | None = None) -> Output:
        """Everything is x itself."""
        z, _, vq_loss = self.quantizer(self._latents(x))
        twin_latents = None if twin is None else self._latents(twin)
        return Output(x, z, twin_latents, None, vq_loss, {"time": (x, x)})

    def view_latents(self, x: Tensor, twin: Tensor) -> tuple[Tensor, Tensor]:
        """The views themselves."""
        return self._latents(x), self._latents(twin)

    def _latents(self, x: Tensor) -> Tensor:
        return x[:, :, None]

    def _series(self, latents: Tensor) -> Tensor:
        return latents[:, :, 0]


def build_raw_series(_config: Config, channels: int, length: int) -> RawSeries:
    """The control for series of C channels and L steps."""
    return RawSeries(channels, length)
