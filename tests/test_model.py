import errno
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_waves, tiny
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import twincode
from twincode.data import Scaling
from twincode.errors import TwincodeError
from twincode.model import Model, load_model
from twincode.priors import prior
from twincode.storage import file_hash
from twincode.train import fit, fit_prior

QUICK = {"latent_channels": 4, "epochs": 1, "evaluations": 1}


@pytest.fixture(scope="module")
def model(waves):
    return fit(tiny("bt-vqvae", **QUICK), waves)


@pytest.fixture(scope="module")
def continuous(waves):
    return fit(tiny("raw-series"), waves)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    model.save(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def test_codes_fill_the_grid(model, waves):
    codes = model.encode(waves.X_test)
    assert codes.dtype == np.int64
    assert codes.shape == (20, *model.tokenizer.grid)
    assert 0 <= codes.min() <= codes.max() < 6
    assert len(np.unique(codes)) > 1


@pytest.mark.usefixtures("bfloat16")
def test_encoding_in_a_lower_precision_moves_few_codes(model, waves):
    full, seen = model.encode(waves.X_test), set()
    hooks = [
        each.register_forward_hook(lambda _module, _given, found: seen.add(found.dtype))
        for each in model.tokenizer.modules()
        if isinstance(each, torch.nn.Conv2d)
    ]
    low = model.encode(waves.X_test, precision="bfloat16")
    assert (low != full).mean() < 0.05
    assert torch.bfloat16 in seen
    for hook in hooks:
        hook.remove()
    with pytest.raises(TwincodeError, match="did you mean 'bfloat16'"):
        model.encode(waves.X_test, precision="bfloat")


def test_a_channel_of_one_may_be_left_out(model, waves):
    assert (model.encode(waves.X_test[:, 0]) == model.encode(waves.X_test)).all()
    assert (model.encode(waves.X_test[:, 0].tolist()) == model.encode(waves.X_test)).all()


def test_decoding_the_codes_is_the_reconstruction(model, waves):
    decoded = model.decode(model.encode(waves.X_test))
    assert decoded.dtype == np.float32
    assert decoded.shape == waves.X_test.shape
    np.testing.assert_allclose(decoded, model.reconstruct(waves.X_test), atol=1e-5)


def test_series_come_and_go_in_their_own_units(model, waves):
    plain = Model(model.tokenizer, Scaling((0,), (1,)), model.config, model.source)
    scaled = Model(model.tokenizer, Scaling((500,), (20,)), model.config, model.source)
    X = waves.X_test * 20 + 500
    assert (plain.encode(waves.X_test) == scaled.encode(X)).mean() > 0.99
    expected = plain.reconstruct(waves.X_test) * 20 + 500
    np.testing.assert_allclose(scaled.reconstruct(X), expected, rtol=1e-3)


def test_a_model_with_one_number_for_all_channels_still_loads(tmp_path):
    waves = make_waves(channels=2)
    model = fit(tiny("vqvae", **QUICK), waves)
    plain = Model(model.tokenizer, Scaling((0.1,), (2.0,)), model.config, model.source)
    plain.save(tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    assert description["scaling"] == {"mean": [0.1], "std": [2.0]}
    description["scaling"] = {"mean": 0.1, "std": 2.0}
    del description["config"]["training"]["version"]
    (tmp_path / "model.json").write_text(json.dumps(description))
    old = load_model(tmp_path)
    np.testing.assert_array_equal(old.encode(waves.X_test), plain.encode(waves.X_test))
    np.testing.assert_array_equal(old.reconstruct(waves.X_test), plain.reconstruct(waves.X_test))


def test_no_batch_shows_in_the_numbers(model):
    X = make_waves(n_train=300, n_test=1).X_train
    whole = model.encode(X)
    assert (np.concatenate([model.encode(X[:7]), model.encode(X[7:])]) == whole).mean() > 0.999
    parts = [model.decode(whole[:7]), model.decode(whole[7:])]
    np.testing.assert_allclose(np.concatenate(parts), model.decode(whole), atol=1e-5)


def test_using_a_model_changes_nothing_in_it(model, waves):
    before = {name: t.clone() for name, t in model.tokenizer.state_dict().items()}
    codes = model.encode(waves.X_test)
    model.decode(codes)
    model.reconstruct(waves.X_test)
    model.transform(waves.X_test)
    model.evaluate(waves)
    after = model.tokenizer.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (model.encode(waves.X_test) == codes).all()


def test_features_of_every_readout(model, continuous, waves):
    D, (H, W) = 4, model.tokenizer.grid
    flat = model.transform(waves.X_test)
    assert flat.shape == (20, D * H * W)
    np.testing.assert_allclose(
        flat.reshape(20, D, -1).mean(-1), model.transform(waves.X_test, "mean"), atol=1e-5
    )
    assert model.transform(waves.X_test, "histogram").shape == (20, H * 6)
    scaled = (waves.X_test[:, 0] - continuous.scaling.mean[0]) / continuous.scaling.std[0]
    np.testing.assert_allclose(continuous.transform(waves.X_test), scaled, atol=1e-6)
    with pytest.raises(TwincodeError, match="did you mean 'flatten'"):
        model.transform(waves.X_test, "flat")


def test_a_loaded_model_gives_the_numbers_of_the_trained_one(model, saved, waves):
    loaded, packed = load_model(saved), Model.unpack(*model.pack())
    for other in (loaded, packed):
        assert other.checksum == model.checksum
        np.testing.assert_array_equal(other.transform(waves.X_test), model.transform(waves.X_test))
    rescaled = Model(model.tokenizer, Scaling((0,), (1,)), model.config, model.source)
    assert rescaled.checksum != model.checksum


@pytest.mark.parametrize("name", ["patch-rvq", "vqvae"])
def test_encoding_alone_gives_the_codes_that_are_decoded(waves, name):
    model = fit(tiny(name, **({"epochs": 1} if name == "vqvae" else {})), waves.X_train)
    x = model._tensor(waves.X_test)
    assert torch.equal(model.tokenizer.encode(x), model.tokenizer.embed(x).codes)


def test_evaluation_repeats_what_training_measured(waves, tmp_path):
    model = fit(tiny("bt-vqvae", **QUICK), waves, tmp_path)
    stored = json.loads((tmp_path / "result.json").read_text())["evaluations"]
    expected = {(row["readout"], row["metric"]): row["value"] for row in stored}
    found = load_model(tmp_path).evaluate(waves)
    assert {(m.readout, m.metric): m.value for m in found} == pytest.approx(expected, rel=1e-4)
    assert {(m.readout, m.metric): m.value for m in model.evaluate(waves)} == pytest.approx(
        expected, rel=1e-4
    )


def test_labels_are_optional(model, waves):
    blind = replace(waves, y_train=None, y_test=None, classes=())
    metrics = {m.metric for m in model.evaluate(blind)}
    assert "reconstruction" in metrics
    assert "svm_accuracy" not in metrics


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 2, 33)), "2 channels; this model was made for 1"),
        (np.zeros((3, 1, 30)), "30 steps; this model was made for 33"),
        (np.zeros(33), r"must be an array \(n, 1, 33\), not \(33,\)"),
        (np.zeros((1, 1, 1, 33)), "must be an array"),
        (np.zeros((0, 1, 33)), "must be an array"),
        ([[1.0, 2.0], [1.0]], "all of one length"),
        ([["a"] * 33], "one array of real numbers"),
        (None, "one array of real numbers|must be an array"),
        (np.full((2, 1, 33), np.nan), "missing or infinite"),
        (np.ma.masked_less(np.arange(66.0).reshape(2, 33), 5), "missing or infinite"),
        (np.zeros((2, 33), complex), "one array of real numbers"),
        (np.full((2, 1, 33), -np.inf), "missing or infinite"),
        (np.full((2, 1, 33), 1e300), "missing or infinite"),
    ],
)
def test_series_that_do_not_fit_are_errors(model, X, message):
    for use in (model.encode, model.reconstruct, model.transform):
        with pytest.raises(TwincodeError, match=message):
            use(X)


