"""Series held out of training, and the state that was best on them."""

import copy
import math

import torch
from torch import Tensor, nn

from twincode.evaluate import reconstruction_errors
from twincode.randomness import stream
from twincode.tokenizers import Tokenizer

FEWEST = 16  # with fewer held out, chance would decide which state is kept


def hold_out(n: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """The rows to learn from and the rows held out, both in order, drawn by the seed.

    Labels have no say in it. None are held out where they would be too few to judge by.
    """
    held = round(share * n)
    if held < FEWEST:
        return torch.arange(n), torch.arange(0)
    order = torch.randperm(n, generator=stream(seed, "held_out"))
    return order[held:].sort().values, order[:held].sort().values


class BestState(nn.Module):
    """A copy of the tokenizer as it was when its error in time on held-out series was smallest.

    It is a part of the checkpoint, so a resumed run keeps what an undisturbed one keeps.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = copy.deepcopy(tokenizer)
        self.error: Tensor
        self.register_buffer("error", torch.tensor(math.inf, dtype=torch.float64))
        self.requires_grad_(False)

    def judge(self, tokenizer: Tokenizer, x: Tensor) -> float:
        """The error of a tokenizer on held-out series x (n, C, L); its state is kept if best."""
        error = reconstruction_errors(tokenizer, x)["reconstruction_time"]
        if error < self.error:
            self.error.fill_(error)
            self.tokenizer.load_state_dict(tokenizer.state_dict())
        return error

    def give_back(self, tokenizer: Tokenizer) -> None:
        """Put the best state into a tokenizer."""
        tokenizer.load_state_dict(self.tokenizer.state_dict())
