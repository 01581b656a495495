"""The rows that generated series are judged beside, made of a model and its data."""

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twincode.data.split import Split
from twincode.errors import TwincodeError
from twincode.evaluate.generation import (
    PSEUDO_BITS,
    GenerationSettings,
    Row,
    Score,
    judge_rows,
    make_extractors,
)
from twincode.generate.likelihood import pseudo_bits
from twincode.generate.stages import Stages, sample_tokens
from twincode.priors import NO_LABEL, PRIORS

INDEPENDENT = "independent"
# So many series of a row tell how typical its grids are.
TYPICAL_SERIES = 200


def judge(
    stages: Stages, split: Split, settings: GenerationSettings, **sampling: Any
) -> list[Score]:
    """The scores of a prior's samples and of the controls, against test series.

    The rows are train series drawn with replacement; ``copies``, the same through the codes;
    ``reconstruction``, test through the codes, which is what the tokenizer alone costs; samples of
    the ``independent`` prior; and those of the prior, by class where it knows classes and without
    labels too. Raises TwincodeError without a test part.
    """
    if not len(split.x_test):
        raise TwincodeError("samples are judged against a test part, and these data have none")
    if not stages.tokenizer.has_decoder:
        raise TwincodeError("this model is an encoder alone: it has no decoder, so no samples")
    n, seed = settings.number(len(split.x_test)), settings.generation_seed
    drawn = np.random.default_rng(seed).integers(len(split.x_train), size=n)
    train = _row(stages, "train", split.x_train, split.y_train)
    test = _row(stages, "test", split.x_test, split.y_test)
    copies = _decoded(stages, "copies", split.x_train, split.y_train)
    reconstruction = _decoded(stages, "reconstruction", split.x_test, split.y_test)
    control = _independent(stages, split)
    own = stages.fitted.settings.name
    rows = [_some(train, drawn), _some(copies, drawn), reconstruction]
    rows.append(_sampled(control, INDEPENDENT, n, seed, None))
    if own != INDEPENDENT:
        rows.append(_sampled(stages, own, n, seed, None, **sampling))
    if stages.fitted.classes:
        rows.append(_sampled(stages, f"{own}, no labels", n, seed, NO_LABEL, **sampling))
    classes = split.n_classes
    extractors = make_extractors(train, classes, settings)
    scores = judge_rows(rows, train, test, copies, reconstruction, classes, extractors, settings)
    if stages.fitted.prior.fills_gaps:
        scores += [_typicality(stages, row) for row in rows]
    return scores


def _typicality(stages: Stages, row: Row) -> Score:
    """The pseudo-likelihood of a row's grids under the prior, without labels."""
    tokens = torch.as_tensor(row.tokens[:TYPICAL_SERIES]).to(stages.device)
    y = torch.full((len(tokens),), stages.fitted.prior.none, device=stages.device)
    bits = pseudo_bits(stages, tokens, y)
    return Score(row.name, PSEUDO_BITS, float(bits.mean()), 0.0)


def _independent(stages: Stages, split: Split) -> Stages:
    """The control prior, of the same train codes."""
    fitted = stages.fitted
    settings = PRIORS.choose(INDEPENDENT)
    prior = PRIORS.build(settings, fitted.prior.grids, len(fitted.classes)).to(stages.device)
    y = torch.full((len(split.x_train),), len(fitted.classes))
    if fitted.classes and split.y_train is not None:
        y = torch.as_tensor(split.y_train)
    prior.start(stages.tokens(split.x_train), y.to(stages.device))
    return dataclasses.replace(
        stages, fitted=dataclasses.replace(fitted, prior=prior, settings=settings)
    )


def _row(stages: Stages, name: str, x: Tensor, y: NDArray | None) -> Row:
    return Row(name, x.cpu().numpy(), stages.tokens(x).cpu().numpy(), y)


def _decoded(stages: Stages, name: str, x: Tensor, y: NDArray | None) -> Row:
    tokens = stages.tokens(x)
    return Row(name, stages.series(tokens).cpu().numpy(), tokens.cpu().numpy(), y)


def _some(row: Row, rows: NDArray) -> Row:
    labels = None if row.labels is None else row.labels[rows]
    return Row(row.name, row.series[rows], row.tokens[rows], labels)


def _sampled(
    stages: Stages, name: str, n: int, seed: int, labels: str | None, **sampling: Any
) -> Row:
    tokens, y = sample_tokens(stages, n, labels, seed, **sampling)
    told = None if bool((y == stages.fitted.prior.none).all()) else y.cpu().numpy()
    return Row(name, stages.series(tokens).cpu().numpy(), tokens.cpu().numpy(), told)
