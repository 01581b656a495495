import json

import pytest
import synthetic as made
from scipy.stats import t

from twincode.report import load_results, summary_table
from twincode.report.metrics import decimals_for, mean_and_spread, metric_of
from twincode.report.models import models_of
from twincode.report.provenance import duration, settings, warnings
from twincode.report.tables import comparison, comparison_frame, other_readouts


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "study"
    return load_results(made.write_study(folder, made.ALL_MODELS))


def test_rows_run_from_naive_over_twins_by_gamma_to_controls(results):
    labels = [row.model.label for row in comparison(results, "GunPoint").rows]
    assert labels == [model.label for model in made.ALL_MODELS]


def test_every_model_has_a_colour_of_its_own(results):
    models = models_of(results.runs)
    assert len({model.colour for model in models}) == len(models)
    assert models_of(reversed(results.runs)) == models


def test_only_trained_models_are_marked_best(tmp_path):
    study = made.write_study(tmp_path / "study", (made.NAIVE, made.TWINS[1], made.RAW), seeds=(0,))
    twin, raw = (study / "runs" / name / "result.json" for name in ("01-0", "02-0"))
    copied = json.loads(twin.read_text())["evaluations"]
    raw.write_text(json.dumps({**json.loads(raw.read_text()), "evaluations": copied}))
    table = comparison(load_results(study), "GunPoint")
    marked = {row.model.label: sum(cell.best for cell in row.cells) for row in table.rows}
    assert marked["Raw series"] == 0
    directed = sum(bool(metric.better) for metric in table.metrics)
    assert marked["Naive VQ-VAE"] + marked["BT-VQVAE γ=1"] == directed


def test_the_best_follows_the_direction_of_the_metric(results):
    table = comparison(results, "GunPoint")
    place = [metric.name for metric in table.metrics].index("reconstruction")
    best = [row.model.label for row in table.rows if row.cells[place].best]
    assert best == ["Naive VQ-VAE"]


def test_other_readouts_show_probes_alone(results):
    assert other_readouts(results, "GunPoint") == ["histogram", "mean"]
    table = comparison(results, "GunPoint", "mean")
    assert all(metric.probe for metric in table.metrics)
    assert "Raw series" not in [row.model.label for row in table.rows]


def test_the_frame_keeps_every_final_number(results):
    frame = comparison_frame(results, "GunPoint")
    assert len(frame) == len(results.final)
    row = frame[(frame.model == "Raw series") & (frame.metric == "svm_accuracy")].iloc[0]
    assert (row["runs"], row["std"] != row["std"]) == (1, True)


def hints_of(results, label):
    rows = comparison(results, "GunPoint").rows
    return {cell.hint for row in rows if row.model.label == label for cell in row.cells}


def test_an_interval_stands_behind_each_mean_of_three_seeds(tmp_path):
    models = (made.NAIVE, made.RAW)
    results = load_results(made.write_study(tmp_path / "study", models, seeds=(0, 1, 2)))
    hints = hints_of(results, "Naive VQ-VAE")
    assert all(hint.startswith("95 % interval ") and hint.endswith("3 seeds") for hint in hints)
    assert hints_of(results, "Raw series") == {""}
    frame = comparison_frame(results, "GunPoint").set_index(["model", "readout", "metric"])
    row = frame.loc["Naive VQ-VAE", "flatten", "svm_accuracy"]
    half = t.ppf(0.975, 2) * row["std"] / 3**0.5
    assert row["interval_high"] - row["mean"] == pytest.approx(half)


def test_two_seeds_stand_as_they_are_and_give_no_interval(results):
    values = sorted(
        run.final["flatten", "svm_accuracy"] for run in results.of_label("Naive VQ-VAE")
    )
    hint = f"two seeds: {values[0]:.3f} and {values[1]:.3f}"
    assert hint in hints_of(results, "Naive VQ-VAE")
    assert comparison_frame(results, "GunPoint")["interval_low"].isna().all()


def test_active_units_are_a_column_where_a_model_has_them(tmp_path, results):
    study = made.write_study(tmp_path / "study", (made.NAIVE, made.RAW), seeds=(0,))
    path = study / "runs" / "00-0" / "result.json"
    record = json.loads(path.read_text())
    record["evaluations"].append(
        {"epoch": 20, "readout": "", "metric": "active_units", "value": 1920.0}
    )
    path.write_text(json.dumps(record))
    titles = [metric.title for metric in comparison(load_results(study), "GunPoint").metrics]
    assert titles[-2:] == ["Active units", "Seconds"]
    assert "Active units" not in [m.title for m in comparison(results, "GunPoint").metrics]


def test_the_summary_has_one_row_per_data_set_and_model(results):
    table = summary_table(results)
    columns = ["svm", "knn1", "knn5", "silhouette", "reconstruction", "perplexity"]
    assert list(table.columns) == ["data set", "model", "seeds", *columns]
    assert len(table) == len(made.ALL_MODELS)
    raw = table[table["model"] == "Raw series"].iloc[0]
    assert (raw["seeds"], raw["reconstruction"]) == (1, "–")
    assert "±" in table.iloc[0]["svm"]


def test_settings_part_into_differing_and_shared(results):
    models = models_of(results.runs)
    differing, shared = settings(results, models)
    names = [setting.name for setting in differing]
    assert names == ["recipe", "objective.gamma", "objective.upper_input", "training.epochs"]
    assert "training.seed" not in [setting.name for setting in shared]


def test_an_unfinished_study_and_a_doubled_run_are_warned_of(tmp_path):
    study = made.write_study(tmp_path / "study", planned=8)
    (study / "runs" / "00-0").rename(study / "runs" / "again")
    made.write_study(tmp_path / "study2")
    (tmp_path / "study2" / "runs" / "00-0").rename(study / "runs" / "00-0")
    found = " ".join(warnings(load_results(study)))
    assert "2 of 8 planned runs are missing" in found
    assert "run 2 times with seed 0" in found


def test_metrics_that_nobody_listed_keep_their_name():
    assert metric_of("knn3_accuracy").title == "3-NN"
    assert metric_of("new_measure").title == "New measure"


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    (("svm_accuracy", [0.5], 3), ("reconstruction", [0.05, 0.09, 136.0], 4), ("seconds", [150], 0)),
)
def test_decimals_fit_the_column(name, values, expected):
    assert decimals_for(name, values) == expected


def test_numbers_are_written_with_their_spread_where_there_is_one():
    assert mean_and_spread(-0.5, 0.25, 2) == "−0.50 ± 0.25"
    assert mean_and_spread(0.5, None, 2) == "0.50"
    assert mean_and_spread(float("nan"), None, 2) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"), ((8.44, "8.4 s"), (250, "4 min 10 s"), (11520, "3 h 12 min"))
)
def test_durations_are_written_in_fitting_units(seconds, text):
    assert duration(seconds) == text
