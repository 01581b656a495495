"""All that the page shows of a model's codes on a data set, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twincode.data import Dataset
from twincode.evaluate.exhibits import evenly
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
    aligned,
    mean_of_known,
    nearest,
    replacements,
)
from twincode.explorer.rows import Codes, Counts, Floats, Row, rows_of
from twincode.model import Model

# What the page holds at most; it says where it holds less than there is.
ROWS = 48
CODES = 32  # of a row, the most used ones
SERIES = 200  # of train; examples may bring as many more
CHANNELS = 12
NGRAMS = 100
PLACES = 16  # where a code is taken out, to see what difference it makes
EXAMPLES = 6


@dataclass(frozen=True)
class Part:
    """Codes (n, H, W) of the train or the test part, and the class of each series (n,).

    ``sizes`` (classes,) are how many series each class has. Without labels all are of class 0; of
    a test part that alone has none, sizes are 0 and no series is counted by class.
    """

    codes: Codes
    labels: Counts
    sizes: Counts


@dataclass(frozen=True)
class RowCodes:
    """What is known of U codes of a row, the most used first.

    ``codes`` (U,) are counted from 0; ``others`` (U,) is what each is replaced by, or -1.
    ``occurrences`` (U, 2) counts places in train and test, ``along`` (U, W) those in train by
    column. ``train`` and ``test`` (U, classes) count series with the code; ``chi2`` (U,), ``lift``
    and ``residuals`` (U, classes) are of train. ``difference`` (U, C, steps) is the mean over
    ``places`` (U,) places, None without a decoder; ``examples`` (U, EXAMPLES, 2) are places among
    the series shown and the column in each, the most typical first, or -1.
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
    ``shown`` (s,) are the places in train of the series shown, with their ``codes`` (s, H, W) and
    ``labels`` (s,).
    """

    classes: tuple[str, ...]
    train_sizes: Counts
    test_sizes: Counts
    rows: tuple[RowCodes, ...]
    rows_in_all: int
    ngrams: tuple[Ngram, ...]
    tried: int
    shown: NDArray[np.int64]
    codes: Codes
    labels: Counts


def look_into(model: Model, data: Dataset) -> Exploration:
    """What the codes of ``model`` do in ``data``: counts over all series, and differences in train.

    Raises TwincodeError for a model without codes and for series that do not fit it.
    """
    model.check_shape(data.X_train)
    tokenizer = model.tokenizer
    classes = data.classes if data.y_train is not None else ()
    train = _part(model, data.X_train, data.y_train, classes)
    test = _part(model, data.X_test, data.y_test, classes)
    spread = _spread(train)
    layout, (height, _) = tokenizer.layout, tokenizer.grid
    rows = list(rows_of(layout, height, tokenizer.length, tokenizer.transform))
    kept = rows[:ROWS]
    ngrams, tried = _ngrams(model, kept, train, test) if len(classes) > 1 else ((), 0)
    found = [_row_codes(model, row, train, test, spread) for row in kept]
    shown = _with_examples(spread, [row.examples for row in found])
    return Exploration(
        tuple(classes),
        train.sizes,
        test.sizes,
        tuple(replace(row, examples=_places_in(shown, row.examples)) for row in found),
        len(rows),
        ngrams,
        tried,
        shown,
        train.codes[shown],
        train.labels[shown],
    )


def _part(model: Model, X: NDArray[np.float32], y: Counts | None, classes: tuple[str, ...]) -> Part:
    """Series X (n, C, L) as a part, encoded."""
    count = max(1, len(classes))
    if not len(X):
        codes = np.zeros((0, model.tokenizer.grid[0], model.tokenizer.layout.width), np.int64)
        return Part(codes, np.zeros(0, np.int64), np.zeros(count, np.int64))
    labels = y if y is not None and classes else np.zeros(len(X), np.int64)
    told = y is not None or not classes
    sizes = np.bincount(labels, minlength=count) if told else np.zeros(count, np.int64)
    return Part(model.encode(X), labels, sizes)


def _spread(train: Part) -> NDArray[np.int64]:
    """Evenly spaced series of each class."""
    by_class = np.argsort(train.labels, kind="stable")
    return np.sort(by_class[evenly(len(by_class), SERIES)])


def _with_examples(
    spread: NDArray[np.int64], examples: Sequence[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """These series and those of examples, as long as there is room: first each code's best one."""
    room = dict.fromkeys(spread.tolist())
    for rank in range(EXAMPLES):
        for series in np.concatenate(examples)[:, rank, 0].tolist():
            if series >= 0 and len(room) < 2 * SERIES:
                room[series] = None
    return np.sort(np.array(list(room)))


