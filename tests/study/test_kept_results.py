"""The studies behind the results that are kept can be planned."""

from pathlib import Path

import pytest

from twincode.study import Study
from twincode.study.study_file import read_study_file

RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.toml")), ids=lambda path: path.stem)
def test_their_files_describe_studies(path):
    study = Study(**read_study_file(path))
    names = {config.recipe for config in study.configs()}
    assert {"raw-series", "random-encoder", "pca-pq", "patch-rvq"} <= names
    assert set(study.recipes) <= names
