"""The difference that a code makes: what replaces it, where it is looked at, its mean."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincode.evaluate.exhibits import evenly
from twincode.explorer.difference import aligned, mean_of_known, nearest, replacements
from twincode.explorer.rows import rows_of
from twincode.quantize import Grid, Layout
from twincode.spectral import STFT


def test_a_code_is_replaced_by_the_most_frequent_other_one():
    assert replacements(np.array([2, 9, 0, 9])).tolist() == [1, 3, 1, 1]
    assert replacements(np.array([0, 5])).tolist() == [1, -1]
    assert replacements(np.array([3])).tolist() == [-1]


@given(st.integers(0, 40), st.integers(1, 10))
def test_places_are_spread_evenly(n, most):
    chosen = evenly(n, most).tolist()
    assert len(chosen) == min(n, most)
    assert chosen == sorted(set(chosen))
    assert all(0 <= each < n for each in chosen)


@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 5), st.integers(1, 12))
def test_differences_are_aligned_at_their_places(m, L, before, steps):
    generator = np.random.default_rng(0)
    steps += before  # so that the place itself is always looked at
    series = generator.standard_normal((m, 2, L)).astype(np.float32)
    starts = generator.integers(0, L, m)
    found = aligned(series, starts, before, steps)
    mean = mean_of_known(found)
    for c in range(2):
        for t in range(steps):
            places = [start - before + t for start in starts.tolist()]
            inside = [float(series[i, c, p]) for i, p in enumerate(places) if 0 <= p < L]
            expected = sum(inside) / len(inside) if inside else np.nan
            assert mean[c, t] == pytest.approx(expected, nan_ok=True)
    squares = np.square(found - mean).reshape(m, -1).tolist()
    known = [[value for value in row if not np.isnan(value)] for row in squares]
    distance = [sum(row) / len(row) for row in known]
    ranked = [distance[i] for i in nearest(found, mean)]
    assert ranked == pytest.approx(sorted(distance))


LAYOUT = Layout((Grid("top", 2, 4), Grid("bottom", 4, 3), Grid("whole", 1, 2)))


def test_rows_lie_in_the_layout():
    rows = list(rows_of(LAYOUT, 2, 20, None))
    assert [(row.name, row.height, row.width, row.offset) for row in rows] == [
        *(("top", h, 2, 0) for h in range(2)),
        *(("bottom", h, 4, 4) for h in range(2)),
        *(("whole", h, 1, 7) for h in range(2)),
    ]
    bottom, whole = rows[2], rows[4]
    assert (bottom.placed, whole.placed) == (True, False)
    assert bottom.edges.tolist() == [0, 5, 10, 15, 20]
    assert (bottom.before, bottom.steps) == (
        5,
        15,
    )  # a quarter of the series, less than two columns
    assert (whole.before, whole.steps) == (0, 20)


def test_rows_of_a_plane_are_named_by_frequency():
    rows = rows_of(Layout((Grid("", 3, 5),)), 5, 40, STFT(40, 8, 2, "rectangular"))
    assert [row.name for row in rows][:3] == [
        *("row 0, level and trend", "row 1, 1/8 cycles a step", "row 2, 2/8 cycles a step"),
    ]


def test_one_code_alone_is_replaced():
    generator = torch.Generator().manual_seed(0)
    parts = [
        torch.randint(0, grid.codebook_size, (3, 2, grid.width), generator=generator)
        for grid in LAYOUT.grids
    ]
    codes = LAYOUT.join(parts).numpy()
    row = list(rows_of(LAYOUT, 2, 20, None))[3]
    assert (row.of(codes, LAYOUT) == parts[1][:, 1].numpy()).all()
    columns = np.array([0, 3, 2])
    by = (parts[1][np.arange(3), 1, columns].numpy() + 1) % 3
    changed = row.replaced(codes, LAYOUT, columns, by)
    LAYOUT.check(torch.from_numpy(changed))
    assert [tuple(each) for each in np.argwhere(changed != codes)] == [
        (0, 1, 2),
        (1, 1, 5),
        (2, 1, 4),
    ]
    assert (row.of(changed, LAYOUT)[np.arange(3), columns] == by).all()
