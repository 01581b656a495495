"""The studies behind the results that are kept: they can be planned, and runs keep their names."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from twincode.study import Study
from twincode.study.study_file import read_study_file
from twincode.train import run_id

RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.toml")), ids=lambda path: path.stem)
def test_their_files_describe_studies(path):
    study = Study(**read_study_file(path))
    study.check_read(study.settings)
    names = [config.recipe for config in study.configs(n_train=500)]
    assert {"raw-series", "random-encoder", "vqvae", "vqvae-augmented", "bt-vqvae"} <= set(names)


def test_finished_runs_keep_the_names_their_settings_give_them():
    lines = (RESULTS / "study" / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [json.loads(line) for line in lines]
    study = Study(**read_study_file(RESULTS / "short.toml"))
    data = {run["dataset"]["name"]: SimpleNamespace(**run["dataset"]) for run in kept}
    planned = [
        run_id(c, data[name]) for name in study.datasets for c in study.configs(data[name].n_train)
    ]
    assert sorted(planned) == sorted(run["run"] for run in kept)
