import json
import shutil

import numpy as np
import pytest
import synthetic as made
from scipy.stats import rankdata

from twincode.report import load_results
from twincode.report.across import comparable, critical_rankings, fronts, ranking_of
from twincode.report.trade import dataset_trade_offs, relative_trade_offs

MODELS = (made.NAIVE, made.AUGMENTED, *made.TWINS, made.RANDOM, made.RAW)


def study_of(folder, datasets, models=MODELS, seeds=(0, 1)):
    data = tuple(made.Data(f"Data{index}", gain=index / 3) for index in range(datasets))
    return made.write_study(folder / "study", models, data, seeds, 4, examples=False)


def test_ranks_are_over_the_means_of_seeds(tmp_path):
    results = load_results(study_of(tmp_path, 7))
    means = [
        [results.final[name, model.label, "flatten", "svm_accuracy"].mean for model in MODELS]
        for name in results.datasets
    ]
    found = ranking_of(results, "svm_accuracy")
    assert found.labels == tuple(model.label for model in MODELS)
    assert found.ranks == pytest.approx(rankdata(-np.array(means), axis=1).mean(axis=0))
    assert (found.datasets, found.critical is None) == (7, False)


def test_only_data_sets_that_all_compared_models_have_count(tmp_path):
    study = study_of(tmp_path, 4)
    for seed in (0, 1):
        shutil.rmtree(study / "runs" / f"22-{seed}")  # one twin model on the third data set
    found = comparable(load_results(study), "svm_accuracy")
    assert found.datasets == ("Data0", "Data1", "Data3")
    assert len(found.models) == len(MODELS)
    front = fronts(load_results(study))[0]
    assert front.note.startswith("Mean and rank over the 3 of 4 data sets on which all 7 compared")
    assert "Too few for a test" in front.note


def test_a_model_on_a_few_data_sets_takes_none_from_the_others(tmp_path):
    study = study_of(tmp_path, 4)
    for dataset in (1, 2, 3):
        for seed in (0, 1):
            shutil.rmtree(study / "runs" / f"{dataset}2-{seed}")
    results = load_results(study)
    assert comparable(results, "svm_accuracy").datasets == results.datasets
    row = next(row for row in fronts(results)[0].rows if row.model.label == made.TWINS[0].label)
    assert (row.mean.mean, row.rank.mean) == ("–", "–")
    assert [cell.mean != "–" for cell in row.cells] == [True, False, False, False]


def test_untrained_decoders_are_not_ranked_by_their_error(tmp_path):
    results = load_results(study_of(tmp_path, 3))
    assert all(model.trained for model in comparable(results, "reconstruction").models)


def test_the_front_table_says_where_nothing_can_be_averaged(tmp_path):
    front = fronts(load_results(study_of(tmp_path, 1)))[0]
    assert front.title == "Linear SVM ↑, flatten"
    assert "too few data sets (1 of 1)" in front.note
    assert {row.rank.mean for row in front.rows} == {"–"}


def test_there_is_no_critical_difference_over_few_data_sets(tmp_path):
    assert critical_rankings(load_results(study_of(tmp_path, 5))) == []


def test_a_trade_off_over_data_sets_is_relative_to_the_naive_model(tmp_path):
    results = load_results(study_of(tmp_path, 3))
    (panel,) = relative_trade_offs(results, ["svm_accuracy"])
    naive = panel.points["Naive VQ-VAE"]
    assert (naive.cost.mean, naive.gain.mean) == (pytest.approx(1.0), 0.0)
    final, label = results.final, made.TWINS[2].label
    ratios = [
        final[name, label, "", "reconstruction"].mean
        / final[name, "Naive VQ-VAE", "", "reconstruction"].mean
        for name in results.datasets
    ]
    assert panel.points[label].cost.mean == pytest.approx(np.prod(ratios) ** (1 / 3))
    assert set(panel.levels) == {made.RANDOM.label, made.RAW.label}


def test_without_a_naive_model_nothing_is_relative(tmp_path):
    results = load_results(study_of(tmp_path, 2, (made.TWINS[0], made.TWINS[1])))
    assert relative_trade_offs(results, ["svm_accuracy"]) == []
    assert len(dataset_trade_offs(results, "Data0", ["svm_accuracy"])[0].points) == 2


def test_a_model_that_diverged_on_one_data_set_drops_that_set_from_the_ranks(tmp_path):
    study = study_of(tmp_path, 3)
    for seed in (0, 1):
        path = study / "runs" / f"12-{seed}" / "result.json"
        record = json.loads(path.read_text())
        for entry in record["evaluations"]:
            entry["value"] = None
        path.write_text(json.dumps(record))
    assert comparable(load_results(study), "svm_accuracy").datasets == ("Data0", "Data2")
