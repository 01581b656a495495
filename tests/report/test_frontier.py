"""What the page says of bits, errors and classes is what the rows of the runs give."""

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import synthetic

from twincode.report import load_results, write_figures, write_report
from twincode.report.blocks import Figure, Table, Text
from twincode.report.pages import frontier

DATASETS = ("GunPoint", "ECG200", "Wafer")
FORMS = tuple(
    synthetic.closed_form(title, name, bits)
    for title, name in (("Mixture", "mixture"), ("Components", "pca-pq"))
    for bits in (45, 100, 200)
)
MODELS = (synthetic.NAIVE, synthetic.CONTINUOUS, *FORMS, synthetic.RANDOM, synthetic.RAW)


def write(folder, models=MODELS, datasets=DATASETS, seeds=(0, 1)):
    folder = synthetic.write_study(folder, models, datasets, seeds, points=0)
    return synthetic.add_frontier(folder)


def change(folder, runs, measured):
    """Give every number of some runs' last evaluation another value, or none at all."""
    for path in folder.glob(f"runs/{runs}/result.json"):
        record = json.loads(path.read_text())
        record["evaluations"] = [
            {**each, "value": measured[each["metric"]]} if each["metric"] in measured else each
            for each in record["evaluations"]
            if measured.get(each["metric"], 0) is not None
        ]
        path.write_text(json.dumps(record))


def shown(folder):
    """The blocks of the section: its sentences, its figures by name, its table by name and rate."""
    (section,) = frontier.sections(load_results(folder))
    told = [block.text for block in section.blocks if isinstance(block, Text)]
    figures = {block.name: block for block in section.blocks if isinstance(block, Figure)}
    (table,) = [block for block in section.blocks if isinstance(block, Table)] or [None]
    return told, figures, table


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write(tmp_path_factory.mktemp("frontier") / "study")


@pytest.fixture(scope="module")
def last(study):
    """Means over seeds, from the rows: a row a model and data set, a column a metric."""
    table = load_results(study).table
    rows = table[
        (table.readout == "") & (table.epoch == table.groupby("run").epoch.transform("max"))
    ]
    return rows.pivot_table("value", ["model", "dataset"], "metric")


def test_the_table_has_the_numbers_of_the_rows(study, last):
    _, _, table = shown(study)
    heads = [
        *("Model", "Bits asked", "Bits a series", "Bits a step", "NMSE ↓", "NMSE over bound ↓"),
        *("Kernels accuracy ↑", "Retained accuracy ↑", "Bytes of the model", "Seconds"),
    ]
    assert list(table.columns) == heads
    (row,) = [r for r in table.rows if r.name == "Mixture" and r.cells[0].text == "100"]
    own = last.loc["Mixture bits=100"]
    values = [cell.value for cell in row.cells[1:]]
    assert values[:2] == pytest.approx([own.bits.mean(), own.bits_per_step.mean()])
    assert values[2] == pytest.approx(math.prod(own.nmse) ** (1 / 3))
    assert values[3] == pytest.approx(math.prod(own.nmse / own.bound) ** (1 / 3))
    assert values[4:7] == pytest.approx(
        [own.kernels.mean(), own.retained_accuracy.mean(), own.model_bytes.mean()]
    )


def test_rows_go_by_rate_then_error_and_controls_stay(study):
    _, _, table = shown(study)
    names = [(row.name, row.cells[0].text) for row in table.rows]
    assert [asked for _, asked in names[:4]] == ["45", "45", "100", "100"]
    assert {name for name, _ in names[4:8]} == {"VQ-VAE", "Mixture", "Components", "Random encoder"}
    assert names[8:] == [("VAE", "no limit"), ("Raw series", "no limit")]
    for group in (table.rows[:2], table.rows[2:4], table.rows[4:8]):
        errors = [row.cells[3].value for row in group]
        assert errors == sorted(errors)
    assert table.rows[-1].cells[3].text == "0"


def test_the_sentence_names_the_least_error_at_every_shared_rate(study, tmp_path):
    assert shown(study)[0] == [
        "Least NMSE, geometric mean over 3 data sets: Components at 45 and 100 bits; "
        "VQ-VAE at 200 bits."
    ]
    other = tmp_path / "study"
    shutil.copytree(study, other)
    change(other, "??04-?", {"nmse": 1e-4})
    told, _, table = shown(other)
    assert told[0].endswith("Components at 45 and 100 bits; Mixture at 200 bits.")
    assert [r.name for r in table.rows if r.cells[3].best] == [
        "Components",
        "Components",
        "Mixture",
    ]


def test_charts_place_every_model(study, last):
    _, figures, _ = shown(study)
    assert list(figures) == ["frontier-error", "frontier-accuracy"]
    error = figures["frontier-error"]
    assert next(iter(error.controls[0].options.items())) == ("all data sets", "")
    assert list(error.controls[0].options)[1:] == list(DATASETS)
    rows = error.data[error.data.dataset == "Wafer"].set_index(["curve", "model"])
    for (curve, model), row in rows.iterrows():
        own = last.loc[model, "Wafer"]
        assert row.nmse == pytest.approx(own.bound if curve == "Gaussian bound" else own.nmse)
        if model != "VAE":
            assert row.across == pytest.approx(own.bits)
    assert len(rows.loc["Mixture"]) == len(rows.loc["Components"]) == 3
    assert rows.loc["VAE", "VAE"].taken == "no limit"
    assert rows.loc["VAE", "VAE"].across > 2 * rows.bits.max()
    assert "Raw series" not in rows.index.get_level_values("model")
    whole = error.data[error.data.dataset == ""].set_index(["curve", "model"])
    expected = np.exp(np.log(last.loc["Mixture bits=45"].bound).mean())
    assert whole.loc["Gaussian bound", "Mixture bits=45"].nmse == pytest.approx(expected)


