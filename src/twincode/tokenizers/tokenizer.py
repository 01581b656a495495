"""The joint that holds the house together: what every tokenizer offers."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor, nn

from twincode.distributed import share
from twincode.errors import TwincodeError, unknown_name
from twincode.quantize import Layout, Quantized, Quantizer, Regions
from twincode.settings import Settings
from twincode.spectral import STFT

Pairs = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class TokenizerSettings(Settings):
    """What every tokenizer's settings say: whether it is given a quantiser, and learns by steps.

    One that does not is fitted at once or not at all; of the settings of training it has the seed.
    """

    takes_quantizer: ClassVar[bool] = False
    takes_steps: ClassVar[bool] = True


class Output(NamedTuple):
    """All that one training pass yields; an objective sees nothing else.

    ``reconstruction`` (B, C, L) is x_hat; ``latents`` (B, D, H, W) is the continuous z of the upper
    branch and ``twin_latents`` that of the lower one, where there is one; ``codes`` (B, H, W), in
    the tokenizer's layout, may be None; ``vq_loss`` is the quantiser's scalar; ``pairs`` names the
    (target, reconstruction) tensors that the reconstruction loss compares. Without a decoder there
    is no reconstruction and there are no pairs.
    """

    reconstruction: Tensor | None
    latents: Tensor
    twin_latents: Tensor | None
    codes: Tensor | None
    vq_loss: Tensor
    pairs: Pairs


class Embedded(NamedTuple):
    """Quantised latents (n, D, H, W) and codes (n, H, W), or None, of a set of series."""

    latents: Tensor
    codes: Tensor | None


class Tokenizer(nn.Module):
    """Series (B, C, L) to a grid of codes (B, H, W) and back.

    All sizes are fixed at construction: those of a series (``channels``, ``length``), the
    ``latent_channels`` D, and the ``layout`` of the codes, which says which columns of their grid
    belong to which codebook; ``grid`` is its size (H, W), or that of the latents without codes.
    ``embed``, ``encode``, ``decode`` and ``reconstruct`` always run in evaluation mode and change
    nothing, whatever mode the tokenizer is in; without a decoder (``has_decoder``) the last two
    are errors. One with ``ContrastiveSettings`` is told in training which series are background, as
    a third argument of ``forward``, (B,) and boolean. Where levels or bands stand side by side in
    the grid, ``region_names`` says from left to right what they are. One that ``fits_all`` places
    its codes in all train series there are, not in a first batch. Where training moves no latents
    (``learns_latents``) a twin loss has nothing to teach.
    """

    has_decoder: bool = True
    learns_latents: bool = True
    fits_all: bool = False
    # Enough to keep the cores busy, few enough for long series in little memory.
    series_at_once: int = 256
    region_names: tuple[str, ...] = ()

    channels: int
    length: int
    grid: tuple[int, int]
    layout: Layout
    latent_channels: int
    quantizer: Quantizer

    @property
    def transform(self) -> STFT | None:
        """The transform it works on, where it has one."""
        return None

    @property
    def takes_any_length(self) -> bool:
        """Whether it encodes series of other lengths than train's too."""
        return False

    def layout_of(self, length: int) -> Layout:
        """The layout of codes of series of ``length`` steps."""
        del length
        return self.layout

    @property
    def bits_per_series(self) -> float:
        """What the codes of a series cost, log2 of the codebook's size each; infinite without."""
        if not self.layout.grids:
            return math.inf
        row = (grid.width * math.log2(grid.codebook_size) for grid in self.layout.grids)
        return self.grid[0] * math.fsum(row)

    def bits_of(self, codes: Tensor) -> Tensor:
        """Bits (B,) that the codes (B, H, W) of each series take."""
        return torch.full((len(codes),), self.bits_per_series)

    def expected_shares(self, codes: Tensor) -> Tensor | None:
        """How often it expects each code at each place (W, K) of grids of one row, if it does.

        For series like those of the codes (B, 1, W).
        """
        del codes
        return None

    def forward(
        self, x: Tensor, twin: Tensor | None = None, background: Tensor | None = None
    ) -> Output:
        """One pass over x (B, C, L); a second view ``twin`` is encoded alongside."""
        raise NotImplementedError

    def latents(self, x: Tensor, views: int = 1) -> Tensor:
        """Continuous latents z (B, D, H, W) of x, in the mode it is in.

        With several ``views`` x holds them one after another, (views * B, C, L), and statistics of
        a batch are taken view by view.
        """
        raise NotImplementedError

    def series(self, latents: Tensor) -> Tensor:
        """The series (B, C, L) that quantised latents stand for, in the mode it is in."""
        raise NotImplementedError

    def batches(self, x: Tensor) -> Iterator[Tensor]:
        """Consecutive parts of x, each of as many series as it takes at once at most."""
        return iter(x.split(self.series_at_once))

    def embed(self, x: Tensor) -> Quantized:
        """Quantised latents and codes of x."""
        with frozen(self):
            return self.quantizer(self.latents(x))

    def region(
        self, latents: Tensor, codes: Tensor | None, name: str
    ) -> tuple[Tensor, Tensor | None, Layout]:
        """One level or band of latents and codes, and the layout of these codes.

        Raises TwincodeError for a name that is not among ``region_names``.
        """
        if not isinstance(self.quantizer, Regions):
            raise TwincodeError(f"this model has one grid and no region {name!r}")
        if name not in self.region_names:
            raise unknown_name("region", name, self.region_names)
        own, own_codes, part = self.quantizer.cut(latents, codes, self.region_names.index(name))
        return own, own_codes, part.layout(own.shape[-1])

    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, H, W) of x."""
        with frozen(self):
            codes = self._codes(x)
        if codes is None:
            raise TwincodeError("this model is continuous: it has latents, but no codes")
        return codes

    def _codes(self, x: Tensor) -> Tensor | None:
        """Codes of x alone, where there are any."""
        return self.quantizer.encode(self.latents(x))

    def decode(self, codes: Tensor, length: int | None = None) -> Tensor:
        """The series (B, C, L) that codes (B, H, W) stand for.

        Raises TwincodeError for another ``length`` than train's where it ``takes_any_length`` not.
        """
        if length not in (None, self.length):
            raise TwincodeError(f"this model decodes series of {self.length} steps, not {length}")
        self._check_decoder()
        with frozen(self):
            return self.series(self.quantizer.lookup(codes))

    def reconstruct(self, x: Tensor, latents: Tensor | None = None) -> Pairs:
        """The named (target, reconstruction) pairs of x, the series themselves under ``time``.

        ``latents`` are those quantised of x, where they are known.
        """
        self._check_decoder()
        with frozen(self):
            return self._compare(x, self.embed(x).latents if latents is None else latents)

    def _compare(self, x: Tensor, latents: Tensor) -> Pairs:
        """Whole series, and whatever else tells how well x is kept in quantised latents."""
        return {"time": (x, self.series(latents))}

    def initialise(self, x: Tensor, generator: Generator) -> None:
        """Place the codes with the help of series x (n, C, L), once, before they are used.

        Running statistics are those of training on x; ``settle`` makes them so.
        """
        self.quantizer.initialise(self.all_latents(x), generator)

    def all_latents(self, x: Tensor) -> Tensor:
        """Continuous latents (n, D, H, W) of all of x (n, C, L), batch by batch."""
        with frozen(self):
            return torch.cat([self.latents(batch) for batch in self.batches(x)])

    def update(self, z: Tensor, codes: Tensor, background: Tensor | None = None) -> None:
        """Move codebooks after an optimiser step on latents z (B, D, H, W) and their codes.

        ``background`` (B,) is as in ``forward``.
        """
        del background
        self.quantizer.update(z, codes)

    def _check_decoder(self) -> None:
        if not self.has_decoder:
            raise TwincodeError("this model is an encoder alone: it has no decoder")


def embed(tokenizer: Tokenizer, x: Tensor) -> Embedded:
    """Quantised latents and codes of all of x (n, C, L), batch by batch, on the CPU."""
    parts = [tokenizer.embed(batch) for batch in tokenizer.batches(x)]
    codes = [part.codes.cpu() for part in parts if part.codes is not None]
    return Embedded(
        torch.cat([part.latents.cpu() for part in parts]), torch.cat(codes) if codes else None
    )


def settle(tokenizer: Tokenizer, x: Tensor) -> None:
    """Let all running statistics be those of one training pass over x, a batch of it at most."""
    norms = [m for m in tokenizer.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    modes = [(module, module.training) for module in tokenizer.modules()]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        tokenizer.train()(share(x[: tokenizer.series_at_once]))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for module, training in modes:
        module.training = training


def _submodules(module: nn.Module) -> list[nn.Module]:
    """A module and all below it, as ``modules()`` in a fifth of its time."""
    found = [module]
    for each in found:
        found.extend(child for child in each._modules.values() if child is not None)
    return found


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every submodule's mode is put back afterwards."""
    trained = [submodule for submodule in _submodules(module) if submodule.training]
    for submodule in trained:
        submodule.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for submodule in trained:
            submodule.training = True
