"""The studies behind the results that are kept can be planned."""

from pathlib import Path

import pytest

from twincode.study import Study
from twincode.study.second_stage import JUDGED_FOLDER
from twincode.study.study_file import read_study_file

RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.toml")), ids=lambda path: path.stem)
def test_their_files_describe_studies(path):
    study = Study(**read_study_file(path))
    names = {config.recipe for config in study.configs()}
    assert {"raw-series", "random-encoder", "pca-pq", "patch-rvq"} <= names
    assert set(study.recipes) <= names


@pytest.mark.parametrize("name", ["converged", "generation", "drawn"])
def test_what_is_kept_is_what_its_file_plans(name):
    """A setting whose default has changed would begin these studies anew."""
    study = Study(**read_study_file(RESULTS / f"{name}.toml"))
    planned = {config.digest()[:10]: study.second_stage(config) for config in study.configs()}
    kept = list((RESULTS / name / "runs").iterdir())
    assert len(kept) > 4
    for folder in kept:
        config, _ = folder.name.split("-")
        assert config in planned
        judged = {path.name for path in folder.glob(f"{JUDGED_FOLDER}/*")}
        stage = planned[config]
        assert judged == ({stage.name} if stage else set())
