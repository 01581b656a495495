"""The chapter's section of many systems: gains, controls, costs from a benchmark, code use."""

import json
import shutil
import statistics

import pytest
import synthetic as made

from twincode.errors import TwincodeError
from twincode.report import load_results
from twincode.report.chapter import write_chapter
from twincode.report.chapter.costs import COSTS_FILE, costs_sentence, read_costs, step_ratio
from twincode.report.chapter.findings import power_sentence
from twincode.report.chapter.markdown import MOST_COLUMNS, upright
from twincode.report.chapter.systems import augmentation_table, controls_table, systems_table
from twincode.report.chapter.use import BARELY_USED, barely_used, use_text
from twincode.report.paired import paired_differences

LONG = "A VQ-VAE whose label somebody has made much longer than any table or figure likes γ=1"
VAE = made.Model("VAE", "vae", discrete=False, accuracy=0.75, error=0.04)
OTHER = made.Model(LONG, "vicreg-vqvae", 1.0, 0.82, overrides={"gamma": 1.0})
MODELS = (made.NAIVE, made.AUGMENTED, VAE, made.TWINS[1], OTHER, made.RANDOM, made.RAW)
HEADER = "recipe,length,ratio,lowest,highest,peak_memory,parameters,codes,commit,load\n"
METRICS = ("svm_accuracy", "knn5_accuracy", "silhouette", "reconstruction")


def study_of(folder, datasets=7, seeds=(0, 1), models=MODELS):
    data = tuple(made.Data(f"Data{index}") for index in range(datasets))
    return made.write_study(folder / "study", models, data, seeds, 4, 0.002, examples=False)


def set_value(study, dataset, label, metric, value):
    for path in study.glob("runs/*/result.json"):
        record = json.loads(path.read_text())
        if (record["dataset"]["name"], record["label"]) == (dataset, label):
            for entry in record["evaluations"]:
                entry["value"] = value if entry["metric"] == metric else entry["value"]
            path.write_text(json.dumps(record))


def write_costs(folder, rows):
    path = folder / COSTS_FILE
    path.parent.mkdir(parents=True)
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return folder


