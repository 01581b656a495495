"""Successive product quantisation: each codebook refines a few channels of one latent vector."""

import torch
from torch import Tensor

from twincode.closed_form import ComponentCoder
from twincode.precision import in_full_precision
from twincode.quantize.grids import Grid, Layout
from twincode.quantize.quantizer import Quantized, Quantizer


class SuccessiveQuantizer(Quantizer):
    """z (B, D, 1, 1) as a sum of codewords, token after token, each over a few of the D channels.

    Token t takes one of the ``codebook_sizes[t]`` codewords over the channels ``groups[t]``
    (``group_size``,) off what the tokens before it have left over; D in a group stands for no
    channel. Of the partial codes the ``beam`` with the smallest error go on to the next token
    (Babenko and Lempitsky, 2014, section 3.1).

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
        codes = self.layout(1).join(self._search(z.flatten(1))[:, None].split(1, dim=2))
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

    @torch.no_grad()
    def _search(self, z: Tensor) -> Tensor:
        """Codes (B, tokens), each counted from 0, of z (B, D)."""
        n, beams = z.shape[0], 1
        residual = torch.cat([z, z.new_zeros(n, 1)], dim=1)  # (B * beams, D + 1)
        gain = z.new_zeros(n, 1)  # (B, beams), error so far, less that of no codeword at all
        codes = self.groups.new_zeros(n, 0)  # (B * beams, tokens so far)
        first = torch.arange(n, device=z.device)[:, None]
        for group, book in zip(self.groups, self.codebooks(), strict=True):
            change = book.square().sum(1) - 2 * residual[:, group] @ book.T
            total = (gain.view(-1, 1) + change).view(n, -1)
            gain, best = total.topk(min(self.beam, total.shape[1]), largest=False, sorted=False)
            parent = (first * beams + best // len(book)).flatten()
            code = (best % len(book)).flatten()
            residual = residual.index_select(0, parent)
            residual[:, group] -= book[code]
            codes = torch.cat([codes.index_select(0, parent), code[:, None]], dim=1)
            beams = gain.shape[1]
        return codes.view(n, beams, -1)[first[:, 0], gain.argmin(1)]
