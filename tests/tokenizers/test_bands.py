import pytest
import torch
from conftest import make_task, seeded_tokenizer, tiny
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.train.loop import train_epoch

EDGES = [(), (1,), (3,), (1, 3), (1, 2, 3, 4)]


def build(edges, length=40, channels=1):
    config = tiny("bands", bands=edges, band_widths=[8] * (len(edges) + 1))
    return seeded_tokenizer(config, channels, length)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_one_band_is_the_vqvae_to_the_last_bit():
    plain, banded = map(make_task, (tiny("vqvae"), tiny("bands", bands=(), band_widths="8")))
    x = plain.split.x_train
    for epoch in (1, 2):
        for one in (plain, banded):
            train_epoch(one, epoch)
        assert torch.equal(plain.tokenizer.latents(x), banded.tokenizer.latents(x))
        assert torch.equal(plain.tokenizer.encode(x), banded.tokenizer.encode(x))
        for name, (_, series) in plain.tokenizer.reconstruct(x).items():
            assert torch.equal(series, banded.tokenizer.reconstruct(x)[name][1])
    assert banded.tokenizer.grid == plain.tokenizer.grid
    assert plain.tokenizer(x).pairs.keys() == banded.tokenizer(x).pairs.keys()


@given(edges=st.sampled_from(EDGES[1:]), length=st.integers(5, 60), channels=st.integers(1, 3))
def test_bands_sum_to_the_whole(edges, length, channels):
    tokenizer, x = build(edges, length, channels), noise(2, channels, length)
    output = tokenizer(x)
    bands = range(1, len(edges) + 2)
    for side, whole in enumerate((x, output.reconstruction)):
        summed = sum(output.pairs[f"time_band{band}"][side] for band in bands)
        torch.testing.assert_close(summed, whole, atol=1e-5, rtol=1e-5)
    planes = [output.pairs[f"frequency_band{band}"] for band in bands]
    torch.testing.assert_close(sum(target for target, _ in planes), tokenizer.stft(x))
    for (target, _), (first, after) in zip(
        planes, zip((0, *edges), (*edges, 5), strict=True), strict=True
    ):
        outside = [row for row in range(5) if not first <= row < after]
        assert not target[:, :, outside].any()
        assert torch.equal(target[:, :, first:after], tokenizer.stft(x)[:, :, first:after])


@pytest.mark.parametrize("edges", EDGES[1:])
def test_the_series_of_a_band_is_the_inverse_transform_of_its_rows(edges):
    tokenizer, x = build(edges).double(), noise(2, 1, 40).double()
    pairs = tokenizer(x).pairs
    for band in range(1, len(edges) + 2):
        for side in (0, 1):
            series = tokenizer.stft.inverse(pairs[f"frequency_band{band}"][side])
            torch.testing.assert_close(pairs[f"time_band{band}"][side], series, atol=1e-6, rtol=0)


def test_a_band_sees_no_other_rows():
    tokenizer, u = build((1, 3)).eval(), noise(2, 2, 5, 21)
    other = u.clone()
    other[:, :, 3:] += 1
    before, after = (tokenizer.quantizer.split(tokenizer._encode(plane, 1)) for plane in (u, other))
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    assert not torch.allclose(before[2], after[2])


def test_errors_are_those_of_the_whole_series_whatever_the_bands():
    tokenizer, x = build((1, 3), 41, 2), noise(3, 2, 41)
    pairs = tokenizer.reconstruct(x)
    assert set(pairs) == {"time", "frequency"}
    assert torch.equal(pairs["time"][0], x)
    torch.testing.assert_close(pairs["time"][1], tokenizer.decode(tokenizer.encode(x)))
    torch.testing.assert_close(pairs["frequency"][0], tokenizer.stft(x))


def test_each_band_has_its_own_width():
    config = tiny("bands", bands=(1, 3), band_widths=(2, 4, 16))
    tokenizer = seeded_tokenizer(config, 1, 128)
    assert tokenizer.quantizer.widths == {"band1": 2, "band2": 4, "band3": 16}
    assert [grid.name for grid in tokenizer.layout.grids] == ["band1", "band2", "band3"]
    assert tokenizer.grid == (5, 22)


@pytest.mark.parametrize("edges", [(0,), (5,), (3, 1), (2, 2), (-1,)])
def test_bands_outside_the_plane_are_an_error(edges):
    with pytest.raises(TwincodeError, match="bands must be rows between 1 and 4"):
        build(edges)


@pytest.mark.parametrize("widths", [(), (8,), (8, 8, 8), (8, 0)])
def test_as_many_widths_as_bands(widths):
    with pytest.raises(TwincodeError, match="band_widths must hold 2 numbers from 1 up"):
        tiny("bands", bands=(1,), band_widths=widths)
