"""Closed-form coders as tokenizers: the coder's own codes, bits and series, laid out as grids."""

import numpy as np
import pytest
import torch
from conftest import make_waves

from twincode import load_model
from twincode.closed_form import ComponentCoder, MixtureCoder, PatchCoder
from twincode.errors import TwincodeError
from twincode.quantize import Layout
from twincode.randomness import stream
from twincode.recipes import CLOSED_FORMS, DEFAULT, is_closed_form, recipe
from twincode.storage import write_tensors
from twincode.train import fit

BITS = 60


@pytest.fixture(scope="module")
def data():
    return make_waves(n_train=60, n_test=12, channels=2)


@pytest.fixture(scope="module")
def models(data):
    return {name: fit(recipe(name, bits=BITS, evaluations=0), data) for name in CLOSED_FORMS}


def fitted_alone(name, x):
    generator = stream(0, "codebook")
    torch.randperm(len(x), generator=generator)  # the batch that others are placed in
    if name == "mixture":
        return MixtureCoder.fit(x, BITS, generator, "average")
    return {"pca-pq": ComponentCoder, "patch-rvq": PatchCoder}[name].fit(x, BITS, generator)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_a_tokenizer_has_the_codes_and_series_of_its_coder(models, data, name):
    model = models[name]
    x, x_test = (torch.from_numpy(model.scaling.apply(X)) for X in (data.X_train, data.X_test))
    coder = fitted_alone(name, x)
    tokens = coder.encode(x_test)
    codes = model.encode(data.X_test)
    layout = model.tokenizer.layout
    assert codes.shape == (12, *model.tokenizer.grid) == (12, 1, tokens.shape[1])
    parts = layout.split(torch.from_numpy(codes))
    assert torch.equal(torch.cat(parts, 2)[:, 0], tokens)
    assert [(g.width, g.codebook_size) for g in layout.grids] == [
        (book.tokens, book.size) for book in coder.books_of(x.shape[2])
    ]
    expected = model.scaling.invert(coder.decode(tokens, x.shape[2]).numpy())
    np.testing.assert_allclose(model.decode(codes), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.decode(codes), model.reconstruct(data.X_test))


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_what_codes_cost(models, data, name):
    model = models[name]
    codes = torch.from_numpy(model.encode(data.X_test))
    told = model.tokenizer.bits_of(codes).double()
    assert model.bits_per_step == model.bits_per_series / data.X_test[0].size
    if name == "mixture":
        assert model.bits_per_series == BITS
        coder = model.tokenizer.quantizer.coder
        packed = coder.pack(model.tokenizer.quantizer.tokens(codes, data.length))
        sizes = torch.tensor([8.0 * len(each) for each in packed])
        assert bool(((sizes - told).abs() <= 16).all())
    else:
        per_grid = [g.width * np.log2(g.codebook_size) for g in model.tokenizer.layout.grids]
        assert model.bits_per_series == pytest.approx(sum(per_grid))
        assert model.bits_per_series <= BITS + 1e-6
        assert told.tolist() == pytest.approx([model.bits_per_series] * 12)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_a_saved_one_is_the_same(models, data, tmp_path, name):
    models[name].save(tmp_path)
    again = load_model(tmp_path)
    codes = models[name].encode(data.X_test)
    np.testing.assert_array_equal(again.encode(data.X_test), codes)
    np.testing.assert_array_equal(again.decode(codes), models[name].decode(codes))
    assert again.tokenizer.layout == models[name].tokenizer.layout
    assert again.bits_per_series == models[name].bits_per_series


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_series_of_other_lengths(models, data, name):
    model = models[name]
    other = np.concatenate([data.X_test, data.X_test[:, :, :9]], axis=2)
    if name == "pca-pq":
        with pytest.raises(TwincodeError, match=f"this model was made for {data.length}"):
            model.encode(other)
        with pytest.raises(TwincodeError, match=f"decodes series of {data.length} steps, not"):
            model.decode(model.encode(data.X_test), other.shape[2])
        return
    codes = model.encode(other)
    assert model.decode(codes, other.shape[2]).shape == other.shape
    assert model.transform(other).shape == (12, other[0].size)
    with pytest.raises(TwincodeError, match="codes must be whole numbers of shape"):
        model.decode(codes)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_tensors_of_something_else_are_one_line(models, tmp_path, name):
    models[name].save(tmp_path)
    write_tensors(tmp_path / "model.safetensors", {"quantizer.nothing": torch.zeros(1)})
    with pytest.raises(TwincodeError, match="corrupt or belongs to another"):
        load_model(tmp_path)
    with pytest.raises(RuntimeError, match="not the tensors of a fitted coder"):
        models[name].tokenizer.load_state_dict({"quantizer.nothing": torch.zeros(1)})


def test_the_default_is_a_closed_form_that_takes_bits():
    assert recipe(bits=50) == recipe(DEFAULT, bits=50)
    assert is_closed_form(recipe())
    assert next(iter(vars(recipe().tokenizer))) == "bits"


def test_nothing_can_be_encoded_before_it_is_fitted(data):
    from conftest import seeded_tokenizer

    tokenizer = seeded_tokenizer(recipe(), 2, data.length)
    assert tokenizer.layout == Layout()
    with pytest.raises(TwincodeError, match="has not been fitted yet"):
        tokenizer.encode(torch.from_numpy(data.X_train))


def test_there_is_nothing_to_train(data):
    with pytest.raises(TwincodeError, match="no batch_size; leave it out, or choose a network"):
        recipe(batch_size=3)
    with pytest.raises(TwincodeError, match="nothing that a twin loss could teach"):
        fit(recipe(twin_loss="moco"), data)
    with pytest.raises(TwincodeError, match="the warm tokenizer has nothing that a twin loss"):
        fit(recipe("warm-vqvae", twin_loss="barlow_twins"), data)
