"""The how-to page of tokenizers is true: its code runs, its names exist."""

import re
from pathlib import Path

from conftest import run_how_to

from twincode.config import field_names
from twincode.recipes import RECIPES
from twincode.tokenizers import TOKENIZERS

PAGE = (Path(__file__).parents[2] / "docs" / "tokenizers.md").read_text(encoding="utf-8")
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `")][1:]
REGISTRY = TOKENIZERS


def test_its_code_runs_from_outside_the_package(registry):
    few = "epochs=1, projector_width=8, latent_channels=4, kmeans_fits=1, evaluations=1"
    names = run_how_to(PAGE, few)
    assert "patches" in registry
    model, X = names["model"], names["data"].X_test
    assert model.decode(model.encode(X)).shape == X.shape


def test_its_table_is_complete_and_its_names_exist():
    assert {row[0].strip("` ") for row in ROWS} == set(TOKENIZERS)
    for name, recipe, _, settings in ROWS:
        if recipe.strip():
            config = RECIPES[recipe.strip("` ")]()
            assert config.tokenizer.tokenizer == name.strip("` ")
            named = re.findall(r"`([a-z_]+)`", settings)
            assert config.replace(band_widths=()).idle(named) == {}


def test_its_commands_are_of_recipes_and_settings_that_exist():
    for line in re.findall(r"^    twincode train .*$", PAGE, re.MULTILINE):
        assert re.search(r"--recipe ([a-z0-9-]+)", line)[1] in RECIPES
        options = {word.replace("-", "_") for word in re.findall(r"--([a-z-]+)", line)}
        assert options - {"recipe", "out"} <= set(field_names())
