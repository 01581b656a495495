import pytest
import torch
from conftest import seeded_quantizer
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.quantize import Grid, Layout, Regions, side_by_side

grids = st.builds(Grid, st.just("a"), st.integers(1, 4), st.integers(1, 5))
layouts = st.lists(grids, min_size=1, max_size=4).map(lambda each: Layout(tuple(each)))


def codes_in(layout, seed=0):
    """Some codes of every grid, each counted from 0."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(0, grid.codebook_size, (2, 3, grid.width), generator=generator)
        for grid in layout.grids
    ]


@given(layout=layouts, seed=st.integers(0, 20))
def test_grids_stand_side_by_side_with_codes_of_their_own(layout, seed):
    parts = codes_in(layout, seed)
    joined = layout.join(parts)
    assert joined.shape == (2, 3, layout.width)
    assert 0 <= joined.min() <= joined.max() < layout.codebook_size
    assert all(map(torch.equal, layout.split(joined), parts))
    layout.check(joined)
    offset = start = 0
    for grid, part in zip(layout.grids, parts, strict=True):
        assert torch.equal(joined[..., start : start + grid.width], part + offset)
        offset, start = offset + grid.codebook_size, start + grid.width


@given(first=layouts, second=layouts)
def test_layouts_stand_side_by_side_too(first, second):
    both = side_by_side([first.named("top"), second.named("bottom")])
    parts = [first.join(codes_in(first)), second.join(codes_in(second))]
    joined = both.join([*first.split(parts[0]), *second.split(parts[1])])
    found = both.split(joined)
    assert torch.equal(first.join(found[: len(first.grids)]), parts[0])
    assert torch.equal(second.join(found[len(first.grids) :]), parts[1])
    assert [grid.name for grid in both.grids[:: len(both.grids) - 1]] == ["top a", "bottom a"]


@given(
    widths=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    depth=st.integers(1, 3),
    size=st.integers(1, 5),
)
def test_codes_of_regions_with_several_codebooks_each(widths, depth, size):
    """Residual quantisers in regions: a region's grids stand together, by their whole names."""
    names = [f"band{i}" for i in range(len(widths))]
    fields = {"codebook_size": size, "quantizer_depth": depth}
    parts = [seeded_quantizer("residual", **fields) for _ in names]
    regions = Regions(parts, dict(zip(names, widths, strict=True)))
    layout = regions.layout(sum(widths))
    assert [grid.name for grid in layout.grids] == [
        f"{name} stage {stage}" for name in names for stage in range(1, depth + 1)
    ]
    z = torch.randn(2, 4, 3, sum(widths), generator=torch.Generator().manual_seed(0))
    codes = regions(z).codes
    assert codes.shape == (2, 3, layout.width)
    layout.check(codes)
    for part, own, region in zip(parts, regions.split_codes(codes), regions.split(z), strict=True):
        assert torch.equal(own, part(region).codes)
    assert torch.equal(layout.join(layout.split(codes)), codes)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[[3, 0]]], "the grid 'top' of the codes holds a code that is none of its own"),
        ([[[0, 0]]], "the grid 'bottom' of the codes holds a code that is none of its own"),
        ([[[0, 5]]], "the grid 'bottom'"),
        ([[[-1, 3]]], "the grid 'top'"),
        ([[[0, 3, 3]]], "codes must be 2 wide, not 3"),
    ],
)
def test_codes_that_stand_nowhere_are_errors(codes, message):
    layout = Layout((Grid("top", 1, 3), Grid("bottom", 1, 2)))
    layout.check(torch.tensor([[[2, 4]]]))
    with pytest.raises(TwincodeError, match=message):
        layout.check(torch.tensor(codes))


def test_a_single_grid_is_told_its_range():
    with pytest.raises(TwincodeError, match="codes must lie between 0 and 2"):
        Layout((Grid("", 1, 3),)).check(torch.tensor([[[3]]]))


def test_without_codes_there_are_no_grids():
    assert (Layout().width, Layout().codebook_size, side_by_side([Layout()])) == (0, 0, Layout())
