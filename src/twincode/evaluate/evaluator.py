"""Everything a frozen tokenizer is judged by, as (readout, metric, value)."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from twincode.config import EvaluationConfig
from twincode.data import Dataset, Scaling
from twincode.errors import TwincodeError, unknown_name
from twincode.evaluate.codebook import code_counts, mean_absolute_cosine, measure_codes
from twincode.evaluate.posterior import posterior_measures
from twincode.evaluate.probes import check_settings, probe
from twincode.evaluate.readout import READOUTS, READOUTS_OF_CODES, readout_features
from twincode.evaluate.reconstruction import batches, reconstruction_errors
from twincode.tokenizers import Tokenizer


class Measurement(NamedTuple):
    """One number. ``readout`` is empty for a metric that belongs to no readout."""

    readout: str
    metric: str
    value: float


class Split(NamedTuple):
    """A data set ready for the device: scaled series (n, C, L) and label indices per part."""

    x_train: Tensor
    x_test: Tensor
    y_train: np.ndarray | None
    y_test: np.ndarray | None
    n_classes: int


def prepare(dataset: Dataset, scaling: Scaling, device: torch.device) -> Split:
    """Scale both parts with the train part's numbers and move them to ``device``."""
    return Split(
        torch.from_numpy(scaling.apply(dataset.X_train)).to(device),
        torch.from_numpy(scaling.apply(dataset.X_test)).to(device),
        dataset.y_train,
        dataset.y_test,
        len(dataset.classes),
    )


def embed(tokenizer: Tokenizer, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Quantised latents (n, D, H, W) and codes (n, H, W), or None, of all of x, on the CPU."""
    parts = [tokenizer.embed(batch) for batch in batches(x)]
    latents = torch.cat([part.latents.cpu() for part in parts])
    codes = [part.codes.cpu() for part in parts if part.codes is not None]
    return latents, torch.cat(codes) if codes else None


def evaluate_tokenizer(
    tokenizer: Tokenizer, split: Split, config: EvaluationConfig
) -> list[Measurement]:
    """All probes under every readout, reconstruction, and codebook or posterior measures.

    The tokenizer's parameters and buffers, its mode and the random streams are left as they were.
    Reconstruction is measured on the test part, and in time on the train part too; without a
    decoder or a codebook, what needs one is left out.
    """
    train, train_codes = embed(tokenizer, split.x_train)
    test, test_codes = embed(tokenizer, split.x_test)
    size = tokenizer.quantizer.codebook_size
    found = []
    for name in _applicable(config.readouts, train_codes):
        Z_train = readout_features(name, train, train_codes, size)
        Z_test = readout_features(name, test, test_codes, size)
        scores = probe(Z_train, split.y_train, Z_test, split.y_test, config, split.n_classes)
        found += [Measurement(name, metric, value) for metric, value in scores.items()]
    errors = _reconstruction(tokenizer, split) if tokenizer.has_decoder else {}
    if test_codes is not None and train_codes is not None:
        errors |= codebook_measures(tokenizer, torch.cat([train_codes, test_codes]))
    if tokenizer.quantizer.gaussian:
        errors |= posterior_measures(tokenizer, torch.cat([train, test]))
    return found + [Measurement("", metric, value) for metric, value in errors.items()]


def _reconstruction(tokenizer: Tokenizer, split: Split) -> dict[str, float]:
    errors = reconstruction_errors(tokenizer, split.x_test)
    on_train = reconstruction_errors(tokenizer, split.x_train)
    return {**errors, "train_reconstruction_time": on_train["reconstruction_time"]}


def check_evaluation(config: EvaluationConfig) -> None:
    """Raise TwincodeError for settings no probe can run with, before hours are spent training."""
    for name in config.readouts:
        if name not in READOUTS:
            raise unknown_name("readout", name, READOUTS)
    if not config.readouts:
        raise TwincodeError(f"name at least one readout: {', '.join(READOUTS)}")
    check_settings(config)


def _applicable(readouts: Sequence[str], codes: Tensor | None) -> list[str]:
    """A continuous tokenizer has no codes to count."""
    return [name for name in readouts if codes is not None or name not in READOUTS_OF_CODES]


def codebook_measures(tokenizer: Tokenizer, codes: Tensor) -> dict[str, float]:
    """Perplexity and used codes over ``codes`` (n, H, W), and how alike the code vectors are.

    Several codebooks are measured one by one; each number is the mean over them.
    """
    quantizer = tokenizer.quantizer
    counts = code_counts(codes, quantizer.codebook_size)
    measures = measure_codes(counts, quantizer.codebook_sizes)
    codebooks = quantizer.codebooks()
    if codebooks:
        measures["codebook_cosine"] = fmean(mean_absolute_cosine(each) for each in codebooks)
    return measures
