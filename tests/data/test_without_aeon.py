"""What works where aeon is not installed, and what is said where it is needed."""

import subprocess
import sys

import numpy as np
import pytest
from aeon.datasets import load_classification

from twincode.data import load_dataset

HIDE_AEON = """
import sys
from importlib.machinery import PathFinder

found = PathFinder.find_spec
hidden = lambda name: name.split(".")[0] == "aeon"
PathFinder.find_spec = lambda name, *rest: None if hidden(name) else found(name, *rest)
"""


def without_aeon(code):
    """What a program prints where aeon cannot be found."""
    done = subprocess.run(
        [sys.executable, "-c", HIDE_AEON + code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "aeon" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["GunPoint", "ItalyPowerDemand", "BasicMotions"])
def test_bundled_sets_are_those_of_aeon(name):
    dataset = load_dataset(name)
    assert dataset.origin == f"bundled, {name}.npz"
    for part, X, y in (
        ("train", dataset.X_train, dataset.y_train), ("test", dataset.X_test, dataset.y_test),
    ):  # fmt: skip
        X_aeon, y_aeon = load_classification(name, split=part)
        assert (X_aeon.astype(np.float32) == X).all()
        assert [dataset.classes[label] for label in y] == list(y_aeon)


def test_names_files_and_models_need_no_aeon(tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 30))
    np.savetxt(tmp_path / "mine.csv", rows, delimiter=",")
    np.savez(tmp_path / "Pumps.npz", X=rows, y=["a", "b"] * 10)
    said = without_aeon(f"""
import warnings
import twincode
warnings.simplefilter("error")
print(*(info.name for info in twincode.list_datasets({str(tmp_path)!r})))
print(len(twincode.load_dataset("mine.csv".join([{str(tmp_path)!r} + "/", ""])).X_train))
data = twincode.load_dataset("pumps", {str(tmp_path)!r})
config = twincode.recipe("pca-pq", bits=10, metrics=("reconstruction",))
model = twincode.fit(config, data)
print(model.encode(data.X_test).shape)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    scores = twincode.fit(config.replace(metrics=("kernels",)), data).evaluate(data)
print(scores, caught[0].message)
""")
    assert said.splitlines() == [
        "BasicMotions GunPoint ItalyPowerDemand Pumps",
        "16",
        "(4, 1, 2)",
        "[] accuracy of decoded series is left out, it needs aeon: pip install 'twincode[aeon]'",
    ]


def test_what_needs_aeon_says_so_in_one_line(tmp_path):
    (tmp_path / "train.ts").write_text("@classLabel true a\n@data\n1,2:a\n")
    said = without_aeon(f"""
import twincode
for attempt in (
    lambda: twincode.load_dataset("Adiac"),
    lambda: twincode.read_series({str(tmp_path / "train.ts")!r}),
    lambda: __import__("twincode.estimators.aeon"),
):
    try:
        attempt()
    except Exception as error:
        print(type(error).__name__, error)
""")
    assert [line.split()[0] for line in said.splitlines()] == [
        "TwincodeError", "TwincodeError", "ImportError",
    ]  # fmt: skip
    assert said.count("pip install 'twincode[aeon]'") == 3
