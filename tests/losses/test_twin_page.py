"""The how-to page of twin objectives is true: its code runs, its names exist."""

import re
from pathlib import Path

from conftest import run_how_to
from settings_read import SMALL, settings_read

from twincode.losses import TWIN_LOSSES
from twincode.recipes import RECIPES, label, recipe

PAGE = (Path(__file__).parents[2] / "docs" / "twin-objectives.md").read_text(encoding="utf-8")
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `")][1:]
REGISTRY = TWIN_LOSSES


def test_its_code_runs_from_outside_the_package(registry):
    few = "epochs=1, projector_width=8, latent_channels=4, kmeans_fits=1, evaluations=1"
    names = run_how_to(PAGE, few)
    assert {"cosine", "centred"} <= registry.keys()
    assert names["model"].config.objective.twin_loss == "centred"
    assert label(names["config"]) == "BT-VQVAE (cosine) γ=0.5"


def test_its_table_is_complete_and_its_names_exist():
    assert [row[0].strip("` ") for row in ROWS] == list(TWIN_LOSSES), (
        "one row a loss, in this order"
    )
    for row in ROWS:
        name, recipes, _, teacher, _ = (cell.strip() for cell in row)
        for each in re.findall(r"`([a-z-]+)`", recipes):
            assert RECIPES[each]().objective.twin_loss == name.strip("`")
        assert bool(teacher) == TWIN_LOSSES[name.strip("`")](SMALL).needs_teacher


def test_its_table_says_which_settings_a_loss_reads():
    above = set()
    for row in ROWS:
        name = row[0].strip("` ")
        named = set(re.findall(r"`([a-z_]+)`", row[4]))
        named |= above if "the same" in row[4] else set()
        of_teacher = {"teacher_momentum", "teacher_schedule"} if row[3].strip() else set()
        read = settings_read(name) - {"projector_width"}  # all read it
        assert named == read | of_teacher, name
        assert recipe("bt-vqvae", twin_loss=name).idle(named) == {}
        above = named