def test_accuracy_is_beside_that_on_the_original_series(study, tmp_path):
    accuracy = shown(study)[1]["frontier-accuracy"]
    assert list(accuracy.controls[1].options.values()) == ["kernels", "retained_accuracy"]
    levels = accuracy.data[accuracy.data.curve == "Original series"]
    assert list(levels.dataset) == ["", *DATASETS]
    assert list(levels.kernels) == pytest.approx([0.9] * 4)
    assert list(levels.retained_accuracy) == [1] * 4
    # Without the raw series, retained accuracy tells what theirs is.
    without = shown(write(tmp_path / "study", MODELS[:-1], seeds=(0,)))[1]["frontier-accuracy"].data
    assert list(without[without.curve == "Original series"].kernels) == pytest.approx([0.9] * 4)


def test_over_all_are_the_data_sets_that_every_model_has(study, last, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(study, folder)
    for run in (folder / "runs").glob("0105-?"):  # Components at 45 bits on ECG200
        shutil.rmtree(run)
    for run in (folder / "runs").glob("0[12]02-?"):  # Mixture at 45 bits on two of three
        shutil.rmtree(run)
    told, figures, table = shown(folder)
    assert "over 2 data sets: VQ-VAE" in told[0] or "over 2 data sets: Components" in told[0]
    assert table.note.startswith("Over 2 of 3 data sets")
    (row,) = [r for r in table.rows if r.name == "Components" and r.cells[0].text == "45"]
    own = last.loc["Components bits=45"].loc[["GunPoint", "Wafer"]]
    assert row.cells[3].value == pytest.approx(math.sqrt(math.prod(own.nmse)))
    data = figures["frontier-error"].data
    assert set(data[data.model == "Mixture bits=45"].dataset) == {"GunPoint"}


def test_a_column_that_is_over_fewer_data_sets_says_so(tmp_path):
    """Of series without labels nothing is told of classes."""
    folder = write(tmp_path / "study", seeds=(0,))
    change(folder, "01*", {"kernels": None, "retained_accuracy": None})
    _, _, table = shown(folder)
    assert table.note.startswith(
        "Over 3 of 3 data sets (Kernels accuracy ↑ over 2, Retained accuracy ↑ over 2): geometric"
    )


def test_no_section_without_rates(tmp_path):
    bare = synthetic.write_study(tmp_path / "bare", points=0)
    assert frontier.sections(load_results(bare)) == []
    continuous = write(tmp_path / "continuous", [synthetic.CONTINUOUS, synthetic.RAW])
    assert frontier.sections(load_results(continuous)) == []
    old = Path(__file__).parent / "format_one"
    assert frontier.sections(load_results(old)) == []


def test_numbers_that_are_missing_leave_gaps_alone(tmp_path):
    folder = write(tmp_path / "study", seeds=(0,))
    change(folder, "0002-0", {"nmse": math.nan, "bits": math.nan})
    change(folder, "0?03-0", {"bound": None, "kernels": None, "retained_accuracy": None})
    change(folder, "0?00-0", {"nmse": 0.0})
    change(folder, "0?05-0", {"bits": None})
    page = write_report(folder).read_text()
    _, figures, table = shown(folder)
    assert figures["frontier-error"].data.nmse.min() > 0
    (row,) = [r for r in table.rows if r.name == "Mixture" and r.cells[0].text == "100"]
    assert [row.cells[n].text for n in (4, 5, 6)] == ["–"] * 3
    assert "NaN" not in re.search(r'id="stored">(.*?)</script>', page)[1]
    change(folder, "*", {"kernels": None, "retained_accuracy": None})
    assert list(shown(folder)[1]) == ["frontier-error"]


@pytest.mark.parametrize("model", [MODELS[0], FORMS[0]])
def test_one_model_on_one_data_set(model, tmp_path):
    folder = write(tmp_path / "study", [model], DATASETS[:1], (0,))
    for place in (folder, folder / "runs" / "0000-0"):
        told, figures, table = shown(place)
        assert told == []
        assert list(figures["frontier-error"].controls[0].options) == ["GunPoint"]
        assert len(table.rows) == 1
    names = {path.name for path in write_figures(folder)}
    assert {"frontier-error-GunPoint.svg", "frontier-accuracy-GunPoint.svg"} <= names


def test_the_page_begins_with_it_and_files_show_all_data_sets(study, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(study, folder)
    page = write_report(folder).read_text()
    assert re.findall(r'<section id="(\w+)', page)[0] == "frontier"
    names = {path.name for path in write_figures(folder, ["svg"])}
    assert {"frontier-error.svg", "frontier-error-Wafer.svg", "frontier-accuracy.svg"} <= names
    drawn = (folder / "figures" / "frontier-error.svg").read_text()
    for text in ("no limit", "Gaussian bound", "Mixture", "VQ-VAE"):
        assert text in drawn
