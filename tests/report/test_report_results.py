import json
import statistics

import pytest
import synthetic as made
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.report import load_results
from twincode.report.provenance import warnings
from twincode.report.results import file_names, records_text
from twincode.report.runs import evenly, summarise

COLUMNS = (
    "study run dataset recipe label gamma seed epoch readout metric value device commit versions "
    "seconds"
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


def two_studies(folder):
    """A study of 20 epochs; then, in the same folder, one of 40, which alone it describes."""
    short = made.write_study(folder / "short", (made.NAIVE, made.TWINS[1]))
    planned = [f"long-{model}{seed}" for model in (0, 1) for seed in (0, 1)]
    long = made.write_study(folder / "long", (made.NAIVE, made.TWINS[1]), epochs=40)
    for run in (long / "runs").iterdir():
        target = short / "runs" / f"long-{run.name[1]}{run.name[-1]}"
        run.rename(target)
    (long / "study.json").replace(short / "study.json")
    described = json.loads((short / "study.json").read_text())
    (short / "study.json").write_text(json.dumps({**described, "runs": planned}))
    return short


def test_two_studies_in_one_folder_are_kept_apart(tmp_path):
    results = load_results(two_studies(tmp_path))
    assert {run.epochs for run in results.runs} == {40}
    assert {summary.count for summary in results.final.values()} == {2}
    assert (results.planned, results.missing, results.left_out) == (4, 0, 4)
    assert warnings(results) == ["4 runs in this folder belong to other studies and are left out."]


def test_a_damaged_run_of_another_study_is_none_of_this_ones_business(tmp_path):
    folder = two_studies(tmp_path)
    (folder / "runs" / "00-0" / "result.json").write_text("{")
    assert len(load_results(folder).runs) == 4


def test_only_planned_runs_without_a_result_are_missing(tmp_path):
    planned = ["00-0", "00-1", "never-run", "nor-this", "nor-this"]
    results = load_results(made.write_study(tmp_path / "study", planned=planned))
    assert [run.id for run in results.runs] == ["00-0", "00-1"]
    assert (results.planned, results.missing, results.left_out) == (4, 2, 3)
    assert "2 of 4 planned runs are missing" in " ".join(warnings(results))


def test_without_names_every_run_counts_and_repeats_are_called_out(tmp_path):
    folder = two_studies(tmp_path)
    described = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**described, "runs": 8}))
    results = load_results(folder)
    assert (len(results.runs), results.left_out) == (8, 0)
    assert "Naive VQ-VAE on GunPoint was run 2 times with seed 0; all count." in warnings(results)


def test_a_study_of_which_nothing_is_finished_says_so(tmp_path):
    study = made.write_study(tmp_path / "study", planned=["never-run"])
    with pytest.raises(TwincodeError, match=r"no finished runs in .* but 5 of other studies"):
        load_results(study)


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


def test_the_history_is_one_tidy_row_per_epoch_and_quantity(tmp_path):
    results = load_results(made.write_study(tmp_path / "study", epochs=3))
    history = results.history
    columns = "study run dataset label seed epoch quantity value"
    assert list(history.columns) == columns.split()
    stored = [
        (run.id, run.seed, entry["epoch"], name, value)
        for run in results.runs
        for entry in run.record["history"]
        for name, value in {"perplexity": entry["perplexity"], **entry["losses"]}.items()
    ]
    found = history[["run", "seed", "epoch", "quantity", "value"]]
    assert list(found.itertuples(index=False, name=None)) == stored


@given(st.lists(st.integers(), max_size=30), st.integers(2, 40))
def test_what_is_chosen_evenly_keeps_both_ends(items, most):
    chosen = list(evenly(items, most))
    assert len(chosen) == min(len(items), most)
    assert chosen[:1] == items[:1]
    assert chosen[-1:] == items[-1:]


def test_a_study_kept_as_records_gives_the_same_final_numbers(tmp_path):
    results = load_results(made.write_study(tmp_path / "study", made.ALL_MODELS))
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "study.json").write_bytes((tmp_path / "study" / "study.json").read_bytes())
    (kept / "runs.jsonl").write_text(records_text(results))
    again = load_results(kept)
    assert again.final == results.final
    assert (again.name, again.command) == (results.name, results.command)
    assert again.history.empty
    assert len((kept / "runs.jsonl").read_bytes()) < 8000 * len(results.runs)


def test_records_of_an_earlier_report_do_not_stand_in_for_runs(tmp_path):
    study = made.write_study(tmp_path / "study")
    (study / "runs.jsonl").write_text(records_text(load_results(study)))
    for path in (study / "runs").glob("*/result.json"):
        path.unlink()
    with pytest.raises(TwincodeError, match="no finished runs"):
        load_results(study)


@pytest.mark.parametrize("damage", ("{", "[]\n", '{"format": 1}\n'))
def test_a_damaged_record_is_named_with_its_line(tmp_path, damage):
    results = load_results(made.write_study(tmp_path / "study", seeds=(0,)))
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "runs.jsonl").write_text(records_text(results) + damage)
    with pytest.raises(TwincodeError, match=r"line 4 of .*runs\.jsonl is not"):
        load_results(kept)


def test_circumstances_stand_beside_the_numbers(tmp_path):
    study = made.write_study(tmp_path / "study", (made.NAIVE,), seeds=(0,))
    results = load_results(study)
    final = results.final
    assert final["GunPoint", "Naive VQ-VAE", "", "seconds"].mean == results.runs[0].seconds
    assert final["GunPoint", "Naive VQ-VAE", "", "parameters"].mean == 1234567


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
