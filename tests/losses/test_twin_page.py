"""The how-to page of twin objectives is true: its code runs, its names exist."""

import re
from pathlib import Path

from conftest import run_how_to

from twincode.config import ObjectiveConfig
from twincode.losses import TWIN_LOSSES
from twincode.recipes import RECIPES, label, recipe

PAGE = (Path(__file__).parents[2] / "docs" / "twin-objectives.md").read_text(encoding="utf-8")
SMALL = ObjectiveConfig(projector_width=4, predictor_width=4, queue_size=4)
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `")][1:]
REGISTRY = TWIN_LOSSES


def test_its_code_runs_from_outside_the_package(registry):
    few = "epochs=1, projector_width=8, latent_channels=4, kmeans_fits=1, evaluations=1"
    names = run_how_to(PAGE, few)
    assert {"cosine", "centred"} <= registry.keys()
    assert names["model"].config.objective.twin_loss == "centred"
    assert label(names["config"]) == "BT-VQVAE (cosine) γ=0.5"


def test_its_table_is_complete_and_its_names_exist():
    assert [row[0].strip("` ") for row in ROWS] == list(TWIN_LOSSES)
    for row in ROWS:
        name, recipes, _, teacher, settings = (cell.strip() for cell in row)
        for each in re.findall(r"`([a-z-]+)`", recipes):
            assert RECIPES[each]().objective.twin_loss == name.strip("`")
        config = recipe("bt-vqvae", twin_loss=name.strip("`"))
        assert config.idle(re.findall(r"`([a-z_]+)`", settings)) == {}
        twin = TWIN_LOSSES[name.strip("`")](SMALL)
        assert bool(teacher) == twin.needs_teacher
