import pytest
import torch
from conftest import seeded_tokenizer as build
from conftest import tiny
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.recipes import recipe
from twincode.tokenizers import TOKENIZERS, frozen

WITH_CODES = ("vqvae", "vqvae2", "bands")
SEVERAL_CODES = ("residual", "product")


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fitted(name, channels, length):
    """A tokenizer as it is before its first step: what ``fits_all`` has been fitted."""
    tokenizer = build(tiny("vqvae", tokenizer=name), channels, length)
    if tokenizer.fits_all:
        tokenizer.initialise(noise(20, channels, length, seed=9), torch.Generator().manual_seed(0))
    return tokenizer


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("length", [*range(6, 42), 127, 128, 200])
def test_reconstruction_has_the_length_of_the_series(length):
    name = WITH_CODES[length % len(WITH_CODES)]
    tokenizer = build(tiny(name, latent_channels=2), 1, length)
    x = noise(2, 1, length)
    output = tokenizer(x)
    assert output.reconstruction.shape == x.shape
    assert output.codes.shape == (2, *tokenizer.grid)
    assert tokenizer.decode(output.codes).shape == x.shape


@given(
    name=st.sampled_from(sorted(TOKENIZERS)),
    batch=st.integers(1, 3),
    channels=st.integers(1, 3),
    length=st.integers(6, 60),
    constant=st.booleans(),
    twin=st.booleans(),
)
def test_output_keeps_the_contract(name, batch, channels, length, constant, twin):
    tokenizer = fitted(name, channels, length)
    x = torch.zeros(batch, channels, length) if constant else noise(batch, channels, length)
    output = tokenizer(x, x if twin else None)
    if output.codes is not None:
        assert output.codes.shape == (batch, *tokenizer.grid)
        assert tokenizer.grid[1] == tokenizer.layout.width
        tokenizer.layout.check(output.codes)
    else:
        assert output.latents.shape[2:] == tokenizer.grid
    assert (output.twin_latents is not None) == twin
    assert (output.reconstruction is not None) == tokenizer.has_decoder
    assert bool(output.pairs) == tokenizer.has_decoder
    assert all(t.isfinite().all() for pair in output.pairs.values() for t in pair)
    assert output.vq_loss.isfinite()
    if tokenizer.has_decoder:
        target, reconstruction = tokenizer.reconstruct(x)["time"]
        assert torch.equal(target, x)
        assert reconstruction.shape == output.reconstruction.shape == x.shape


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
def test_using_a_tokenizer_changes_nothing_even_in_training_mode(name):
    tokenizer = fitted(name, 2, 40).train()
    tokenizer.quantizer.eval()
    before, random = state(tokenizer), torch.get_rng_state()
    x = noise(6, 2, 40)
    tokenizer.embed(x)
    if tokenizer.has_decoder:
        tokenizer.reconstruct(x)
        if tokenizer.layout.grids:
            tokenizer.decode(tokenizer.encode(x))
    assert all(torch.equal(before[k], v) for k, v in tokenizer.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert tokenizer.training
    assert not tokenizer.quantizer.training


@pytest.mark.parametrize("name", WITH_CODES)
def test_codes_do_not_depend_on_the_company(name):
    tokenizer = build(tiny(name))
    x = noise(6, 1, 40)
    assert torch.equal(tokenizer.encode(x)[:1], tokenizer.encode(x[:1]))


@pytest.mark.parametrize("name", WITH_CODES)
@pytest.mark.parametrize("quantizer", ["vq", *SEVERAL_CODES])
def test_decoding_the_codes_is_the_reconstruction(name, quantizer):
    tokenizer = build(tiny(name, quantizer=quantizer), 2, 41)
    x = noise(3, 2, 41)
    codes = tokenizer.encode(x)
    assert codes.shape == (3, *tokenizer.grid)
    _, reconstruction = tokenizer.reconstruct(x)["time"]
    torch.testing.assert_close(tokenizer.decode(codes), reconstruction)


@pytest.mark.parametrize("name", WITH_CODES)
def test_the_upper_branch_does_not_feel_the_lower_one(name):
    """With a twin alongside, the tokenizer computes what it computes without."""
    x, twin = noise(5, 1, 40), noise(5, 1, 40, seed=1)
    tokenizer = build(tiny(name)).train()
    alone, together = tokenizer(x), tokenizer(x, twin)
    torch.testing.assert_close(together.reconstruction, alone.reconstruction)
    assert torch.equal(together.codes, alone.codes)
    torch.testing.assert_close(together.twin_latents, tokenizer(twin).latents)


def test_the_raw_series_is_its_own_latent_and_has_no_codes():
    tokenizer = build(tiny("raw-series"), 2, 9)
    x = noise(3, 2, 9)
    assert torch.equal(tokenizer.embed(x).latents.flatten(1), x.flatten(1))
    with pytest.raises(TwincodeError, match="continuous"):
        tokenizer.encode(x)


def test_an_encoder_alone_has_the_latents_of_the_vqvae_and_no_way_back():
    x = noise(5, 1, 40)
    alone, whole = (build(tiny(name)).eval() for name in ("vicreg", "vqvae"))
    alone.encoder.load_state_dict(whole.encoder.state_dict())
    assert torch.equal(alone.latents(x), whole.latents(x))
    assert torch.equal(alone.embed(x).latents, alone.latents(x))
    for use in (lambda: alone.reconstruct(x), lambda: alone.decode(torch.zeros(5, *alone.grid))):
        with pytest.raises(TwincodeError, match="has no decoder"):
            use()


def test_an_encoder_alone_may_have_a_codebook():
    tokenizer = build(tiny("vicreg", quantizer="vq"))
    assert tokenizer.encode(noise(5, 1, 40)).shape == (5, *tokenizer.grid)
    with pytest.raises(TwincodeError, match="has no decoder"):
        tokenizer.decode(tokenizer.encode(noise(5, 1, 40)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_channels": 0}, "latent_channels must be at least 1"),
        ({"downsampled_width": 0}, "downsampled_width must be at least 1"),
        ({"residual_blocks": -1}, "residual_blocks must be at least 0"),
        ({"n_fft": 64, "hop_length": 16}, "too short for n_fft 64"),
    ],
)
def test_settings_that_make_no_tokenizer_are_errors(changes, message):
    with pytest.raises(TwincodeError, match=message):
        build(tiny("vqvae").replace(**changes), length=20)


@pytest.mark.parametrize("name", ["vqvae", "bands", "vqvae2", "residual-vqvae"])
@pytest.mark.parametrize("L", [140, 125, 97])
def test_a_column_is_read_where_its_grid_says(name, L):
    """Frames are no whole number of columns: a decoder stretches its grid, an encoder does not."""
    tokenizer = build(recipe(name), length=L)
    x = noise(4, 1, L)
    # Grids of one region stand on the same latents.
    grids = list({grid.width: grid for grid in tokenizer.layout.grids}.values())
    with frozen(tokenizer):
        before, first = tokenizer.latents(x), 0
        for grid in grids:
            for w in range(grid.width):
                start, end = (round(at * L) for at in grid.looked_at(w))
                inside = slice(start + (end - start) // 4, end - (end - start) // 4)
                changed = x.clone()
                changed[..., inside] += 3
                moved = (tokenizer.latents(changed) - before).square().sum((0, 1, 2))
                assert int(moved[first : first + grid.width].argmax()) == w
            first += grid.width
        assert first == before.shape[3]