def _places_in(shown: NDArray[np.int64], examples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Examples with the place among the series ``shown`` of each; others are left out."""
    place = {series: i for i, series in enumerate(shown.tolist())}
    found = np.full(examples.shape, -1)
    for line, own in zip(found, examples.tolist(), strict=True):
        there = [(place[series], column) for series, column in own if series in place]
        line[: len(there)] = np.array(there).reshape(-1, 2)
    return found


def _row_codes(
    model: Model, row: Row, train: Part, test: Part, spread: NDArray[np.int64]
) -> RowCodes:
    """A row; its examples are places in train."""
    layout = model.tokenizer.layout
    own, held_out = (row.of(part.codes, layout) for part in (train, test))
    along, of_test = (along_time(codes, row.codebook_size) for codes in (own, held_out))
    counts = along.sum(1)
    used = int((counts > 0).sum())
    codes = np.argsort(-counts, kind="stable")[: min(CODES, used)]
    in_train, in_test = (
        series_by_class(part_codes, part.labels, (row.codebook_size, len(part.sizes)))[codes]
        for part_codes, part in ((own, train), (held_out, test))
    )
    others = replacements(counts)[codes]
    found = [
        _difference(model, row, int(other), _places(own == code, spread), train.codes)
        for code, other in zip(codes, others, strict=True)
    ]
    differences, places, examples = zip(*found, strict=True)
    return RowCodes(
        row,
        used,
        codes,
        others,
        np.stack([counts, of_test.sum(1)], 1)[codes],
        along[codes],
        in_train,
        in_test if test.sizes.sum() else np.zeros_like(in_train),
        chi2(in_train, train.sizes),
        lift(in_train, train.sizes),
        residuals(in_train, train.sizes),
        np.stack(differences) if model.tokenizer.has_decoder else None,
        np.array(places),
        np.stack(examples),
    )


def _places(has_it: NDArray[np.bool_], spread: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most PLACES series and columns (m, 2) of those where a code stands, evenly spaced.

    Those in the series of ``spread`` come first, since they are shown.
    """
    places = np.argwhere(has_it)
    first = np.isin(places[:, 0], spread)
    near, far = places[first], places[~first]
    near = near[evenly(len(near), PLACES)]
    return np.concatenate([near, far[evenly(len(far), PLACES - len(near))]])


def _difference(
    model: Model, row: Row, other: int, places: NDArray[np.int64], codes: Codes
) -> tuple[Floats, int, NDArray[np.int64]]:
    """What a code makes of a series, over how many places, and the most typical of these.

    It stands at ``places`` (m, 2) of ``codes`` (n, H, W), and ``other`` is put there instead.
    """
    series, columns = places.T
    mean = np.full((min(CHANNELS, model.tokenizer.channels), row.steps), np.nan)
    order = np.arange(len(places))
    if model.tokenizer.has_decoder and other >= 0:
        with_it, layout = codes[series], model.tokenizer.layout
        without = row.replaced(with_it, layout, columns, np.full(len(places), other))
        decoded = model.decode(np.concatenate([with_it, without]))[:, :CHANNELS]
        change = decoded[: len(places)] - decoded[len(places) :]
        made = aligned(change, row.edges[columns], row.before, row.steps)
        mean = mean_of_known(made)
        order = nearest(made, mean)
    best: dict[int, int] = {}  # of a series its most typical place
    for place in order:
        best.setdefault(int(series[place]), int(columns[place]))
    examples = np.full((EXAMPLES, 2), -1)
    kept = list(best.items())[:EXAMPLES]
    examples[: len(kept)] = kept
    return mean, len(places), examples


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
