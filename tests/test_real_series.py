"""Real archive sets against numbers the archive itself publishes; skipped where there are none."""

import json

import numpy as np
import pytest
from conftest import tiny

from twincode.data import load_dataset
from twincode.train import fit


@pytest.mark.parametrize(
    ("name", "published"),
    [("ECG5000", 0.925), ("ChlorineConcentration", 0.650), ("TwoPatterns", 0.907)],
)
def test_one_nearest_neighbour_is_as_accurate_as_the_archive_says(mirror, name, published):
    """The archive's summary of 2018 lists 1-NN with Euclidean distance on the raw series."""
    data = load_dataset(name, mirror)
    train, test = data.X_train[:, 0], data.X_test[:, 0]
    distances = (train**2).sum(1) - 2 * test @ train.T
    accuracy = np.mean(data.y_train[distances.argmin(1)] == data.y_test)
    assert accuracy == pytest.approx(published, abs=6e-4)


def test_a_model_trains_on_a_real_set_and_beats_guessing(mirror, tmp_path):
    data = load_dataset("ItalyPowerDemand", mirror)
    fit(tiny("bt-vqvae", epochs=10, latent_channels=16), data, tmp_path, "cpu")
    result = json.loads((tmp_path / "result.json").read_text())
    final = [row for row in result["evaluations"] if row["epoch"] == 10]
    accuracy = {row["readout"]: row["value"] for row in final if row["metric"] == "svm_accuracy"}
    assert accuracy["flatten"] > 0.7
    totals = [record["losses"]["reconstruction_time"] for record in result["history"]]
    assert totals[-1] < totals[0]
