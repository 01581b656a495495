"""A tokenizer and a prior over its codes, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twincode.errors import TwincodeError, check_count, unknown_name
from twincode.priors import (
    NO_LABEL,
    PRIORS,
    TRAIN_LABELS,
    FittedPrior,
    Places,
    Sampling,
)
from twincode.priors.prior import CHUNK, chunks
from twincode.settings import field_types
from twincode.tokenizers import Tokenizer


@dataclass(frozen=True)
class Stages:
    """Both stages of a model."""

    tokenizer: Tokenizer
    fitted: FittedPrior

    def __post_init__(self) -> None:
        self.fitted.prior.stand_for(self.tokenizer.quantizer.codebooks())

    @property
    def device(self) -> torch.device:
        """Where they compute."""
        return next(iter(self.fitted.prior.state_dict().values())).device

    @cached_property
    def places(self) -> Places:
        """Where the tokens stand."""
        return Places(*(each.to(self.device) for each in self.fitted.prior.grids.places()))

    def tokens(self, x: Tensor) -> Tensor:
        """Tokens (n, N) of series x."""
        codes = torch.cat([self.tokenizer.encode(part) for part in self.tokenizer.batches(x)])
        return self.fitted.prior.grids.flatten(codes.to(self.device))

    def expected_shares(self, tokens: Tensor) -> Tensor | None:
        """Shares (N, K) of codes that the tokenizer expects of such tokens (n, N), if it does."""
        shares = self.tokenizer.expected_shares(self.fitted.prior.grids.unflatten(tokens))
        return None if shares is None else shares.to(self.device)

    def series(self, tokens: Tensor) -> Tensor:
        """The series (n, C, L) that tokens (n, N) stand for."""
        codes = self.fitted.prior.grids.unflatten(tokens)
        return torch.cat([self.tokenizer.decode(part) for part in self.tokenizer.batches(codes)])

    def labels_of(self, n: int, labels: str | Sequence[str]) -> Tensor:
        """Label indices (n,) of series that are there: of one class, of one a series, or none."""
        if isinstance(labels, str) and labels == TRAIN_LABELS:
            raise TwincodeError(
                f"labels={TRAIN_LABELS!r} is for new series; of given ones name the class, or none"
            )
        names = list(map(str, labels)) if np.ndim(labels) else [str(labels)] * n
        if len(names) != n:
            raise TwincodeError(f"there are {len(names)} labels for {n} series")
        return torch.tensor(list(map(self.fitted.label, names)), device=self.device)

    def labels_for(self, n: int, labels: str | Sequence[str] | None, seed: int = 0) -> Tensor:
        """Those of new series, which may also be drawn as in ``train``.

        Without ``labels`` they are, where there were any.
        """
        fitted = self.fitted
        if labels is None:
            labels = TRAIN_LABELS if fitted.classes else NO_LABEL
        if not (isinstance(labels, str) and labels == TRAIN_LABELS):
            return self.labels_of(n, labels)
        if not fitted.classes:
            raise TwincodeError("this prior knows no labels; use labels none")
        shares = torch.tensor(fitted.counts, dtype=torch.float64)
        drawn = [
            shares.multinomial(CHUNK, replacement=True, generator=generator)
            for _, generator in chunks(n, seed, "labels")
        ]
        return torch.cat(drawn)[:n].to(self.device)

    def sampling(self, settings: Mapping[str, Any]) -> Sampling:
        """How to draw; TwincodeError for what this prior cannot be told."""
        known = field_types(self.fitted.prior.sampling)
        for name in settings:
            if name in known:
                continue
            owners = [kind for kind in PRIORS if name in field_types(PRIORS.choose(kind).sampling)]
            if owners:
                raise TwincodeError(
                    f"{name} is for drawing from a prior of kind {' or '.join(owners)}; "
                    f"this one is {self.fitted.settings.name}"
                )
            raise unknown_name("sampling setting", name, known)
        return self.fitted.prior.sampling().replace(**settings)


def sample_tokens(
    stages: Stages, n: int, labels: str | Sequence[str] | None, seed: int, sampling: Sampling
) -> tuple[Tensor, Tensor]:
    """Tokens (n, N) drawn from the prior, and the labels (n,) they were drawn for."""
    check_count("the number of series", n)
    y = stages.labels_for(n, labels, seed)
    return stages.fitted.prior.sample(y, sampling, seed), y
