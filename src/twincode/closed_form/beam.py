"""The best few of the partial codes of a vector that is a sum of codewords."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

MOST_PARTIAL = 1 << 24  # partial codes that are compared at once


@torch.no_grad()
def beam_search(z: Tensor, groups: Iterable[Tensor], books: Sequence[Tensor], beam: int) -> Tensor:
    """Codes (n, tokens) of z (n, D), each counted from 0.

    Token t takes a codeword of book t (K_t, g) off what the tokens before it have left over in the
    channels of group t (g,), in which D stands for none. Of the partial codes the ``beam`` with the
    smallest error go on (Babenko and Lempitsky, 2014, section 3.1). The rows of partial codes are
    gathered whole, as a graph has it.
    """
    n, beams = z.shape[0], 1
    residual = torch.cat([z, z.new_zeros(n, 1)], dim=1)  # (n * beams, D + 1)
    gain = z.new_zeros(n, 1)  # (n, beams), error so far, less that of the best
    codes = torch.zeros(n, 0, dtype=torch.long, device=z.device)  # (n * beams, tokens so far)
    first = torch.arange(n, device=z.device)[:, None]
    for group, book in zip(groups, books, strict=True):
        change = book.square().sum(1) - 2 * residual[:, group] @ book.T
        total = (gain.view(-1, 1) + change).view(n, -1)
        gain, best = total.topk(min(beam, total.shape[1]), largest=False, sorted=False)
        # Small beside it, differences would drown in the digits of what all have in common.
        gain = gain - gain.amin(1, keepdim=True)
        parent = (first * beams + best // len(book)).flatten()
        code = (best % len(book)).flatten()
        residual = residual.index_select(0, parent)
        residual[:, group] -= book[code]
        codes = torch.cat([codes.index_select(0, parent), code[:, None]], dim=1)
        beams = gain.shape[1]
    return codes.view(n, beams, -1)[first[:, 0], gain.argmin(1)]
