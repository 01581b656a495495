"""A network that starts where the closed form ends: principal components, then context in time."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from twincode.closed_form import ComponentCoder
from twincode.closed_form.components import split_bits
from twincode.precision import in_full_precision
from twincode.quantize import Quantized
from twincode.quantize.successive import SuccessiveQuantizer
from twincode.tokenizers.closed_form import ComponentSettings
from twincode.tokenizers.tokenizer import Output, Tokenizer, frozen

KERNEL = 5


@dataclass(frozen=True)
class WarmSettings(ComponentSettings):
    """What the codes are, as in ``pca-pq``, and the net that follows the linear decoder.

    The net has ``context_depth`` convolutions of ``context_width`` channels. In use codes are found
    anew ``refinements`` times, with what the net adds taken off.
    """

    takes_steps: ClassVar[bool] = True

    context_width: int = 32
    context_depth: int = 3
    refinements: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "context_width", "context_depth")
        self.check_at_least(0, "refinements")


class Context(nn.Module):
    """What is to be added to a decoded series (B, C_in, L), seen from around: (B, C, L).

    Dilated convolutions over time with shortcuts; the last one starts at zero, and so does what is
    added.
    """

    def __init__(self, in_channels: int, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(width if i else in_channels, width, KERNEL, padding="same", dilation=2**i)
            for i in range(depth)
        )
        self.last = nn.Conv1d(width, channels, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """One pass."""
        first, *others = self.layers
        hidden = F.gelu(first(x))
        for layer in others:
            hidden = hidden + F.gelu(layer(hidden))
        added: Tensor = self.last(hidden)
        return added


class Warm(Tokenizer):
    """Linear encoder, successive codebooks, linear decoder, and a net over time behind it.

    ``initialise`` puts all but the net at a ``ComponentCoder`` fitted on the series, and the net
    starts at zero: before the first step this tokenizer is the closed form. Training leaves codes
    where they are; what is learnt is the net, which takes from the decoded series and from what is
    usual at each step (mean, spread, and error of the start) what the linear decoder leaves over.
    It is shared over time, so that it can hardly learn series by heart.
    """

    fits_all = True
    learns_latents = False
    quantizer: SuccessiveQuantizer

    def __init__(self, settings: WarmSettings, channels: int, length: int) -> None:
        super().__init__()
        self.settings = settings
        self.channels = channels
        self.length = length
        sizes = split_bits(settings.bits, settings.bits_per_token)
        self.latent_channels = min(channels * length, len(sizes) * settings.group_size)
        self.quantizer = SuccessiveQuantizer(
            sizes, self.latent_channels, settings.group_size, settings.beam
        )
        self.layout = self.quantizer.layout(1)
        self.grid = (1, self.layout.width)
        self.context = Context(
            4 * channels, channels, settings.context_width, settings.context_depth
        )
        self.mean: Tensor
        self.components: Tensor
        self.usual: Tensor
        self.error: Tensor
        self.register_buffer("mean", torch.zeros(channels * length))
        self.register_buffer("components", torch.eye(self.latent_channels, channels * length))
        self.register_buffer("usual", torch.zeros(3 * channels, length))
        self.register_buffer("error", torch.ones(()))

    def forward(
        self, x: Tensor, twin: Tensor | None = None, background: Tensor | None = None
    ) -> Output:
        """Codes and reconstruction; the pair ``time`` is all there is to compare."""
        del background
        z = self.latents(x)
        z_q, codes, loss = self._quantize(x, z)
        x_hat = self.series(z_q)
        twin_latents = None if twin is None else self.latents(twin)
        return Output(x_hat, z, twin_latents, codes, loss, {"time": (x, x_hat)})

    @in_full_precision
    def latents(self, x: Tensor, views: int = 1) -> Tensor:
        """Principal components (views * B, D, 1, 1) of the series."""
        del views
        return ((x.flatten(1) - self.mean) @ self.components.T)[:, :, None, None]

    def series(self, latents: Tensor) -> Tensor:
        """The linear decoder, and what the net adds, in units of the error at the start."""
        linear = self._linear(latents)
        return linear + self._added(linear)

    def embed(self, x: Tensor) -> Quantized:
        """Quantised latents and codes of x."""
        with frozen(self):
            return self._quantize(x, self.latents(x))

    def _codes(self, x: Tensor) -> Tensor | None:
        return self._quantize(x, self.latents(x)).codes

    @torch.no_grad()
    def initialise(self, x: Tensor, generator: Generator) -> None:
        """Begin at the closed form, fitted on all of x (n, C, L)."""
        series = x.cpu()
        own = self.settings
        coder = ComponentCoder.fit(
            series, own.bits, generator, own.bits_per_token, own.group_size, own.beam
        )
        self.mean.copy_(coder.mean)
        self.components.zero_()[: len(coder.components)] = coder.components.to(x.device)
        self.quantizer.start_at(coder)
        left = series - coder.decode(coder.encode(series))
        spread, error = (each.square().mean(0).sqrt() for each in (series - series.mean(0), left))
        self.error.copy_(left.square().mean().sqrt())
        # Of codes without an error there is nothing to learn.
        relative = error / self.error.cpu() if self.error > 0 else error
        self.usual.copy_(torch.cat([series.mean(0), spread, relative]))

    @in_full_precision
    def _linear(self, latents: Tensor) -> Tensor:
        x = self.mean + latents.flatten(1) @ self.components
        return x.unflatten(1, (self.channels, self.length))

    def _added(self, linear: Tensor) -> Tensor:
        around = torch.cat([linear, self.usual.expand(linear.shape[0], -1, -1)], dim=1)
        added: Tensor = self.context(around)
        return self.error * added

    def _quantize(self, x: Tensor, z: Tensor) -> Quantized:
        """Codes of x and, in evaluation, better ones: those of x less what the net adds to it."""
        found = self.quantizer(z)
        rounds = 0 if self.training else self.settings.refinements
        for _ in range(rounds):
            target = x - self._added(self._linear(found.latents))
            again = self.quantizer(self.latents(target))
            better = self._errors(x, again.latents) < self._errors(x, found.latents)
            latents = torch.where(better[:, None, None, None], again.latents, found.latents)
            codes = torch.where(better[:, None, None], again.codes, found.codes)
            found = Quantized(latents, codes, found.loss)
        return found

    def _errors(self, x: Tensor, latents: Tensor) -> Tensor:
        return (self.series(latents) - x).square().mean((1, 2))


def build_warm(settings: WarmSettings, _quantizer: object, channels: int, length: int) -> Warm:
    """The tokenizer the settings describe, for series of C channels and L steps."""
    return Warm(settings, channels, length)
