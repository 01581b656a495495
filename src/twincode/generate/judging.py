"""The rows that generated series are judged beside, made of a model and its data."""

import dataclasses
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twincode.data.split import Split
from twincode.errors import TwincodeError, installing
from twincode.evaluate.generation import (
    BITS,
    PSEUDO_BITS,
    TRAIN,
    GenerationSettings,
    Real,
    Row,
    Score,
    judge_rows,
    make_extractors,
    some_rows,
)
from twincode.generate.likelihood import bits, pseudo_bits
from twincode.generate.stages import Stages, sample_tokens
from twincode.priors import NO_LABEL, PRIORS, Sampling, label_indices

INDEPENDENT = "independent"
# So many series of a row tell how typical its grids are.
TYPICAL_SERIES = 50
# So many test series tell how likely they are.
LIKELY_SERIES = 500
# The share of train that stands for test where test is not to be read.
HELD_BACK = 0.2


class Sampler(NamedTuple):
    """Both stages, how series are drawn from them, and the name of the row that these make."""

    name: str
    stages: Stages
    sampling: Sampling


class Judged(NamedTuple):
    """The scores of all rows, and the rows by name, ``test`` among them.

    ``copies`` are all of train through the codes; ``control`` is the independent prior.
    """

    scores: list[Score]
    rows: dict[str, Row]
    copies: Row
    control: Stages


def judge(
    samplers: Sequence[Sampler],
    split: Split,
    settings: GenerationSettings,
    extractors: Path | None = None,
) -> Judged:
    """The scores of samples of priors of one tokenizer, and of the controls, against test series.

    The rows are train series, as many or as few as are drawn; ``copies``, the same through the
    codes; ``reconstruction``, test through the codes, which is what the tokenizer alone costs;
    samples of the ``independent`` prior, which is one of ``samplers`` or made of the same codes;
    and those of each prior, by class where it knows classes and without labels too. What turns
    series into features is kept in a folder ``extractors``, if one is given. With ``reference``
    train nothing of test is read: a fifth of train takes its place. Raises TwincodeError for a
    model without a decoder, priors of classes that the data have not, fewer than two series in a
    part, and without aeon.
    """
    first = samplers[0].stages
    check_judged(len(split.x_train), len(split.x_test), split.x_train.shape[2], settings)
    _check(first, split)
    fitted_to = split
    if settings.reference == TRAIN:
        split = _held_back(split, settings.generation_seed)
    n, seed = settings.number(len(split.x_test)), settings.generation_seed
    # Each once: a series that stands on both sides of a comparison would be told from nothing.
    some = some_rows(len(split.x_train), n, seed)
    train = _row(first, TRAIN, split.x_train, split.y_train)
    test = _row(first, "test", split.x_test, split.y_test)
    copies = _decoded(first, "copies", split.x_train, split.y_train)
    reconstruction = _decoded(first, "reconstruction", split.x_test, split.y_test)
    rows = [_some(train, some), _some(copies, some), reconstruction]
    scores, lessons = [], {TRAIN: train, "copies": copies}
    most = max(n, settings.lesson(len(split.x_train)))
    given = (sampler for sampler in samplers if sampler.name == INDEPENDENT)
    control = next(given, None) or Sampler(INDEPENDENT, _independent(first, fitted_to), Sampling())
    bits_of: dict[tuple[int, str | None], float] = {}  # however series are drawn
    for sampler in (control, *(each for each in samplers if each is not control)):
        labels: list[str | None] = [None]
        if sampler in samplers and sampler.stages.fitted.classes:
            labels.append(NO_LABEL)
        for told in labels:
            whole = _sampled(sampler, split, most if told is None else n, seed, told)
            # The first of many are those of few.
            rows.append(_some(whole, np.arange(n)))
            lessons[whole.name] = whole
            key = id(sampler.stages), told
            if key not in bits_of:
                bits_of[key] = _likelihood(sampler.stages, split, seed, told)
            scores.append(Score(whole.name, BITS, bits_of[key], 0.0))
    classes = len(split.classes)
    extracting = make_extractors(train, classes, settings, extractors, first.device)
    real = Real(train, test, copies, reconstruction)
    where = first.device, extractors
    judged = judge_rows(rows, real, lessons, classes, extracting, settings, *where)
    both_sides = [
        each.stages
        for each in samplers
        if each.stages.fitted.prior.fills_gaps and each.stages.fitted.settings.name != INDEPENDENT
    ]
    scores += [_typicality(stages, row, seed) for stages in both_sides[:1] for row in rows]
    named = {row.name: row for row in (test, *rows)}
    return Judged([*judged, *scores], named, copies, control.stages)


