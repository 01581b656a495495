"""The page of docs on the explorer is true: its code and its commands run, its caps are those."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
from test_readme import run_python_of

from twincode.cli import main
from twincode.explorer import exploration
from twincode.explorer.counts import LONGEST
from twincode.explorer.page import POINTS

PAGE = (Path(__file__).parents[2] / "docs" / "explore.md").read_text(encoding="utf-8")


def test_its_python_and_its_commands_run(tmp_path, monkeypatch):
    X = np.random.default_rng(0).normal(3, 2, (12, 40))
    np.save(tmp_path / "my_series.npy", X)
    frame = pd.DataFrame(X)
    frame.insert(0, "label", ["rest", "walk"] * 6)
    frame.to_csv(tmp_path / "my_series.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exploration, "PLACES", 1)
    few = "steps=3, evaluations=0, latent_channels=8, residual_blocks=1"
    monkeypatch.setattr("test_readme.text_of", lambda _page: PAGE.replace("steps=300", few))
    names = run_python_of("docs/explore.md")
    assert "walk" in Path("codes.html").read_text(encoding="utf-8")
    names["model"].save("run")
    commands = re.findall(r"^    (twincode explore .+)$", PAGE, re.MULTILINE)
    assert len(commands) == 2
    assert main(shlex.split(commands[1])[1:]) == 0


def test_its_caps_are_those_of_the_page():
    for name, words in (
        ("ROWS", "{} rows"),
        ("CODES", "{} most used codes"),
        ("CHANNELS", "{} channels"),
        ("NGRAMS", "{} n-grams"),
        ("SERIES", "{} train series"),
        ("PLACES", "{} places"),
    ):
        assert words.format(getattr(exploration, name)) in re.sub(r"\s+", " ", PAGE)
    assert f"{POINTS} points a series" in PAGE
    assert LONGEST == 3
    assert "one to three codes" in PAGE
