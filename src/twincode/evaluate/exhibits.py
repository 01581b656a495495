"""What a page shows of one model: arrays to draw, chosen without a hand in it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twincode.augment import Augmenter
from twincode.data.split import Split
from twincode.evaluate.codebook import code_counts
from twincode.evaluate.reconstruction import decoded_series, series_errors
from twincode.quantize import Layout
from twincode.tokenizers import Tokenizer, embed

TOKEN_SERIES = 6
LATENT_POINTS = 1000
AUGMENTATION_DRAWS = 16

Exhibits = dict[str, np.ndarray]


def make_exhibits(tokenizer: Tokenizer, split: Split) -> Exhibits:
    """Reconstructions, token grids, code use and a plane of latents, all from the test part.

    Without a decoder or codes, what needs them is left out; without a test part all is.
    """
    if not len(split.x_test):
        return {}
    latents, codes = embed(tokenizer, split.x_test)
    exhibits = _examples(tokenizer, split.x_test, latents) if tokenizer.has_decoder else {}
    exhibits |= _plane(latents, split.y_test)
    if codes is not None:
        exhibits |= _code_use(codes, tokenizer.layout) | _token_grids(split, codes)
    return exhibits


def evenly(n: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of the numbers 0 .. n - 1, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def augmentation_exhibit(augmenter: Augmenter, x: Tensor, generator: torch.Generator) -> Exhibits:
    """The series x (1, C, L), then the draw of each augmentation alone that changes it most.

    One draw would do for most, but a flip, say, leaves every other series as it is.
    """
    copies = x.expand(AUGMENTATION_DRAWS, -1, -1)
    views = []
    for _, step in augmenter.steps:
        draws = step(copies, generator)
        views.append(draws[(draws - x).square().sum(dim=(1, 2)).argmax()][None])
    return {
        "augmentation_names": np.array([name for name, _ in augmenter.steps], dtype=np.str_),
        "augmentation_series": torch.cat([x, *views]).cpu().numpy(),
    }


def _examples(tokenizer: Tokenizer, x: Tensor, latents: Tensor) -> Exhibits:
    """The test series reconstructed best, in the middle and worst."""
    errors = series_errors(tokenizer, x, latents)
    order = errors.argsort(stable=True)
    chosen = order[[0, len(order) // 2, len(order) - 1]]
    series = x[chosen.to(x.device)]
    return {
        "example_series": series.cpu().numpy(),
        "example_reconstructions": decoded_series(tokenizer, series, latents[chosen]).numpy(),
        "example_errors": errors[chosen].numpy(),
    }


def _code_use(codes: Tensor, layout: Layout) -> Exhibits:
    """How often each code occurs, and which of them, and which columns, belong to which grid."""
    return {
        "code_counts": code_counts(codes, layout.codebook_size).numpy(),
        "codebook_sizes": np.array(layout.codebook_sizes),
        "grid_names": np.array([grid.name for grid in layout.grids], dtype=np.str_),
        "grid_widths": np.array(layout.widths),
    }


def _token_grids(split: Split, codes: Tensor) -> Exhibits:
    """Series and codes of the first test series of each class, then of the next ones."""
    labels = np.full(len(codes), -1) if split.y_test is None else split.y_test
    by_class = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[by_class], labels[by_class])
    turn = np.empty_like(by_class)
    turn[by_class] = np.arange(len(labels)) - starts
    chosen = np.lexsort((labels, turn))[:TOKEN_SERIES]
    return {
        "token_series": split.x_test[chosen].cpu().numpy(),
        "token_codes": codes[chosen].numpy(),
        "token_labels": labels[chosen],
    }


def _plane(latents: Tensor, labels: np.ndarray | None) -> Exhibits:
    """The first two principal components of evenly spaced test series' flattened latents."""
    chosen = evenly(len(latents), LATENT_POINTS)
    Z = latents[chosen].flatten(1).double()
    U, S, _ = torch.linalg.svd(Z - Z.mean(dim=0), full_matrices=False)
    plane = torch.zeros(len(Z), 2, dtype=Z.dtype)
    share = torch.zeros(2, dtype=Z.dtype)
    axes = min(2, len(S))
    # Each axis points where its largest value lies, so that the picture never flips by chance.
    points = U[:, :axes] * S[:axes]
    points = points * points.gather(0, points.abs().argmax(dim=0, keepdim=True)).sign()
    plane[:, :axes] = points
    if S.square().sum() > 0:
        share[:axes] = S[:axes].square() / S.square().sum()
    return {
        "latents_2d": plane.float().numpy(),
        "latents_labels": np.full(len(Z), -1) if labels is None else labels[chosen],
        "latents_explained": share.float().numpy(),
    }