def check_judged(n_train: int, n_test: int, L: int, settings: GenerationSettings) -> None:
    """Raise TwincodeError where samples cannot be judged by so many series of L steps.

    Also without aeon: all that can be known before anything is trained.
    """
    if settings.reference == TRAIN:
        n_test = round(HELD_BACK * n_train)
        if n_test < 2:
            raise TwincodeError(
                f"a fifth of train takes the place of test, and of {n_train} series that is fewer "
                "than two"
            )
    if not n_test:
        raise TwincodeError(
            "samples are judged against a test part, and these data have none; "
            'use reference="train"'
        )
    if min(n_test, n_train) < 2:
        raise TwincodeError("samples are judged against at least two series of train and of test")
    if L < 2:
        raise TwincodeError("samples are judged as series of at least two steps")
    if find_spec("aeon") is None:
        raise TwincodeError(f"samples are judged with aeon: {installing('aeon')}")


def _held_back(split: Split, seed: int) -> Split:
    """Some series of train in the place of test, and the rest in its own."""
    n, y = len(split.x_train), split.y_train
    held = np.sort(some_rows(n, round(HELD_BACK * n), seed))
    rest = np.setdiff1d(np.arange(n), held)
    y_rest, y_held = (None, None) if y is None else (y[rest], y[held])
    return Split(split.x_train[rest], split.x_train[held], y_rest, y_held, split.classes)


def _check(stages: Stages, split: Split) -> None:
    """Raise TwincodeError for a model whose samples cannot be judged by these data."""
    if not stages.tokenizer.has_decoder:
        raise TwincodeError("this model is an encoder alone: it has no decoder, so no samples")
    strange = [name for name in stages.fitted.classes if name not in split.classes]
    if strange and split.classes:
        raise TwincodeError(
            f"the prior draws series of class {strange[0]!r}, and these data have none; "
            "judge it on data of the same classes"
        )


def _likelihood(stages: Stages, split: Split, seed: int, labels: str | None) -> float:
    """Bits a dimension of some test series, told their classes or ``labels``."""
    rows = np.sort(some_rows(len(split.x_test), LIKELY_SERIES, seed))
    known = split.y_test[rows] if labels is None and split.y_test is not None else None
    y = label_indices(known, len(rows), split.classes, stages.fitted.classes)
    found = bits(stages, split.x_test[rows], y.to(stages.device), seed=seed)
    return float(found.mean())


def _typicality(stages: Stages, row: Row, seed: int) -> Score:
    """The pseudo-likelihood of some of a row's grids under the prior, without labels."""
    some = some_rows(len(row.tokens), TYPICAL_SERIES, seed)
    tokens = torch.as_tensor(row.tokens[some]).to(stages.device)
    y = torch.full((len(tokens),), stages.fitted.prior.none, device=stages.device)
    bits = pseudo_bits(stages, tokens, y)
    return Score(row.name, PSEUDO_BITS, float(bits.mean()), 0.0)


def _independent(stages: Stages, split: Split) -> Stages:
    """The control prior, of all train codes: those too that others held out."""
    fitted = stages.fitted
    settings = PRIORS.choose(INDEPENDENT)
    prior = PRIORS.build(settings, fitted.prior.grids, len(fitted.classes)).to(stages.device)
    y = label_indices(split.y_train, len(split.x_train), split.classes, fitted.classes)
    tokens = stages.tokens(split.x_train)
    prior.start(tokens, y.to(stages.device), stages.expected_shares(tokens))
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


def _sampled(sampler: Sampler, split: Split, n: int, seed: int, labels: str | None) -> Row:
    stages = sampler.stages
    name = sampler.name if labels is None else f"{sampler.name}, no labels"
    tokens, y = sample_tokens(stages, n, labels, seed, sampler.sampling)
    told = None
    if split.classes and not bool((y == stages.fitted.prior.none).all()):
        # As the data count their classes, in which the prior's are all.
        place = [split.classes.index(name) for name in stages.fitted.classes]
        told = np.array(place)[y.cpu().numpy()]
    return Row(name, stages.series(tokens).cpu().numpy(), tokens.cpu().numpy(), told)
