import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincode.config import QuantizerConfig
from twincode.errors import TwincodeError
from twincode.quantize import Identity, Regions, VectorQuantizer, build_quantizer

CONFIG = QuantizerConfig(codebook_size=5)


def latents(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def regions(widths, name="vq", D=4):
    config = QuantizerConfig(quantizer=name, codebook_size=5)
    return Regions([build_quantizer(config, D) for _ in widths], widths)


@given(
    widths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    name=st.sampled_from(["vq", "residual", "product"]),
    batch=st.integers(1, 3),
)
def test_each_region_is_quantised_by_its_part_alone(widths, name, batch):
    together, z = regions(widths, name), latents(batch, 4, 3, sum(widths))
    found = together(z)
    alone = [part(region) for part, region in zip(together.parts, together.split(z), strict=True)]
    assert torch.equal(found.latents, torch.cat([each.latents for each in alone], dim=3))
    torch.testing.assert_close(found.loss, sum(each.loss for each in alone))
    offset, start = 0, 0
    for part, each in zip(together.parts, alone, strict=True):
        width = each.codes.shape[2]
        assert torch.equal(found.codes[..., start : start + width] - offset, each.codes)
        offset, start = offset + part.codebook_size, start + width
    assert (offset, start) == (together.codebook_size, together.code_width)
    torch.testing.assert_close(together.lookup(found.codes), found.latents)


@pytest.mark.parametrize("place", [0, 1])
def test_a_part_moves_and_starts_on_its_own_region(place):
    together, z = regions([2, 3]), latents(4, 4, 2, 5)
    alone = VectorQuantizer(CONFIG, 4)
    alone.load_state_dict(together.part(place).state_dict())
    region = together.split(z)[place]
    alone.update(region, alone(region).codes)
    together.update(z, together(z).codes)
    assert torch.equal(together.part(place).codebook, alone.codebook)
    together.initialise(z, torch.Generator().manual_seed(0))
    vectors = region.permute(0, 2, 3, 1).reshape(-1, 4)
    codebook = together.part(place).codebook
    assert all((code == vectors).all(dim=1).any() for code in codebook)


def test_a_code_in_another_region_is_an_error():
    together = regions([1, 1])
    with pytest.raises(TwincodeError, match="grid 1 of the codes holds a code of another"):
        together.lookup(torch.tensor([[[5, 5]]]))


def test_regions_without_codes_have_none():
    z = latents(2, 4, 3, 3)
    found = Regions([Identity(), Identity()], [1, 2])(z)
    assert found.codes is None
    assert torch.equal(found.latents, z)
    assert found.loss == 0