@pytest.mark.parametrize(("channels", "length"), [(2, 33), (1, 40)])
def test_a_data_set_that_does_not_fit_is_an_error(model, channels, length):
    with pytest.raises(TwincodeError, match="this model was made for"):
        model.evaluate(make_waves(channels=channels, length=length))


def test_codes_that_do_not_fit_are_errors(model, waves):
    codes = model.encode(waves.X_test)
    for wrong, message in [
        (codes + 6, "between 0 and 5"),
        (codes - 6, "between 0 and 5"),
        (codes.astype(float), "whole numbers"),
        (codes.astype(bool), "whole numbers"),
        (codes[:, 1:], "of shape"),
        (codes[0], "of shape"),
        ([[1, 2], [3]], "one array of whole numbers"),
    ]:
        with pytest.raises(TwincodeError, match=message):
            model.decode(wrong)


@given(data=st.data())
def test_any_codes_in_range_decode(model, data):
    grid = model.tokenizer.grid
    n = data.draw(st.integers(1, 3))
    codes = data.draw(arrays(np.int32, (n, *grid), elements=st.integers(0, 5)))
    series = model.decode(codes)
    assert series.shape == (n, 1, 33)
    assert np.isfinite(series).all()


def test_a_continuous_model_has_no_codes(continuous, waves):
    with pytest.raises(TwincodeError, match="raw-series is continuous"):
        continuous.encode(waves.X_test)
    with pytest.raises(TwincodeError, match="no codes to decode"):
        continuous.decode(np.zeros((1, 1, 33), int))
    with pytest.raises(TwincodeError, match="histogram readout needs codes"):
        continuous.transform(waves.X_test, "histogram")
    np.testing.assert_allclose(continuous.reconstruct(waves.X_test), waves.X_test, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "changes"),
    [("bt-vqvae", {}), ("vqvae", {"codebook_update": "gradient"}), ("raw-series", None)],
)
def test_a_saved_model_comes_back_the_same(tmp_path, name, changes):
    data = make_waves(n_train=8, n_test=4, channels=2, length=21)
    model = fit(tiny(name) if changes is None else tiny(name, **QUICK, **changes), data)
    model.save(tmp_path / "new" / "folder")
    again = load_model(str(tmp_path / "new" / "folder"))
    ours, theirs = model.tokenizer.state_dict(), again.tokenizer.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert again.config == model.config
    assert again.scaling == model.scaling
    assert again.source == model.source
    assert (again.transform(data.X_test) == model.transform(data.X_test)).all()
    assert not again.tokenizer.training


