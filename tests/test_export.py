"""ONNX graphs that are run elsewhere give what the model gives."""

import json
import sys

import numpy as np
import onnxruntime
import pytest
from conftest import make_waves, tiny
from test_readme import run_python_of

from twincode.errors import TwincodeError
from twincode.export import export_onnx
from twincode.recipes import RECIPES, recipe
from twincode.train import fit

# One for each way to codes and back; others differ in what trains them.
EXPORTED = [
    "vqvae", "cosine-vqvae", "fsq-vqvae", "residual-vqvae", "product-vqvae", "vqvae2", "bands",
    "pca-pq", "warm-vqvae", "mixture", "patch-rvq",
]  # fmt: skip


def fitted(name, **changes):
    data = make_waves(20, **changes)
    return fit(tiny(name), data), data.X_test


def test_an_encoder_alone_has_no_decoder(tmp_path):
    (tmp_path / "decoder.onnx").touch()  # of a model that was here before
    model = fit(tiny("barlow-twins", quantizer="vq"), make_waves(20))
    export_onnx(model, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"encoder.onnx", "onnx.json"}
    X = make_waves(20).X_test
    (codes,) = onnxruntime.InferenceSession(tmp_path / "encoder.onnx").run(None, {"series": X})
    assert (codes == model.encode(X)).all()


@pytest.mark.parametrize("name", EXPORTED)
def test_the_graphs_give_what_the_model_gives(name, tmp_path):
    model, X = fitted(name)
    X = X * 50 + 1000  # far from standard units
    model.scaling = type(model.scaling)((1000.0,), (50.0,))
    export_onnx(model, tmp_path)
    told = json.loads((tmp_path / "onnx.json").read_text())
    encoder, decoder = (
        onnxruntime.InferenceSession(tmp_path / f"{part}.onnx") for part in ("encoder", "decoder")
    )
    for n in (1, 5):
        (codes,) = encoder.run(None, {"series": X[:n]})
        assert (codes == model.encode(X[:n])).all()
        assert ["n", *codes.shape[1:]] == told["codes"]
        (series,) = decoder.run(None, {"codes": codes})
        assert np.allclose(series, model.decode(codes), rtol=0, atol=1e-4 * 50)
        assert ["n", *series.shape[1:]] == told["series"]
    assert sum(told["codebook_sizes"]) > codes.max()
    assert {path.name for path in tmp_path.iterdir()} == {
        "encoder.onnx", "decoder.onnx", "onnx.json",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["patch-rvq", "pca-pq"])
def test_graphs_keep_the_digits_of_a_mean_far_from_zero(name, tmp_path):
    rng, mean, std = np.random.default_rng(0), 12345.678, 0.1234567
    X = (rng.normal(size=(400, 1, 40)).cumsum(2) * std + mean).astype(np.float32)
    model = fit(recipe(name, bits=60), X)
    export_onnx(model, tmp_path)
    encoder, decoder = (
        onnxruntime.InferenceSession(tmp_path / f"{part}.onnx") for part in ("encoder", "decoder")
    )
    (codes,) = encoder.run(None, {"series": X})
    assert (codes == model.encode(X)).mean() > 0.9995
    assert np.allclose(decoder.run(None, {"codes": codes})[0], model.decode(codes), atol=0.002)


def test_the_python_of_the_page_runs(tmp_path, monkeypatch):
    model, X = fitted("pca-pq")
    monkeypatch.chdir(tmp_path)
    export_onnx(model, "graphs")
    np.save("my_series.npy", X[:, 0])
    names = run_python_of("docs/export.md")
    assert (names["codes"] == model.encode(X)).all()
    assert names["series"].shape == X.shape


def test_every_recipe_is_one_of_these_or_is_refused_in_words(tmp_path):
    """By parts: what a recipe has beside its tokenizer and quantiser only trains it."""
    known = {(c.tokenizer.name, c.quantizer and c.quantizer.name) for c in map(recipe, EXPORTED)}
    for name in RECIPES:
        config = tiny(name)
        if (config.tokenizer.name, config.quantizer and config.quantizer.name) in known:
            continue
        if name == "contrastive-vae":
            config = config.replace(background_classes=("a",))
        model = fit(config, make_waves(20))
        with pytest.raises(TwincodeError, match=r"no codes to export|is no ONNX"):
            export_onnx(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_capped_rate_is_refused_in_words(tmp_path):
    model = fit(tiny("mixture", rate="capped"), make_waves(20))
    with pytest.raises(TwincodeError, match=r"rate=capped is no ONNX graph.*rate=average can"):
        export_onnx(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_the_extra_one_line_says_what_to_install(tmp_path, monkeypatch):
    model, _ = fitted("vqvae")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(TwincodeError, match=r"pip install 'twincode\[onnx\]'"):
        export_onnx(model, tmp_path)
    assert not list(tmp_path.iterdir())
