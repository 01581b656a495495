import pytest
import torch
from conftest import seeded_quantizer
from hypothesis import given
from hypothesis import strategies as st

from twincode.quantize import Identity, Regions


def latents(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def regions(widths, name="vq", **fields):
    parts = [seeded_quantizer(name, codebook_size=5, **fields) for _ in widths]
    return Regions(parts, {f"region{i}": width for i, width in enumerate(widths)})


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
    parts = together.split_codes(found.codes)
    assert all(torch.equal(own, each.codes) for own, each in zip(parts, alone, strict=True))
    torch.testing.assert_close(together.lookup(found.codes), found.latents)


@pytest.mark.parametrize("place", [0, 1])
def test_a_part_moves_and_starts_on_its_own_region(place):
    together, z = regions([2, 3], codebook_init="data"), latents(4, 4, 2, 5)
    alone = seeded_quantizer("vq", codebook_size=5)
    alone.load_state_dict(together.part(place).state_dict())
    region = together.split(z)[place]
    alone.update(region, alone(region).codes)
    together.update(z, together(z).codes)
    assert torch.equal(together.part(place).codebook, alone.codebook)
    together.initialise(z, torch.Generator().manual_seed(0))
    vectors = region.permute(0, 2, 3, 1).reshape(-1, 4)
    codebook = together.part(place).codebook
    assert all((code == vectors).all(dim=1).any() for code in codebook)


def test_regions_without_codes_have_none():
    z = latents(2, 4, 3, 3)
    found = Regions([Identity(), Identity()], {"one": 1, "two": 2})(z)
    assert found.codes is None
    assert torch.equal(found.latents, z)
    assert found.loss == 0
