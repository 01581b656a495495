"""Successive product quantisation: each codebook refines a few channels of one latent vector."""

import torch
from torch import Tensor

from twincode.closed_form import ComponentCoder, beam_search
from twincode.precision import in_full_precision
from twincode.quantize.grids import Grid, Layout
from twincode.quantize.quantizer import Quantized, Quantizer


class SuccessiveQuantizer(Quantizer):
    """z (B, D, 1, 1) as a sum of codewords, token after token, each over a few of the D channels.

    Token t takes one of the ``codebook_sizes[t]`` codewords over the channels ``groups[t]``
    (``group_size``,) off what the tokens before it have left over; D in a group stands for no
    channel. Of the partial codes the ``beam`` best go on to the next token (``beam_search``).

    Nothing here is taught by gradients: the codebooks are those of a fitted coder.
    """

    loss_name = ""

    def __init__(
        self, codebook_sizes: tuple[int, ...], latent_channels: int, group_size: int, beam: int
    ) -> None:
        super().__init__()
        tokens = len(codebook_sizes)
        self.latent_channels = latent_channels
        self.beam = beam
        self.codebook_sizes = codebook_sizes
        groups = (torch.arange(tokens * group_size) % latent_channels).view(tokens, group_size)
        groups[:, latent_channels:] = latent_channels
        self.groups: Tensor
        self.words: Tensor
        self.register_buffer("groups", groups)
        self.register_buffer("words", torch.randn(tokens, max(codebook_sizes), group_size))

    def layout(self, width: int) -> Layout:
        """A grid a token, each one column wide."""
        del width
        return Layout(
            tuple(Grid(f"token {i}", 1, K) for i, K in enumerate(self.codebook_sizes, start=1))
        )

    def codebooks(self) -> tuple[Tensor, ...]:
        """The codewords (K_t, g) of every token."""
        return tuple(words[:K] for words, K in zip(self.words, self.codebook_sizes, strict=True))

    @in_full_precision
    def forward(self, z: Tensor) -> Quantized:
        """The best sum that the beam finds."""
        found = beam_search(z.flatten(1), self.groups, self.codebooks(), self.beam)
        codes = self.layout(1).join(found[:, None].split(1, dim=2))
        return Quantized(self.lookup(codes), codes, z.new_zeros(()))

    def lookup(self, codes: Tensor) -> Tensor:
        """The latents (B, D, 1, 1) of codes (B, 1, tokens)."""
        own = torch.cat(self.layout(1).split(codes), dim=2)[:, 0]  # (B, tokens), from 0
        words = self.words[torch.arange(own.shape[1], device=own.device), own]
        z = words.new_zeros(codes.shape[0], self.latent_channels + 1)
        z = z.index_add(1, self.groups.flatten(), words.flatten(1))
        return z[:, :-1, None, None]

    @torch.no_grad()
    def start_at(self, coder: ComponentCoder) -> None:
        """Take over the groups and the codewords of a fitted coder of as many tokens."""
        self.groups.fill_(self.latent_channels)
        self.words.zero_()
        for t, (group, book) in enumerate(zip(coder.groups, coder.codebooks, strict=True)):
            self.groups[t, : len(group)] = group
            self.words[t, : len(book), : len(group)] = book
