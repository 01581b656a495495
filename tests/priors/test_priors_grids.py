"""Codes to grids and tokens and back, and where each token stands."""

import pytest
import torch
from conftest import seeded_tokenizer, tiny
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.priors import Grids
from twincode.quantize import Grid, Layout
from twincode.tokenizers import TOKENIZERS

grids = st.builds(
    lambda height, sizes: Grids.of(Layout(tuple(Grid(f"g{w}", w, K) for w, K in sizes)), height),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6)), min_size=1, max_size=3),
)


@given(grids=grids, seed=st.integers(0, 99))
def test_codes_parts_and_tokens_are_forms_of_the_same(grids, seed):
    noise = torch.Generator().manual_seed(seed)
    parts = [
        torch.randint(grid.codebook_size, (5, grids.height, grid.width), generator=noise)
        for grid in grids.layout.grids
    ]
    codes = grids.layout.join(parts)
    assert torch.equal(grids.join(grids.split(codes)), codes)
    assert torch.equal(grids.unflatten(grids.flatten(codes)), codes)
    tokens, places = grids.flatten(codes), grids.places()
    assert tokens.shape == (5, grids.tokens_a_series)
    assert (tokens < places.size).all()
    # By hand: every token is the code of its book at its row and column.
    start = places.start.tolist()
    for n, (book, row) in enumerate(zip(places.book.tolist(), places.row.tolist(), strict=True)):
        column = round(start[n] * grids.layout.grids[book].width)
        assert torch.equal(tokens[:, n], parts[book][:, row, column])


def test_each_codebook_has_a_grid_unless_there_is_one_row():
    layout = Layout((Grid("a", 2, 4), Grid("b", 4, 5)))
    assert [part.widths for part in Grids.of(layout, 3).parts] == [(2,), (4,)]
    assert [part.widths for part in Grids.of(layout, 1).parts] == [(2, 4)]
    assert Grids.of(layout, 3).sizes == (6, 12)
    assert Grids.from_dict(Grids.of(layout, 3).to_dict()) == Grids.of(layout, 3)


def test_columns_line_up_in_time_whatever_the_width():
    places = Grids.of(Layout((Grid("a", 2, 4), Grid("b", 4, 5))), 2).places()
    assert places.start[:4].tolist() == [0, 0.5, 0, 0.5]
    assert places.end[4:8].tolist() == [0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
@pytest.mark.parametrize("quantizer", ["vq", "fsq", "residual", "product"])
def test_every_tokenizer_with_codes_has_grids(name, quantizer):
    config = tiny("vqvae", tokenizer=name)
    if config.quantizer is None and quantizer != "vq":
        return
    if config.quantizer is not None:
        config = tiny("vqvae", tokenizer=name, quantizer=quantizer)
    tokenizer = seeded_tokenizer(config, 2, 40)
    x = torch.randn(30, 2, 40, generator=torch.Generator().manual_seed(0))
    if tokenizer.fits_all:
        tokenizer.initialise(x, torch.Generator().manual_seed(0))
    if name == "raw":
        with pytest.raises(TwincodeError, match="continuous model has no codes"):
            Grids.of(tokenizer.layout, tokenizer.grid[0])
        return
    grids = Grids.of(tokenizer.layout, tokenizer.grid[0])
    codes = tokenizer.encode(x[:3])
    assert torch.equal(grids.unflatten(grids.flatten(codes)), codes)
    assert (grids.flatten(codes) < grids.places().size).all()
