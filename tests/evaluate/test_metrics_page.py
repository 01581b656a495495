"""The how-to page of metrics is true: its code runs, its table is complete."""

import re
from pathlib import Path

import pytest
from conftest import run_how_to

from twincode.evaluate import METRICS, READOUTS, USUAL_METRICS
from twincode.settings import field_types

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `")][1:]


@pytest.fixture
def registered(monkeypatch):
    """What the page registers is gone afterwards."""
    for table in ("_settings", "_builders"):
        monkeypatch.setattr(METRICS, table, dict(getattr(METRICS, table)))
    yield
    READOUTS.pop("widest", None)


@pytest.mark.usefixtures("registered")
def test_its_code_runs_from_outside_the_package():
    names = run_how_to(PAGE, "epochs=1, latent_channels=4, evaluations=1")
    found = {(each.readout, each.metric): each.value for each in names["scores"]}
    assert 0.5 < found["flatten", "ridge_accuracy"] <= 1
    assert ("flatten", "knn1_accuracy") in found
    assert ("", "perplexity") not in found
    config = names["config"].replace(metrics="repeats,ridge", readouts="widest")
    assert config.metrics[1].ridge_penalty == 10
    names["model"].config = config
    assert [each.metric for each in names["model"].evaluate(names["data"])] == [
        "ridge_accuracy", "repeated_codes",
    ]  # fmt: skip


def test_its_table_is_complete():
    assert tuple(row[0].strip("` ") for row in ROWS) == USUAL_METRICS
    for row in ROWS:
        name, settings = row[0].strip("` "), type(METRICS.choose(row[0].strip("` ")))
        assert re.findall(r"`([a-z_]+)`", row[3]) == list(field_types(settings))
        declared = [each.name for each in METRICS.build(METRICS.choose(name)).metrics]
        assert re.findall(r"`([a-z_0-9]+)`", row[2]) == declared
