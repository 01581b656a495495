"""A saved model tells what it is, and comes back from a hub."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from conftest import make_waves, tiny
from huggingface_hub import ModelCard, constants
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

import twincode
from twincode.errors import TwincodeError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def model():
    return twincode.fit(tiny("mixture", bits=20), make_waves(20))


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "saved")
    return tmp_path / "saved"


def the_same(one, other):
    X = make_waves(4).X_test
    return np.array_equal(one.encode(X), other.encode(X))


def lines_of(folder):
    return (folder / "README.md").read_text().splitlines()


def test_a_card_tells_what_a_model_is(saved, model):
    card = ModelCard.load(saved / "README.md")
    assert (card.data.library_name, card.data.license) == ("twincode", "unknown")
    assert card.data.tags == ["time-series", "vector-quantization", "mixture"]
    assert card.data.datasets == ["Waves"]
    H, W = model.encode(make_waves(4).X_test).shape[1:]
    for line in (
        "# Mixture on Waves",
        "| data | Waves (made), 2 classes |",
        "| series | 1 channel, 33 steps |",
        f"| codes a series | {H} × {W} |",
        "| bits a series | 20, 0.606 a value |",
    ):
        assert line in card.content.splitlines()
    assert "parameters" not in card.content  # a closed form has none


def test_the_card_of_a_network_tells_its_size(tmp_path):
    model = twincode.fit(tiny("vqvae", epochs=0), make_waves(20))
    model.save(tmp_path)
    size = sum(p.numel() for p in model.tokenizer.parameters())
    assert f"| parameters | {size} |" in lines_of(tmp_path)


def test_the_card_of_a_run_tells_its_scores(tmp_path):
    data = make_waves(20)
    model = twincode.fit(tiny("pca-pq", bits=20), data, tmp_path / "run")
    lines = lines_of(tmp_path / "run")
    for score in model.evaluate(data):
        what = f"{score.metric} {score.readout}".rstrip()
        assert f"| {what} | {score.value:.4g} |" in lines
    model.save(tmp_path / "alone")
    assert "Measured" not in (tmp_path / "alone" / "README.md").read_text()


def test_a_card_names_the_settings_that_are_not_the_recipes(saved):
    (line,) = [line for line in lines_of(saved) if "settings" in line]
    assert "bits=20" in line
    assert line.endswith("seed=0 |")
    assert "beam" not in line


def test_the_three_lines_of_a_card_load_it(saved, model):
    code = [line[4:] for line in lines_of(saved) if line[:4] == "    "]
    assert len(code) == 3
    names = {"X": make_waves(4).X_test}
    exec("\n".join(code).replace("FOLDER", str(saved)), names)
    assert np.array_equal(names["codes"], model.encode(names["X"]))


def test_a_model_without_codes_has_a_card_that_promises_none(tmp_path):
    twincode.fit(tiny("raw-series"), make_waves(20)).save(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "model.transform(X)" in text
    assert "codes" not in text
    assert "inf" not in text


def test_names_from_outside_are_taken_for_text(tmp_path):
    name = 'a: "b"\n---\n|<script> 🌊'
    odd = replace(make_waves(20), name=name)
    twincode.fit(tiny("mixture", bits=20), odd).save(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.datasets == [name]
    assert "\n---" not in card.text
    assert "\\<script\\>" in card.text


def test_a_card_of_ones_own_stays(saved, model):
    card = saved / "README.md"
    before = card.read_text()
    model.save(saved)
    assert card.read_text() == before
    card.write_text("mine")
    model.save(saved)
    assert card.read_text() == "mine"


@pytest.fixture
def hub(saved, monkeypatch):
    """A stand-in for the hub, and what it was asked."""
    asked = []

    def snapshot_download(name, **options):
        asked.append((name, options))
        return str(saved)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_a_name_is_looked_up_on_the_hub(hub, model):
    assert the_same(twincode.load_model("user/name", revision="v1"), model)
    files = ["model.json", "model.safetensors", "README.md"]
    priors = ["prior/prior.json", "prior/prior.safetensors"]
    assert hub == [("user/name", {"revision": "v1", "allow_patterns": files + priors})]


def test_a_folder_always_wins(hub, saved, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, tmp_path / "user" / "name")
    assert the_same(twincode.load_model("user/name"), model)
    with pytest.raises(TwincodeError, match=r"is a folder; only models on the hub have revisions"):
        twincode.load_model("user/name", revision="v1")
    assert hub == []


@pytest.mark.parametrize("place", ("runs", "./runs/one", "/runs/one", "a/b/c", "../one"))
def test_other_places_are_never_looked_up(hub, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    for each in (place, Path("runs/one")):
        with pytest.raises(TwincodeError, match="no model description at"):
            twincode.load_model(each)
    assert hub == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RepositoryNotFoundError, "no folder user/name, and no model user/name on the hub"),
        (RevisionNotFoundError, "has no revision v1"),
        (ConnectionError, "cannot download user/name from the hub: gone"),
        (ValueError, "cannot download user/name from the hub: gone"),  # a page in place of JSON
    ],
)
def test_what_cannot_be_had_is_one_line(monkeypatch, error, told):
    def fail(*_arguments, **_options):
        failure = error.__new__(error)
        failure.args = ("gone\nfor good",)
        raise failure

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(TwincodeError, match=told) as caught:
        twincode.load_model("user/name", revision="v1")
    assert "\n" not in str(caught.value)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(TwincodeError, match=r"pip install 'twincode\[hub\]'"):
        twincode.load_model("user/name")


def test_off_the_network_only_earlier_downloads_load(saved, model, tmp_path, monkeypatch):
    """With the real client, in its offline mode."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(TwincodeError, match="the hub is out of reach") as caught:
        twincode.load_model("user/name")
    assert "\n" not in str(caught.value)
    entry = tmp_path / "cache" / "models--user--name"
    shutil.copytree(saved, entry / "snapshots" / COMMIT)
    (entry / "refs").mkdir()
    (entry / "refs" / "main").write_text(COMMIT)
    assert the_same(twincode.load_model("user/name"), model)
    with pytest.raises(TwincodeError, match="name"):
        twincode.load_model("user/other..name")
