"""All that the page shows of a model's codes on a data set, as arrays."""

from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twincode.data import Dataset
from twincode.explorer.counts import (
    along_time,
    chi2,
    has_ngram,
    lift,
    residuals,
    series_by_class,
    telling_ngrams,
)
from twincode.explorer.difference import (
    Floats,
    Series,
    aligned,
    evenly,
    mean_of_known,
    nearest,
    replacements,
)
from twincode.explorer.rows import Codes, Counts, Row, rows_of
from twincode.model import Model

# What the page holds at most; it says where it holds less than there is.
ROWS = 48
CODES = 32  # of a row, the most used ones
SERIES = 200
CHANNELS = 12
NGRAMS = 100
PLACES = 16  # where a code is taken out, to see what difference it makes
EXAMPLES = 6


@dataclass(frozen=True)
class Part:
    """Codes (n, H, W) of the train or the test part, and the class of each series (n,).

    Without labels all series are of class 0.
    """

    codes: Codes
    labels: Counts
    sizes: Counts


class Sample(NamedTuple):
    """The train series that are shown, and what they are decoded to (s, C, L).

    ``chosen`` (s,) are their places in train, ``codes`` (s, H, W) theirs.
    """

    chosen: NDArray[np.int64]
    series: Series
    codes: Codes
    decoded: Series | None


@dataclass(frozen=True)
class RowCodes:
    """What is known of U codes of a row, the most used first.

    ``codes`` (U,) are counted from 0; ``others`` (U,) is what each is replaced by, or -1.
    ``occurrences`` (U, 2) counts places in train and test, ``along`` (U, W) those in train by
    column. ``train`` and ``test`` (U, classes) count series with the code; ``chi2`` (U,), ``lift``
    and ``residuals`` (U, classes) are of train. ``difference`` (U, C, steps) is the mean over
    ``places`` (U,) places, None without a decoder; ``examples`` (U, EXAMPLES, 2) are shown series
    and the column in each, or -1.
    """

    row: Row
    used: int
    codes: Codes
    others: Codes
    occurrences: Counts
    along: Counts
    train: Counts
    test: Counts
    chi2: Floats
    lift: Floats
    residuals: Floats
    difference: Floats | None
    places: Counts
    examples: NDArray[np.int64]


class Ngram(NamedTuple):
    """Codes in a row of codes: chi2 on train, and series with it by class in both parts."""

    row: int
    codes: tuple[int, ...]
    chi2: float
    train: tuple[int, ...]
    test: tuple[int, ...]


@dataclass(frozen=True)
class Exploration:
    """Rows of codes, n-grams from the one that tells most, of ``tried`` ones, and series to show.

    ``classes`` are empty without labels; ``train_sizes`` and ``test_sizes`` count their series.
    """

    classes: tuple[str, ...]
    train_sizes: Counts
    test_sizes: Counts
    rows: tuple[RowCodes, ...]
    rows_in_all: int
    ngrams: tuple[Ngram, ...]
    tried: int
    sample: Sample
    sample_labels: Counts


def look_into(model: Model, data: Dataset) -> Exploration:
    """What the codes of ``model`` do in ``data``: all counts and differences.

    Counts are over all series; differences and examples are over the series shown. Raises
    TwincodeError for a model without codes and for series that do not fit it.
    """
    tokenizer = model.tokenizer
    classes = data.classes if data.y_train is not None else ()
    train = _part(model, data.X_train, data.y_train, classes)
    test = _part(model, data.X_test, data.y_test, classes)
    sample = _sample(model, data.X_train, train)
    layout, (height, _) = tokenizer.layout, tokenizer.grid
    rows = list(rows_of(layout, height, tokenizer.length, tokenizer.transform))
    shown = rows[:ROWS]
    ngrams, tried = _ngrams(model, shown, train, test) if len(classes) > 1 else ((), 0)
    return Exploration(
        tuple(classes),
        train.sizes,
        test.sizes,
        tuple(_row_codes(model, row, train, test, sample) for row in shown),
        len(rows),
        ngrams,
        tried,
        sample,
        train.labels[sample.chosen],
    )


def _part(model: Model, X: Series, y: Counts | None, classes: tuple[str, ...]) -> Part:
    """A part's codes; labels that the other part has not are none."""
    count = max(1, len(classes))
    if not len(X):
        codes = np.zeros((0, model.tokenizer.grid[0], model.tokenizer.layout.width), np.int64)
        return Part(codes, np.zeros(0, np.int64), np.zeros(count, np.int64))
    labels = y if y is not None and classes else np.zeros(len(X), np.int64)
    told = y is not None or not classes
    sizes = np.bincount(labels, minlength=count) if told else np.zeros(count, np.int64)
    return Part(model.encode(X), labels, sizes)