@pytest.mark.parametrize("name", ["mixture", "pca-pq", "warm-vqvae", "vqvae"])
def test_a_model_travels_to_another_process(waves, name):
    model = fit(tiny(name, evaluations=0), waves)
    other = pickle.loads(pickle.dumps(model))
    assert model.decode(model.encode(waves.X_test)[:0]).shape == (0, 1, 33)
    assert np.array_equal(other.encode(waves.X_test), model.encode(waves.X_test))
    assert other.checksum == model.checksum
    before = pickle.dumps(model)
    model.reconstruct(waves.X_test)
    assert pickle.dumps(model) == before
    both = fit_prior(prior("independent"), model, waves)
    again = pickle.loads(pickle.dumps(both))
    assert np.array_equal(again.sample(3).series, both.sample(3).series)


@pytest.mark.parametrize("write", ["save_file", "json_text"])
def test_a_full_disk_keeps_the_old_model(model, copy, monkeypatch, write):
    """Whichever of the two files does not fit: they belong together."""

    def full(*_arguments):
        if write == "json_text":
            raise OSError(errno.ENOSPC, "No space left on device")
        raise SafetensorError("Error while serializing: No space left on device (os error 28)")

    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    other = fit(tiny("vqvae", epochs=0, evaluations=0), make_waves(20))
    monkeypatch.setattr(f"twincode.storage.{write}", full)
    with pytest.raises(TwincodeError, match="the disk is full; free some space"):
        other.save(copy)
    assert before == {path.name: path.read_bytes() for path in copy.iterdir()}
    assert load_model(copy).checksum == model.checksum


