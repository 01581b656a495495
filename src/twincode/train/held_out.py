"""Series held out of training, and the state that was best on them."""

import copy
import math

import torch
from torch import Tensor, nn

from twincode.evaluate import reconstruction_errors
from twincode.randomness import stream
from twincode.tokenizers import Tokenizer


def hold_out(n: int, held: int, seed: int) -> tuple[Tensor, Tensor]:
    """The rows to learn from and the ``held`` rows that are not, both in order, of n.

    The seed draws them; labels have no say in it.
    """
    order = torch.randperm(n, generator=stream(seed, "held_out"))
    return order[held:].sort().values, order[:held].sort().values


class BestState(nn.Module):
    """A copy of the tokenizer as it was when its error in time on held-out series was smallest.

    The series are ``x`` (n, C, L). It is a part of the checkpoint, so a resumed run keeps what an
    undisturbed one keeps.
    """

    def __init__(self, tokenizer: Tokenizer, x: Tensor) -> None:
        super().__init__()
        self.x = x
        self.tokenizer = copy.deepcopy(tokenizer)
        self.error: Tensor
        self.register_buffer("error", torch.tensor(math.inf, dtype=torch.float64))
        self.requires_grad_(False)

    def judge(self, tokenizer: Tokenizer) -> float:
        """The error of a tokenizer, whose state is kept if it is the smallest."""
        error = reconstruction_errors(tokenizer, self.x)["reconstruction_time"]
        if error < self.error:
            self.error.fill_(error)
            self.tokenizer.load_state_dict(tokenizer.state_dict())
        return error

    def give_back(self, tokenizer: Tokenizer) -> None:
        """Put the best state into a tokenizer."""
        tokenizer.load_state_dict(self.tokenizer.state_dict())
