"""The joint that holds the house together: what every tokenizer offers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from twincode.errors import TwincodeError, unknown_name
from twincode.quantize import Quantized, Quantizer, Regions

Pairs = dict[str, tuple[Tensor, Tensor]]


class Output(NamedTuple):
    """All that one training pass yields; an objective sees nothing else.

    ``reconstruction`` (B, C, L) is x_hat; ``latents`` (B, D, H, W) is the continuous z of the upper
    branch and ``twin_latents`` that of the lower one, where there is one; ``codes``
    (B, H, W * codes_per_latent) may be None; ``vq_loss`` is the quantiser's scalar; ``pairs`` names
    the (target, reconstruction) tensors that the reconstruction loss compares. Without a decoder
    there is no reconstruction and there are no pairs.
    """

    reconstruction: Tensor | None
    latents: Tensor
    twin_latents: Tensor | None
    codes: Tensor | None
    vq_loss: Tensor
    pairs: Pairs


class Tokenizer(nn.Module):
    """Series (B, C, L) to a grid of codes (B, H, W) and back.

    The sizes of a series (``channels``, ``length``) and of its grid of codes (``grid`` = (H, W)),
    and the ``latent_channels`` D are fixed at construction. The grid of codes is wider than that of
    latents where a latent has several codes (see ``Quantizer``). ``embed``, ``encode``,
    ``decode`` and ``reconstruct`` always run in evaluation mode and change nothing, whatever mode
    the tokenizer is in; without a decoder (``has_decoder``) the last two are errors. A tokenizer
    that ``takes_background`` may be told in training which series are background, as a third
    argument of ``forward``, (B,) and boolean. Where levels or bands stand side by side in the grid,
    ``region_names`` says from left to right what they are.
    """

    has_decoder: bool = True
    takes_background: bool = False
    region_names: tuple[str, ...] = ()

    channels: int
    length: int
    grid: tuple[int, int]
    latent_channels: int
    quantizer: Quantizer

    def forward(self, x: Tensor, twin: Tensor | None = None) -> Output:
        """One pass over x (B, C, L); a second view ``twin`` is encoded alongside."""
        raise NotImplementedError

    def view_latents(self, x: Tensor, twin: Tensor) -> tuple[Tensor, Tensor]:
        """Continuous latents (B, D, H, W) of two views in one pass, in the mode it is in."""
        raise NotImplementedError

    def one_view_latents(self, x: Tensor) -> Tensor:
        """Continuous latents (B, D, H, W) of one view, in the mode it is in."""
        return self._latents(x)

    def _latents(self, x: Tensor) -> Tensor:
        """Continuous latents z (B, D, H, W) of x."""
        raise NotImplementedError

    def _series(self, latents: Tensor) -> Tensor:
        """The series (B, C, L) that quantised latents stand for."""
        raise NotImplementedError

    def latents(self, x: Tensor) -> Tensor:
        """Continuous latents z (B, D, H, W), before quantisation."""
        with frozen(self):
            return self._latents(x)

    def embed(self, x: Tensor) -> Quantized:
        """Quantised latents and codes of x."""
        with frozen(self):
            return self.quantizer(self._latents(x))

    def region(
        self, latents: Tensor, codes: Tensor | None, name: str
    ) -> tuple[Tensor, Tensor | None, Quantizer]:
        """One level or band of latents and codes, its codes counted from 0, and its quantiser.

        Raises TwincodeError for a name that is not among ``region_names``.
        """
        if not isinstance(self.quantizer, Regions):
            raise TwincodeError(f"this model has one grid and no region {name!r}")
        if name not in self.region_names:
            raise unknown_name("region", name, self.region_names)
        return self.quantizer.cut(latents, codes, self.region_names.index(name))

    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, H, W) of x."""
        codes = self.embed(x).codes
        if codes is None:
            raise TwincodeError("this model is continuous: it has latents, but no codes")
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """The series (B, C, L) that codes (B, H, W) stand for."""
        self._check_decoder()
        with frozen(self):
            return self._series(self.quantizer.lookup(codes))

    def reconstruct(self, x: Tensor) -> Pairs:
        """The named (target, reconstruction) pairs of x, the series themselves under ``time``."""
        self._check_decoder()
        with frozen(self):
            return self(x).pairs

    def initialise(self, x: Tensor, generator: Generator) -> None:
        """Place the codes with the help of series x (B, C, L), once, before training."""
        self.quantizer.initialise(self.latents(x), generator)

    def update(self, z: Tensor, codes: Tensor, background: Tensor | None = None) -> None:
        """Move codebooks after an optimiser step on latents z (B, D, H, W) and their codes.

        ``background`` (B,) is as in ``forward``.
        """
        del background
        self.quantizer.update(z, codes)

    def _check_decoder(self) -> None:
        if not self.has_decoder:
            raise TwincodeError("this model is an encoder alone: it has no decoder")


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every submodule's mode is put back afterwards."""
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for submodule, training in modes:
            submodule.training = training
