import itertools
import json
import shutil
import statistics

import numpy as np
import pytest
import synthetic as made
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from twincode.report import load_results
from twincode.report.paired import (
    by_comparison,
    holm,
    paired_differences,
    paired_frame,
    signed_rank,
)

TWIN = made.TWINS[1]


def study_of(folder, datasets, seeds, models=(made.NAIVE, TWIN), noise=0.05):
    data = tuple(made.Data(f"Data{index}") for index in range(datasets))
    return made.write_study(folder / "study", models, data, tuple(range(seeds)), 4, noise)


def stored(study, model, metric, readout):
    """The last epoch's numbers by (data set, seed), read from the files without the library."""
    found = {}
    for path in (study / "runs").glob("*/result.json"):
        record = json.loads(path.read_text())
        if record["label"] == model.label:
            values = [
                entry["value"]
                for entry in record["evaluations"]
                if (entry["metric"], entry["readout"]) == (metric, readout)
            ]
            found[record["dataset"]["name"], record["seed"]] = values[-1]
    return found


def differences(study, metric="svm_accuracy", readout="flatten"):
    ours, theirs = (stored(study, model, metric, readout) for model in (TWIN, made.NAIVE))
    return {pair: ours[pair] - theirs[pair] for pair in sorted(ours.keys() & theirs.keys())}


def entry_of(study, metric="svm_accuracy"):
    found = paired_differences(load_results(study))
    return next(entry for entry in found if entry.metric.name == metric)


def set_values(study, model, metric, value):
    for path in (study / "runs").glob("*/result.json"):
        record = json.loads(path.read_text())
        if record["label"] == model.label:
            for entry in record["evaluations"]:
                if entry["metric"] == metric:
                    entry["value"] = value
            path.write_text(json.dumps(record))


def test_with_six_data_sets_the_test_is_over_their_means(tmp_path):
    study = study_of(tmp_path, 6, 2)
    entry, each = entry_of(study), differences(study)
    means = [
        statistics.fmean(each[name, seed] for seed in (0, 1))
        for name in (f"Data{i}" for i in range(6))
    ]
    assert (entry.unit, entry.datasets, entry.pairs) == ("data sets", 6, 12)
    assert entry.mean == pytest.approx(statistics.fmean(means))
    assert entry.p == pytest.approx(wilcoxon(means, zero_method="zsplit").pvalue)


@pytest.mark.parametrize(("metric", "readout"), (("silhouette", "flatten"), ("reconstruction", "")))
def test_with_fewer_data_sets_the_test_is_over_pairs(tmp_path, metric, readout):
    study = study_of(tmp_path, 2, 4)
    entry, each = entry_of(study, metric), differences(study, metric, readout)
    assert (entry.unit, entry.datasets, entry.pairs) == ("pairs", 2, 8)
    assert entry.mean == pytest.approx(statistics.fmean(each.values()))
    assert entry.p == pytest.approx(wilcoxon(list(each.values()), zero_method="zsplit").pvalue)


def test_five_pairs_are_too_few(tmp_path):
    entry = entry_of(study_of(tmp_path, 1, 5))
    assert (entry.unit, entry.p, entry.holm) == ("", None, None)
    assert (entry.pairs, entry.p_text, entry.holm_text) == (5, "too few", "–")


def test_a_seed_that_one_side_lacks_is_not_used(tmp_path):
    study = study_of(tmp_path, 3, 3)
    shutil.rmtree(study / "runs" / "00-1")  # of the naive model
    shutil.rmtree(study / "runs" / "21-0")  # of the twin model
    each = differences(study)
    entry = entry_of(study)
    by_dataset = [
        statistics.fmean(each[pair] for pair in group)
        for _, group in itertools.groupby(each, key=lambda pair: pair[0])
    ]
    assert entry.pairs == len(each) == 7
    assert entry.mean == pytest.approx(statistics.fmean(by_dataset))
    assert entry.p == pytest.approx(wilcoxon(list(each.values()), zero_method="zsplit").pvalue)


def test_what_diverged_on_one_side_makes_no_pair(tmp_path):
    study = study_of(tmp_path, 1, 6)
    set_values(study, TWIN, "svm_accuracy", None)
    metrics = [entry.metric.name for entry in paired_differences(load_results(study))]
    assert metrics == ["knn5_accuracy", "silhouette", "reconstruction"]


def test_equal_numbers_everywhere_give_one(tmp_path):
    study = study_of(tmp_path, 1, 6)
    for model in (made.NAIVE, TWIN):
        set_values(study, model, "svm_accuracy", 0.75)
    entry = entry_of(study)
    assert (entry.mean, entry.p, entry.holm) == (0.0, 1.0, 1.0)
    assert entry.mean_text == "0.000"


def test_a_repeated_run_is_not_a_further_pair(tmp_path):
    study = study_of(tmp_path, 1, 6)
    shutil.copytree(study / "runs" / "00-0", study / "runs" / "again")
    assert entry_of(study).pairs == 6


def test_some_zeros_are_split_between_the_signs():
    values = [0.0, 0.0, 0.1, 0.2, 0.3, 0.4, -0.5, 0.6]
    assert signed_rank(values) == wilcoxon(values, zero_method="zsplit").pvalue
    assert signed_rank(values) != wilcoxon(values, zero_method="wilcox").pvalue


def test_equal_steps_tie_in_spite_of_rounding():
    tied = [0.05, 0.05, 0.05, -0.05, 0.1, 0.15, 0.2]
    noisy = [0.85 - 0.8, 0.9 - 0.85, 0.75 - 0.7, 0.8 - 0.85, 0.9 - 0.8, 0.95 - 0.8, 0.9 - 0.7]
    assert len(set(np.abs(noisy))) > len(set(np.abs(tied)))
    assert signed_rank(noisy) == wilcoxon(tied, zero_method="zsplit").pvalue


def test_holm_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04, the last raised
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_order_and_lies_between_p_and_bonferroni(values):
    adjusted = holm(values)
    for p, corrected in zip(values, adjusted, strict=True):
        assert p <= corrected <= min(1.0, p * len(values)) or corrected == pytest.approx(p)
    ranked = [adjusted[place] for place in np.argsort(values, kind="stable")]
    assert ranked == sorted(ranked)


def test_the_correction_is_over_the_whole_table(tmp_path):
    found = paired_differences(load_results(study_of(tmp_path, 1, 6, made.ALL_MODELS)))
    assert len(found) == 3 * (4 + 4 + 3)
    assert [entry.holm for entry in found] == holm([entry.p for entry in found])


def test_each_twin_model_meets_each_control_and_untrained_decoders_nobody(tmp_path):
    results = load_results(study_of(tmp_path, 1, 2, made.ALL_MODELS))
    groups = dict(by_comparison(results))
    assert [*groups] == ["the naive VQ-VAE", "augmentation alone", "an untrained encoder"]
    for words, rows in groups.items():
        assert {row.model.label for row in rows} == {twin.label for twin in made.TWINS}
        measured = {row.metric.name for row in rows}
        assert ("reconstruction" in measured) == (words != "an untrained encoder")
    frame = paired_frame(results)
    assert set(frame["against"]) == {m.label for m in (made.NAIVE, made.AUGMENTED, made.RANDOM)}
    assert frame["p"].isna().all()


def test_a_study_without_twin_models_has_no_differences(tmp_path):
    results = load_results(study_of(tmp_path, 1, 2, (made.NAIVE, made.RAW)))
    assert paired_differences(results) == by_comparison(results) == []
    assert paired_frame(results).empty
