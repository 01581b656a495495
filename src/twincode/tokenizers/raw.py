"""The raw series as its own representation: the control every table carries."""

from torch import Tensor

from twincode.quantize import Identity, Layout
from twincode.tokenizers.tokenizer import Output, Tokenizer, TokenizerSettings


class RawSeries(Tokenizer):
    """x (B, C, L) as a grid of C latent channels, one row high and L wide; nothing to learn."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.channels = channels
        self.length = length
        self.layout = Layout()
        self.grid = (1, length)
        self.latent_channels = channels
        self.quantizer = Identity()

    def forward(
        self, x: Tensor, twin: Tensor | None = None, background: Tensor | None = None
    ) -> Output:
        """Everything is x itself."""
        del background
        z, _, vq_loss = self.quantizer(self.latents(x))
        twin_latents = None if twin is None else self.latents(twin)
        return Output(x, z, twin_latents, None, vq_loss, {"time": (x, x)})

    def latents(self, x: Tensor, views: int = 1) -> Tensor:
        """The series themselves, (views * B, C, 1, L)."""
        del views
        return x[:, :, None]

    def series(self, latents: Tensor) -> Tensor:
        """The inverse of ``latents``."""
        return latents[:, :, 0]


def build_raw_series(
    _settings: TokenizerSettings, _quantizer: object, channels: int, length: int
) -> RawSeries:
    """The control for series of C channels and L steps."""
    return RawSeries(channels, length)