def _sample(model: Model, X: Series, train: Part) -> Sample:
    """Evenly spaced series of each class."""
    by_class = np.argsort(train.labels, kind="stable")
    chosen = np.sort(by_class[evenly(len(X), SERIES)])
    codes = train.codes[chosen]
    decoded = model.decode(codes) if model.tokenizer.has_decoder else None
    return Sample(chosen, X[chosen], codes, decoded)


def _row_codes(model: Model, row: Row, train: Part, test: Part, sample: Sample) -> RowCodes:
    layout = model.tokenizer.layout
    own, held_out, shown = (row.of(p.codes, layout) for p in (train, test, sample))
    along, of_test = (along_time(codes, row.codebook_size) for codes in (own, held_out))
    counts = along.sum(1)
    ranked = np.argsort(-counts, kind="stable")
    codes = ranked[: min(CODES, (counts > 0).sum())]
    by_class = [
        series_by_class(part_codes, part.labels, (row.codebook_size, len(part.sizes)))[codes]
        for part_codes, part in ((own, train), (held_out, test))
    ]
    others = replacements(counts)[codes]
    found = [_difference(model, row, code, other, shown, sample)
             for code, other in zip(codes.tolist(), others.tolist(), strict=True)]  # fmt: skip
    differences = [each for each, _, _ in found]
    return RowCodes(
        row,
        int((counts > 0).sum()),
        codes,
        others,
        np.stack([counts, of_test.sum(1)], 1)[codes],
        along[codes],
        by_class[0],
        by_class[1] if test.sizes.sum() else np.zeros_like(by_class[0]),
        chi2(by_class[0], train.sizes),
        lift(by_class[0], train.sizes),
        residuals(by_class[0], train.sizes),
        np.stack(differences) if sample.decoded is not None else None,
        np.array([places for _, places, _ in found]),
        np.stack([examples for _, _, examples in found]),
    )


def _difference(
    model: Model, row: Row, code: int, other: int, shown: Codes, sample: Sample
) -> tuple[Floats, int, NDArray[np.int64]]:
    """What code makes of a series, over how many places, and the most typical of these.

    ``shown`` (s, W) is the row of the series shown. Places are spread evenly over all that it has.
    """
    series, columns = (each[evenly(len(each), PLACES)] for each in np.nonzero(shown == code))
    nothing = np.full((model.tokenizer.channels, row.steps), np.nan)
    order = np.arange(len(series))
    if sample.decoded is not None and other >= 0 and len(series):
        changed = row.replaced(
            sample.codes[series], model.tokenizer.layout, columns, np.full(len(series), other)
        )
        made = aligned(
            sample.decoded[series] - model.decode(changed),
            row.edges[columns],
            row.before,
            row.steps,
        )
        nothing = mean_of_known(made)
        order = nearest(made, nothing)
    examples = np.full((EXAMPLES, 2), -1)
    # Of a series its most typical place.
    firsts = {int(series[place]): int(columns[place]) for place in order[::-1]}
    distinct = dict.fromkeys(int(series[place]) for place in order)
    for line, each in enumerate(islice(distinct, EXAMPLES)):
        examples[line] = each, firsts[each]
    return nothing, len(series), examples


def _ngrams(
    model: Model, rows: list[Row], train: Part, test: Part
) -> tuple[tuple[Ngram, ...], int]:
    """The n-grams that tell classes apart best on train, and how many were tried."""
    layout = model.tokenizer.layout
    found: list[Ngram] = []
    tried = 0
    for place, row in enumerate(rows):
        own = row.of(train.codes, layout)
        for grams in telling_ngrams(own, train.labels, train.sizes, row.codebook_size):
            tried += grams.tried
            best = np.argsort(-grams.chi2, kind="stable")[:NGRAMS]
            found += [
                Ngram(
                    place,
                    tuple(grams.codes[i].tolist()),
                    float(grams.chi2[i]),
                    tuple(grams.counts[i].tolist()),
                    (),
                )
                for i in best
            ]
    ranked = sorted(found, key=lambda each: -each.chi2)[:NGRAMS]
    held_out = {place: rows[place].of(test.codes, layout) for place in {g.row for g in ranked}}
    return tuple(_with_test(gram, held_out[gram.row], test) for gram in ranked), tried


def _with_test(gram: Ngram, codes: Codes, test: Part) -> Ngram:
    if not test.sizes.sum():
        return gram._replace(test=(0,) * len(test.sizes))
    has_it = has_ngram(codes, np.array(gram.codes))
    return gram._replace(
        test=tuple(np.bincount(test.labels[has_it], minlength=len(test.sizes)).tolist())
    )