def test_a_model_is_saved_with_its_prior(model, waves, tmp_path):
    both = fit_prior(prior("independent"), model, waves)
    both.save(tmp_path)
    assert np.array_equal(load_model(tmp_path).sample(3).series, both.sample(3).series)


@pytest.mark.parametrize("name", ["mixture", "pca-pq"])
def test_a_prior_lies_where_its_model_was_asked_for(waves, tmp_path, name):
    """A closed form has no parameters that could say where that is."""
    model = fit(tiny(name, evaluations=0), waves)
    masked = prior("masked", model_width=8, layers=1, heads=1, steps=1)
    fit_prior(masked, model, waves).save(tmp_path)
    there = load_model(tmp_path, "meta")
    assert there.device == torch.device("meta")
    assert {each.device.type for each in there.prior.prior.parameters()} == {"meta"}


def test_only_what_decides_codes_is_in_the_checksum(model):
    config = model.config.replace(metrics="codebook", learning_rate=0.5, readouts="mean")
    source = replace(model.source, name="another")
    assert Model(model.tokenizer, model.scaling, config, source).checksum == model.checksum


def test_a_model_is_not_measured_on_an_array(model, waves):
    for measured in (model.evaluate, model.evaluate_generation):
        with pytest.raises(TwincodeError, match=r"make one with Dataset\.from_arrays"):
            measured(waves.X_test)


@pytest.mark.parametrize("length", [0, -3, 24.0, "33"])
def test_a_length_is_a_whole_number(model, waves, length):
    with pytest.raises(TwincodeError, match="length must be a whole number of at least 1"):
        model.decode(model.encode(waves.X_test), length)


class Trap:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_pickle_in_disguise_is_refused_and_not_run(copy, tmp_path, name):
    (copy / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(TwincodeError, match=f"{name} is not a readable|{name} is corrupt"):
        load_model(copy)
    torch.save({"a": Trap(tmp_path / "sprung")}, copy / name)
    with pytest.raises(TwincodeError, match=f"{name} is not a readable|{name} is corrupt"):
        load_model(copy)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\0" * 100, b"\xff" * 8, b"PK\3\4" + b"\0" * 60], ids=repr
)
def test_weights_that_are_no_safetensors_are_refused(copy, content):
    (copy / "model.safetensors").write_bytes(content)
    with pytest.raises(TwincodeError, match=r"model.safetensors is corrupt"):
        load_model(copy)


@given(cut=st.floats(0, 0.999))
def test_truncated_weights_are_refused(saved, copy, cut):
    whole = (saved / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(TwincodeError, match="is corrupt"):
        load_model(copy)


def test_one_changed_bit_is_noticed(copy):
    path = copy / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TwincodeError, match=r"corrupt or belongs to another model.json"):
        load_model(copy)


def test_weights_of_another_model_are_refused(copy, tmp_path, waves):
    fit(tiny("bt-vqvae", **QUICK, seed=1), waves).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", copy)
    with pytest.raises(TwincodeError, match=r"belongs to another model.json"):
        load_model(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.popitem(),
        lambda tensors: tensors.update(stranger=torch.zeros(1)),
        lambda tensors: tensors.update({"quantizer.codebook": torch.zeros(7, 4)}),
        lambda tensors: tensors.clear(),
    ],
)
def test_weights_of_other_names_and_shapes_are_refused(copy, change):
    """Even where the description vouches for the file."""
    path = copy / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    describe(copy, tensors_sha256=file_hash(path))
    with pytest.raises(TwincodeError, match="does not fit its configuration"):
        load_model(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer": {"name": "vqvae", "n_fft": "many"}},
        {"tokenizer": {"name": "vqvae", "windows": "hann"}},
        {"tokenizer": {"name": "vqvea"}},
        {"tokenizer": {}},
        {"training": {"epochs": -1}},
        {"metrics": None},
    ],
    ids=repr,
)
def test_a_damaged_configuration_is_refused(copy, change):
    config = json.loads((copy / "model.json").read_text())["config"]
    describe(copy, config={**config, **change})
    with pytest.raises(TwincodeError, match=r"model.json is damaged"):
        load_model(copy)


