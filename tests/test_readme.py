"""The front page and the pages beside it are true: their code runs, what they name exists."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twincode.cli import main
from twincode.recipes import RECIPES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "results" / "README.md"]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def run_python_of(page, names=None):
    """Run a page's blocks of Python one after another, with few steps; their names at the end."""
    names = names or {}
    for block in re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL):
        exec(block.replace("steps=300", "steps=3"), names)
    return names


@pytest.fixture(params=[(12, 40), (12, 2, 40)], ids=["one channel", "two channels"])
def my_series(request, tmp_path, monkeypatch):
    """An array of one's own, in the current folder."""
    X = np.random.default_rng(0).normal(3, 2, request.param)
    np.save(tmp_path / "my_series.npy", X)
    monkeypatch.chdir(tmp_path)
    return X


def test_the_python_of_the_readme_runs(my_series):
    names = run_python_of("README.md")
    whole = my_series.reshape(12, -1, 40)
    assert names["codes"].shape[0] == names["features"].shape[0] == 12
    assert names["series"].shape == whole.shape
    # Loaded at the end, so of the model as it was saved.
    assert (names["model"].encode(my_series) == names["codes"]).all()


def test_the_commands_of_the_readme_run(tmp_path, monkeypatch):
    X = np.random.default_rng(0).normal(3, 2, (24, 40))
    frame = pd.DataFrame(X, columns=[f"t{step}" for step in range(40)])
    frame.assign(label=["rest", "walk"] * 12).to_csv(tmp_path / "my_series.csv", index=False)
    (tmp_path / "series").mkdir()
    pd.DataFrame({"x": X.tolist()}).to_parquet(tmp_path / "series" / "part.parquet")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^    twincode (.+?)(?: +#.*)?$", text_of("README.md"), re.MULTILINE)
    studies = [command for command in commands if command.startswith("study")]
    assert (len(commands), len(studies)) == (15, 3)  # a study takes minutes, and is tried elsewhere
    for command in commands:
        if command not in studies and "ECG5000" not in command:
            for many, few in {"--steps 300": "--steps 2 --evaluations 0", "500": "3"}.items():
                command = command.replace(many, few)
            assert main(shlex.split(command)) == 0, command


@pytest.mark.parametrize("my_series", [(12, 40)], indirect=True)
def test_the_python_of_the_data_page_runs(my_series, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pumps.csv").write_text("label,a,b,c\nidle,0.1,0.2,0.1\nleak,0.3,,0.9\n")
    (tmp_path / "UCRArchive_2018").mkdir()
    unequal = [row[: 40 - i].copy() for i, row in enumerate(my_series)]
    unequal[3][5] = np.nan
    given = {"X_train": my_series, "y_train": ["idle", "leak"] * 6}
    given |= {"X_test": my_series[:4], "y_test": ["leak", "idle"] * 2}
    rows = [(m, t, v) for m, own in enumerate(my_series) for t, v in enumerate(own)]
    given |= {"frame": pd.DataFrame(rows, columns=["machine", "read_at", "flow"])}
    given |= {"list_of_arrays": unequal, "other_arrays": [row[None] for row in unequal]}
    (tmp_path / "series").mkdir()
    pd.DataFrame({"x": my_series.tolist()}).to_parquet(tmp_path / "series" / "part.parquet")
    names = run_python_of("docs/data.md", given)
    back = pd.read_parquet(tmp_path / "back" / "part.parquet")["x"]
    assert [len(each) for each in back] == [40] * 12
    assert names["codes"].shape[0] == 12
    assert {"svm_accuracy", "reconstruction"} <= {score.metric for score in names["scores"]}


def test_the_python_of_the_estimators_page_runs():
    names = run_python_of("docs/estimators.md")
    assert names["series"].shape == (67, 1, 24)
    assert names["codes"].shape[0] == 270


def test_the_python_of_the_zoo_runs():
    assert run_python_of("docs/zoo.md")["config"].gamma == 0.5


def test_every_link_leads_somewhere():
    links = [
        (page, target.partition("#")[0])
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if "://" not in target
    ]
    assert [f"{page.name}: {to}" for page, to in links if not (page.parent / to).exists()] == []


def test_the_commands_of_the_readme_are_those_of_make_and_of_ci():
    named = set(re.findall(r"^    make (\S+)", text_of("README.md"), re.MULTILINE))
    assert named <= set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
    assert "test" in named
    assert "make test" in text_of(".ci/run").splitlines()


def test_the_zoo_names_every_recipe_and_files_that_exist():
    named = set(re.findall(r"`([^`\s]+)`", text_of("docs/zoo.md")))
    assert set(RECIPES) <= named
    for path in named:
        assert not path.endswith(".py") or (ROOT / "src" / "twincode" / path).is_file(), path
