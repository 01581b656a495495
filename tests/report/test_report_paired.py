import itertools
import json
import shutil
import statistics

import pytest
import synthetic as made
from scipy.stats import ttest_1samp, wilcoxon

from twincode.report import load_results
from twincode.report.paired import (
    by_comparison,
    paired_dataset_frame,
    paired_differences,
    paired_frame,
)
from twincode.report.statistics import holm

TWIN = made.TWINS[1]


def study_of(folder, datasets, seeds, models=(made.NAIVE, TWIN), noise=0.05):
    data = tuple(made.Data(f"Data{index}") for index in range(datasets))
    return made.write_study(
        folder / "study", models, data, tuple(range(seeds)), 4, noise, examples=False
    )


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
    assert (entry.datasets, entry.pairs) == (6, 12)
    assert entry.mean == pytest.approx(statistics.fmean(means))
    assert entry.signs == (sum(m > 0 for m in means), sum(m < 0 for m in means))
    assert entry.p == pytest.approx(wilcoxon(means, zero_method="zsplit").pvalue)


@pytest.mark.parametrize(("metric", "readout"), (("silhouette", "flatten"), ("reconstruction", "")))
def test_seeds_of_few_data_sets_are_never_tested_as_if_they_were_data_sets(
    tmp_path, metric, readout
):
    study = study_of(tmp_path, 5, 3)
    entry, each = entry_of(study, metric), differences(study, metric, readout)
    assert (entry.datasets, entry.pairs, entry.p, entry.holm) == (5, 15, None, None)
    assert (entry.p_text, entry.holm_text) == ("too few", "–")
    assert entry.mean == pytest.approx(statistics.fmean(each.values()))


def test_each_data_set_has_a_difference_with_an_interval_over_its_seeds(tmp_path):
    study = study_of(tmp_path, 2, 4)
    frame = paired_dataset_frame(paired_differences(load_results(study)))
    row = frame[(frame.dataset == "Data1") & (frame.metric == "svm_accuracy")].iloc[0]
    each = [value for (name, _), value in differences(study).items() if name == "Data1"]
    low, high = ttest_1samp(each, 0).confidence_interval()
    assert row["mean_difference"] == pytest.approx(statistics.fmean(each))
    assert (row["interval_low"], row["interval_high"]) == pytest.approx((low, high))


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


def test_what_diverged_on_one_side_makes_no_pair(tmp_path):
    study = study_of(tmp_path, 1, 6)
    set_values(study, TWIN, "svm_accuracy", None)
    metrics = [entry.metric.name for entry in paired_differences(load_results(study))]
    assert metrics == ["knn5_accuracy", "silhouette", "reconstruction"]


def test_equal_numbers_everywhere_give_one(tmp_path):
    study = study_of(tmp_path, 6, 1)
    for model in (made.NAIVE, TWIN):
        set_values(study, model, "svm_accuracy", 0.75)
    entry = entry_of(study)
    assert (entry.mean, entry.p, entry.holm) == (0.0, 1.0, 1.0)
    assert entry.mean_text == "0.000"


def test_a_repeated_run_is_not_a_further_pair(tmp_path):
    study = study_of(tmp_path, 1, 6)
    shutil.copytree(study / "runs" / "00-0", study / "runs" / "again")
    assert entry_of(study).pairs == 6


def test_the_correction_is_over_the_models_that_one_metric_compares(tmp_path):
    found = paired_differences(load_results(study_of(tmp_path, 6, 1, made.ALL_MODELS)))
    family = [e for e in found if e.base.label == "Naive VQ-VAE" and e.metric.name == "silhouette"]
    alone, *twins = family
    assert (alone.model.label, len(twins)) == (made.AUGMENTED.label, 3)
    assert alone.holm == alone.p
    assert [entry.holm for entry in twins] == holm([entry.p for entry in twins])


def test_twins_meet_augmentation_and_every_trained_model_the_naive_and_the_untrained(tmp_path):
    found = paired_differences(load_results(study_of(tmp_path, 1, 2, made.ALL_MODELS)))
    groups = dict(by_comparison(found))
    assert [*groups] == ["the naive VQ-VAE", "augmentation alone", "an untrained encoder"]
    twins = {twin.label for twin in made.TWINS}
    others = ({made.AUGMENTED.label}, set(), {made.NAIVE.label, made.AUGMENTED.label})
    for (words, rows), beside in zip(groups.items(), others, strict=True):
        assert {row.model.label for row in rows} == twins | beside
        measured = {row.metric.name for row in rows}
        assert ("reconstruction" in measured) == (words != "an untrained encoder")
    frame = paired_frame(found)
    assert set(frame["against"]) == {m.label for m in (made.NAIVE, made.AUGMENTED, made.RANDOM)}
    assert frame["p"].isna().all()


def test_an_untrained_encoder_without_a_codebook_is_a_control_of_its_own(tmp_path):
    models = (made.NAIVE, made.RANDOM, made.RANDOM_CONTINUOUS)
    groups = dict(by_comparison(paired_differences(load_results(study_of(tmp_path, 1, 2, models)))))
    assert [*groups] == ["an untrained encoder", "an untrained encoder without a codebook"]
    for rows, control in zip(groups.values(), models[1:], strict=True):
        assert {(row.model.label, row.base.label) for row in rows} == {
            (made.NAIVE.label, control.label)
        }


def test_controls_alone_have_no_differences(tmp_path):
    found = paired_differences(load_results(study_of(tmp_path, 1, 2, (made.RANDOM, made.RAW))))
    assert found == by_comparison(found) == []
    assert paired_frame(found).empty
