import json
import statistics

import pytest
import synthetic as made
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.report import load_results
from twincode.report.results import file_names, summarise

COLUMNS = (
    "study run dataset recipe label gamma seed epoch readout metric value device commit seconds"
)


def test_every_stored_evaluation_is_one_tidy_row(tmp_path):
    results = load_results(made.write_study(tmp_path / "study"))
    stored = [
        (run.id, entry["epoch"], entry["readout"], entry["metric"], entry["value"])
        for run in results.runs
        for entry in run.record["evaluations"]
    ]
    assert list(results.table.columns) == COLUMNS.split()
    keys = ["run", "epoch", "readout", "metric", "value"]
    assert list(results.table[keys].itertuples(index=False, name=None)) == stored


def test_final_values_are_mean_and_sample_deviation_of_the_last_epoch(tmp_path):
    results = load_results(made.write_study(tmp_path / "study", seeds=(0, 1, 2)))
    values = [
        entry["value"]
        for run in results.runs
        for entry in run.record["evaluations"]
        if run.label == "Naive VQ-VAE"
        and (entry["epoch"], entry["readout"], entry["metric"]) == (20, "flatten", "svm_accuracy")
    ]
    found = results.final["GunPoint", "Naive VQ-VAE", "flatten", "svm_accuracy"]
    assert len(values) == found.count == 3
    assert found.mean == pytest.approx(statistics.mean(values))
    assert found.spread == pytest.approx(statistics.stdev(values))


def test_the_folder_of_a_single_run_is_a_study_of_one(tmp_path):
    study = made.write_study(tmp_path / "study")
    results = load_results(study / "runs" / "00-1")
    assert [run.id for run in results.runs] == ["00-1"]
    assert results.command.startswith("twincode train GunPoint")


def test_planned_runs_without_a_result_are_counted_as_missing(tmp_path):
    results = load_results(made.write_study(tmp_path / "study", planned=9))
    assert (len(results.runs), results.missing) == (5, 4)


def test_data_sets_keep_the_order_of_the_study(tmp_path):
    data = (made.Data("Zebra"), made.Data("Ant"))
    results = load_results(made.write_study(tmp_path / "study", (made.RAW,), data))
    assert results.datasets == ("Zebra", "Ant")


def test_a_folder_without_results_says_so(tmp_path):
    with pytest.raises(TwincodeError, match=r"no finished runs in .*; give the folder"):
        load_results(tmp_path)


@pytest.mark.parametrize(
    "damage",
    (
        lambda text: text[: len(text) // 2],
        lambda _: "[]",
        lambda text: json.dumps({**json.loads(text), "evaluations": [{"epoch": 1}]}),
        lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "dataset"}),
        lambda text: json.dumps({**json.loads(text), "format": 99}),
    ),
    ids=("cut short", "not a mapping", "evaluation without value", "no data set", "other format"),
)
def test_a_damaged_result_is_named(tmp_path, damage):
    path = made.write_study(tmp_path / "study") / "runs" / "01-0" / "result.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(TwincodeError, match=r"01-0.result\.json") as caught:
        load_results(tmp_path / "study")
    assert "\n" not in str(caught.value)


def test_damaged_exhibits_are_named(tmp_path):
    study = made.write_study(tmp_path / "study")
    (study / "runs" / "00-0" / "exhibits.npz").write_bytes(b"PK\x03\x04 and no more")
    run = next(run for run in load_results(study).runs if run.id == "00-0")
    with pytest.raises(TwincodeError, match=r"00-0.exhibits\.npz"):
        _ = run.exhibits


def test_values_that_are_not_finite_stay_out_of_the_mean():
    assert summarise([1.0, float("nan"), 3.0]).mean == 2.0
    assert summarise([float("nan")]).count == 0
    assert summarise([4.0]).spread is None


@given(st.lists(st.text(max_size=12), unique=True, max_size=8))
def test_file_names_are_safe_and_distinct(names):
    chosen = list(file_names(names).values())
    assert len({name.lower() for name in chosen}) == len(names)
    assert all(name and not set(name) & set('/\\<>:"|?* \n') for name in chosen)
    assert not set(chosen) & {".", ".."}
