"""The studies behind the results that are kept can be planned."""

from pathlib import Path

import pytest

from twincode.study import Study
from twincode.study.study_file import read_study_file

RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.toml")), ids=lambda path: path.stem)
def test_their_files_describe_studies(path):
    configs = Study(**read_study_file(path)).configs()
    names = {config.recipe for config in configs}
    assert {"raw-series", "random-encoder", "pca-pq", "patch-rvq"} <= names
    assert path.stem == "frontier" or {"vqvae", "vqvae-augmented", "bt-vqvae"} <= names
