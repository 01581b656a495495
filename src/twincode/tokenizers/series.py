"""Tokenizers of the series themselves: the raw control, and what a quantiser makes of series."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from twincode.quantize import Identity, Quantizer
from twincode.quantize.closed_form import ClosedFormQuantizer
from twincode.tokenizers.tokenizer import Output, Tokenizer, TokenizerSettings


@dataclass(frozen=True)
class RawSettings(TokenizerSettings):
    """Nothing can be chosen of the series themselves."""

    takes_steps: ClassVar[bool] = False


class SeriesTokenizer(Tokenizer):
    """x (B, C, L) as a grid of C latent channels, one row high and L wide, under a quantiser.

    All learning is the quantiser's, in ``initialise``.
    """

    fits_all = True
    learns_latents = False
    series_at_once = 2048

    def __init__(self, channels: int, length: int, quantizer: Quantizer) -> None:
        super().__init__()
        self.channels = channels
        self.length = length
        self.latent_channels = channels
        self.quantizer = quantizer
        self._take_layout()
        self.register_load_state_dict_post_hook(_take_loaded_layout)

    def forward(
        self, x: Tensor, twin: Tensor | None = None, background: Tensor | None = None
    ) -> Output:
        """Series through the quantiser and back."""
        del background
        z = self.latents(x)
        z_q, codes, vq_loss = self.quantizer(z)
        decoded = self.series(z_q)
        twin_latents = None if twin is None else self.latents(twin)
        return Output(decoded, z, twin_latents, codes, vq_loss, {"time": (x, decoded)})

    def latents(self, x: Tensor, views: int = 1) -> Tensor:
        """The series themselves, (views * B, C, 1, L)."""
        del views
        return x[:, :, None]

    def series(self, latents: Tensor) -> Tensor:
        """The inverse of ``latents``."""
        return latents[:, :, 0]

    def initialise(self, x: Tensor, generator: Generator) -> None:
        """Fit the quantiser to all series."""
        super().initialise(x, generator)
        self._take_layout()

    def _take_layout(self) -> None:
        self.layout = self.quantizer.layout(self.length)
        self.grid = (1, self.layout.width or self.length)


def _take_loaded_layout(tokenizer: SeriesTokenizer, _keys: object) -> None:
    """What is loaded may be laid out otherwise than what was there, but is of as many values."""
    if isinstance(tokenizer.quantizer, ClosedFormQuantizer):
        coder = tokenizer.quantizer.coder
        if (coder.channels, coder.length) != (tokenizer.channels, tokenizer.length):
            raise RuntimeError(f"it is of {coder.channels} channels of {coder.length} steps")
    tokenizer._take_layout()


def build_raw_series(
    _settings: RawSettings, _quantizer: object, channels: int, length: int
) -> SeriesTokenizer:
    """The control for series of C channels and L steps: nothing is quantised."""
    return SeriesTokenizer(channels, length, Identity())