def cells_of(table, label):
    line = next(line for line in table.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def column(table, label, title):
    return cells_of(table, label)[cells_of(table, "").index(title)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return load_results(study_of(tmp_path_factory.mktemp("systems")))


@pytest.fixture(scope="module")
def found(results):
    return paired_differences(results, METRICS)


def mean_gain(results, label, name="svm_accuracy"):
    values = [
        results.final[dataset, label, "flatten", name].mean
        - results.final[dataset, made.NAIVE.label, "flatten", name].mean
        for dataset in results.datasets
    ]
    return f"{statistics.fmean(values):+.3f}".replace("-", "−"), sum(v > 0 for v in values)


@pytest.mark.parametrize("label", (VAE.label, LONG, made.RANDOM.label, made.RAW.label))
def test_every_row_says_how_far_it_is_from_the_naive_model(results, found, label):
    gain, better = mean_gain(results, label)
    text = column(systems_table(results, found, []), label, "Linear SVM, minus naive")
    assert text.startswith(f"{gain} ({better} of 7")
    assert ("; p " in text) == (label in (VAE.label, LONG))


def test_without_a_benchmark_there_is_neither_time_nor_memory(results, found):
    header = cells_of(systems_table(results, found, []), "")
    assert header[-2:] == ["Code use", "Parameters"]
    assert not any("Step" in title or "Time" in title for title in header)


def test_time_and_memory_are_those_of_the_benchmark(tmp_path, results, found):
    rows = [
        *("vqvae,128,1.0,1,1,1073741824,5,40,abc,1.5", "vqvae,512,1.0,1,1,2147483648,5,40,abc,1.5"),
        *("vae,128,2.0,1,3,536870912,5,0,abc,1.5", "vae,512,8.0,7,9,3221225472,5,0,abc,1.5"),
        *("bt-vqvae,128,2,1,3,1,5,80,abc,1", "bt-vqvae,512,2,1,3,1,5,320,abc,1"),
    ]
    costs = read_costs(write_costs(tmp_path, rows))
    table = systems_table(results, found, costs)
    assert column(table, VAE.label, "Step, × naive") == "4.00"
    assert column(table, VAE.label, "Peak memory") == "3.00 GiB"
    assert column(table, made.NAIVE.label, "Step, × naive") == "1.00"
    assert column(table, LONG, "Peak memory") == column(table, LONG, "Codes, × naive") == "–"
    assert column(table, VAE.label, "Codes, × naive") == "–"
    assert column(table, made.TWINS[1].label, "Codes, × naive") == "4.00"
    assert "series of 128 and 512 steps" in costs_sentence(costs)


def test_no_benchmark_is_no_costs_and_a_damaged_one_is_named(tmp_path):
    assert read_costs(tmp_path) == []
    assert not step_ratio([], "vqvae") > 0
    for number, (rows, message) in enumerate(
        (
            (["vqvae,128,fast,1,1,1,1,1,a,1"], "is not a table of measured costs"),
            (["vqvae,128,0,1,1,1,1,1,a,1"], "is not a table of measured costs"),
            (["vqvae,128,1,1,1,1,1,1,a,1", "vae,64,1,1,1,1,1,1,a,1"], "vqvae at every length"),
        )
    ):
        with pytest.raises(TwincodeError, match=message):
            read_costs(write_costs(tmp_path / str(number), rows))


def test_twin_losses_stand_beside_augmentation_alone(results, found):
    table = augmentation_table(found)
    assert cells_of(table, "") == [
        *("Linear SVM ↑", "5-NN ↑", "Silhouette ↑", "Reconstruction error ↓")
    ]
    naive, own = (mean_gain(results, each)[0] for each in (made.AUGMENTED.label, LONG))
    gain = column(table, LONG, "Linear SVM ↑").split(" ")[0].replace("−", "-")
    apart = float(own.replace("−", "-")) - float(naive.replace("−", "-"))
    assert float(gain) == pytest.approx(apart, abs=2e-3)
    assert f"| {VAE.label} |" not in table
    assert augmentation_table([]) == ""


def test_the_controls_are_counted_against_every_system(results):
    final = results.final
    better = sum(
        final[dataset, VAE.label, "flatten", "svm_accuracy"].mean
        > final[dataset, made.RAW.label, "flatten", "svm_accuracy"].mean
        for dataset in results.datasets
    )
    table = controls_table(results)
    assert column(table, VAE.label, "Linear SVM above raw series") == f"{better} of 7"


def test_a_barely_used_codebook_is_said_to_be_one(tmp_path):
    study = study_of(tmp_path, 2)
    set_value(study, "Data1", made.TWINS[1].label, "perplexity", 3.2)
    set_value(study, "Data0", LONG, "perplexity", 3.3)
    results = load_results(study)
    by_label = {model.label: model for model in results.models}
    assert barely_used(results, by_label[made.TWINS[1].label]) == ["Data1"]
    assert use_text(results, by_label[made.TWINS[1].label]).endswith("**barely used on 1 of 2**")
    assert barely_used(results, by_label[LONG]) == []
    assert " of 32" in use_text(results, by_label[LONG])
    assert use_text(results, by_label[made.RAW.label]) == "–"


def test_barely_used_is_what_training_calls_collapsed():
    from twincode.train.health import COLLAPSED_SHARE

    assert BARELY_USED == COLLAPSED_SHARE


@pytest.mark.parametrize(("datasets", "certain"), ((7, False), (9, True), (3, True)))
def test_it_is_said_where_no_test_can_be_significant(tmp_path, datasets, certain):
    """Four twin models: 4 / 2^6 is above 0.05, 4 / 2^8 is not; over three there is no test."""
    models = (made.NAIVE, *made.TWINS, OTHER)
    results = load_results(study_of(tmp_path, datasets, (0,), models))
    sentence = power_sentence(paired_differences(results, ["svm_accuracy"])[:4])
    assert (sentence == "") == certain
    if not certain:
        assert "no p below 0.016" in sentence
        assert "at least 0.062 over 4 models with a twin loss." in sentence


def chapter_of(folder, study):
    kept = folder / "results"
    for name in ("study", "systems"):
        shutil.copytree(study, kept / name)
    text = write_chapter(kept, folder / "docs").read_text(encoding="utf-8")
    return text[text.index("## Every system against the naive one") :]


@pytest.mark.parametrize("seeds", ((0,), (0, 1)))
def test_a_section_with_a_long_label_a_missing_system_and_few_seeds(tmp_path, seeds):
    study = study_of(tmp_path, 2, seeds)
    for seed in seeds:
        shutil.rmtree(study / "runs" / f"13-{seed}")  # BT-VQVAE on the second data set
    text = chapter_of(tmp_path, study)
    assert "nan" not in text.lower().replace("|", " ").split()
    assert "**A short budget**" in text
    assert "95 %" not in text
    assert LONG in text
    assert ("both seeds are for the better in" in text) == (len(seeds) == 2)
    row = column(text[text.index("### What each system gains") :], "BT-VQVAE γ=1", "Error, × naive")
    assert row != "–"
    assert "(1 of 1)" in text


def test_a_wide_table_is_turned_on_its_side():
    wide = [["a", *map(str, range(MOST_COLUMNS))]]
    lines = upright(["", *"bcdefghij"], wide).splitlines()
    assert lines[0] == "|  | a |"
    assert lines[2:4] == ["| b | 0 |", "| c | 1 |"]
    assert upright(["", "b"], [["a", "0"]]).splitlines()[0] == "|  | b |"
