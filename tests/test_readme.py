"""The front page is true: its code runs, its links and recipes exist."""

import re
from pathlib import Path

from twincode.recipes import RECIPES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_of_the_first_screen_runs(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    small = code.replace("epochs=50", "epochs=1, projector_width=8, kmeans_fits=1")
    assert small != code
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(small, names)
    assert names["codes"].shape[0] == names["series"].shape[0] == 150
    assert (names["model"].encode(names["data"].X_test) == names["codes"]).all()


def test_every_link_leads_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "results" / "README.md"]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_recipe_is_in_the_table():
    named = set(re.findall(r"`([a-z0-9-]+)`", README))
    assert set(RECIPES) <= named