def describe(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"config": None},
        {"config": {"tokenizer": "vqvae"}},
        {"config": []},
        {"channels": -1},
        {"channels": "one"},
        {"channels": None},
        {"channels": 1.5},
        {"length": 2},
        {"length": "long"},
        {"length": [33]},
        {"scaling": {}},
        {"scaling": {"mean": 0, "std": 0}},
        {"scaling": {"mean": float("nan"), "std": 1}},
        {"scaling": {"mean": "low", "std": 1}},
        {"scaling": None},
        {"source": {}},
        {"source": None},
        {"source": {"name": "a", "origin": "", "checksum": "", "classes": 3}},
    ],
    ids=repr,
)
def test_a_damaged_description_is_refused(copy, changes):
    describe(copy, **changes)
    with pytest.raises(TwincodeError, match=r"model.json is damaged"):
        load_model(copy)


@pytest.mark.parametrize("name", ["mixture", "pca-pq", "patch-rvq"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 48}, "does not fit its configuration: .* of 33 steps"),
        ({"channels": 2}, "does not fit its configuration: .* 1 channels"),
        ({"length": 0}, "length must be a whole number of at least 1, not 0"),
        ({"source": {"name": None, "origin": "", "checksum": "", "classes": []}}, "in words"),
    ],
)
def test_so_it_is_of_a_closed_form(waves, tmp_path, name, changes, message):
    fit(tiny(name, evaluations=0), waves).save(tmp_path)
    describe(tmp_path, **changes)
    with pytest.raises(TwincodeError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["config", "channels", "length", "scaling", "source"])
def test_a_description_that_lacks_something_is_refused(copy, name):
    path = copy / "model.json"
    path.write_text(
        json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != name})
    )
    with pytest.raises(TwincodeError, match=rf"model.json is damaged: .*{name}"):
        load_model(copy)


@pytest.mark.parametrize("content", ["[]", "3", "null", "{}", '{"format": 3}', '{"model": "gpt"}'])
def test_a_foreign_description_is_refused(copy, content):
    (copy / "model.json").write_text(content)
    with pytest.raises(TwincodeError, match="not a model this version of twincode can read"):
        load_model(copy)


def test_what_is_not_there_is_named(copy, tmp_path):
    with pytest.raises(TwincodeError, match=r"no model description at .*nowhere"):
        load_model(tmp_path / "nowhere")
    (copy / "model.safetensors").unlink()
    with pytest.raises(TwincodeError, match="no model weights at"):
        load_model(copy)


def test_an_unknown_device_is_explained(saved):
    for name in ("tpu9", "cuda:99", ""):
        with pytest.raises(TwincodeError, match="is not available here; try cpu"):
            load_model(saved, name)


def test_the_public_names_are_there():
    for name in twincode.__all__:
        assert getattr(twincode, name).__name__ == name
    assert dir(twincode) == twincode.__all__
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = twincode.fitt


def test_a_model_saved_in_format_1_is_read():
    folder = Path(__file__).parent / "models" / "format-1"
    model = load_model(folder)
    expected = np.load(folder / "expected.npz")
    assert (model.encode(expected["X"]) == expected["codes"]).all()
    np.testing.assert_allclose(model.reconstruct(expected["X"]), expected["series"], atol=1e-5)
