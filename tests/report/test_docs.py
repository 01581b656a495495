"""The code in docs/report.md runs, and docs/results.md says what is stored."""

import re
from pathlib import Path
from statistics import fmean

import pytest
import synthetic

from benchmarks.results import STUDY, Study, page, training_page, unquoted

ROOT = Path(__file__).parents[2]
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
# Settings of the study, which no run measured.
SETTINGS = {"1500", "100", "1200", "600", "64", "2400", "2000", "0.3", "10", "1", "5"}  # 5-NN
# The year of the thesis, and bits of single sets, which a test below finds.
SETTINGS |= {"2023", "146", "175", "158", "150"}


def test_the_code_in_the_page_on_reports_runs(tmp_path, monkeypatch):
    synthetic.write_study(tmp_path / "study", points=0)
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "report.md").read_text(), re.DOTALL)
    exec("\n".join(code), {})
    text = (tmp_path / "study" / "report.html").read_text()
    assert "Wall time on whatever machine it was." in text
    assert list((tmp_path / "study" / "figures").glob("*.png"))


def test_every_number_on_the_results_page_is_the_stored_one():
    assert page(RESULTS, ROOT / "results") == RESULTS
    assert (ROOT / "results" / "anchors.csv").exists()


def test_no_number_on_the_results_page_is_without_a_source():
    assert set(unquoted(RESULTS)) <= SETTINGS


def test_a_number_that_is_not_the_stored_one_is_found():
    wrong = re.sub(r"\d+(?=<!--: runs)", "7", RESULTS)
    assert wrong != RESULTS
    assert page(wrong, ROOT / "results") == RESULTS
    assert unquoted("It gains 0.123 (p = 0.04).") == ["0.123", "0.04"]


def test_the_page_on_training_says_what_was_measured():
    text = (ROOT / "docs" / "training.md").read_text()
    assert training_page(text, ROOT / "results") == text
    wrong = re.sub(r"\| ECG5000 \| [\d.]+", "| ECG5000 | 1", text)
    assert wrong != text
    assert training_page(wrong, ROOT / "results") == text


def test_what_the_results_page_says_in_words_holds():
    study = Study(ROOT / "results" / STUDY)
    twin, base = "BT-VQVAE", "VQ-VAE, augmented"
    svm, neighbours = "svm_accuracy@flatten", "knn5_accuracy@flatten"
    assert 1 < study.factor("nmse", twin, base) < 1.2
    assert {run.seed for run in study.results.runs} == {0, 1, 2}
    for measure in ("kernels", svm, neighbours):
        assert abs(study.pair(measure, twin, base).mean) < 0.01
    for measure in (svm, neighbours):
        # Neither on most sets nor by much; augmentation alone is ahead of the plain model.
        assert study.pair(measure, twin, base).mean < 0.002
        assert study.pair(measure, twin, base).higher < 4
        assert study.pair(measure, base, "VQ-VAE").mean > 0.005
    assert study.factor("nmse", base, "VQ-VAE") > 1
    assert all(gain > 0 for gain in study.gains(svm, twin, base, "600", "1200").values())
    assert all(gain < 0 for gain in study.gains(svm, twin, base, "1200", "600").values())
    assert fmean(study.gains(neighbours, twin, base, "1200", "600").values()) > 0.005
    assert {run.seed for run in study.alike((600, 1200))[600].runs if run.record["epochs"]} == {0}
    for label in (twin, base, "VQ-VAE"):
        assert study.longer("nmse", label, "1200", "600") < 1
    later = study.alike((1200, 2400))

    def after(dataset, label, measure):
        return [later[budget].mean(dataset, label, measure) for budget in (1200, 2400)]

    for dataset in ("ECG5000", "TwoPatterns"):
        short, long = after(dataset, "VQ-VAE", "nmse")
        assert 0.9 < long / short < 1.05
        for measure in (svm, neighbours):
            short, long = after(dataset, base, measure)
            assert long < short + 0.001
    short, long = after("Wafer", "VQ-VAE", "nmse")
    assert long / short == pytest.approx(6 / 7, abs=0.03)
    chlorine = "ChlorineConcentration"
    short, long = after(chlorine, "VQ-VAE", "nmse")
    assert long / short == pytest.approx(0.75, abs=0.04)
    for dataset in (chlorine, "ECG5000", "TwoPatterns"):
        short, long = after(dataset, base, "nmse")
        assert long < 0.95 * short
    for label in (base, "VQ-VAE"):
        for measure in (svm, neighbours):
            short, long = after(chlorine, label, measure)
            assert 0.025 < long - short < 0.055
    plain, augmented = (after(chlorine, label, svm) for label in ("VQ-VAE", base))
    assert plain[0] < augmented[0]
    assert plain[1] > augmented[1]
    for measure in ("nmse", "kernels"):
        ours, theirs = (after(chlorine, label, measure)[1] for label in (twin, base))
        assert ours < theirs
    for measure, passes in ((svm, True), (neighbours, False)):
        ours, theirs = (after("TwoPatterns", label, measure) for label in (twin, base))
        assert [a > b for a, b in zip(ours, theirs, strict=True)] == [not passes, passes]
    ours, theirs = (study.results.mean("ECG5000", label, "nmse") for label in (base, "VQ-VAE"))
    assert ours < theirs
    for closed in ("PCA, k-means", "Patches, k-means", "Mixture"):
        assert study.factor("nmse", closed, "VQ-VAE") < 0.75
        for network in ("VQ-VAE", base, twin):
            assert study.mean("kernels", closed) > study.mean("kernels", network)
        for network in ("VQ-VAE", "Random encoder"):
            assert study.mean(svm, network) > study.mean(svm, closed)
    on = {
        label: {name: study.results.mean(name, label, svm) for name in study.results.datasets}
        for label in ("VQ-VAE", "Random encoder", "Raw series")
    }
    for name in ("FordA", "FordB", "ElectricDevices"):
        assert on["VQ-VAE"][name] > on["Random encoder"][name] > on["Raw series"][name]
    for name in ("ECG5000", "ChlorineConcentration"):
        assert on["Raw series"][name] > max(on["VQ-VAE"][name], on["Random encoder"][name])


def test_what_the_results_page_says_of_equal_bits_holds():
    study = Study(ROOT / "results" / STUDY)
    assert study.networks == ["VQ-VAE", "VQ-VAE, augmented", "BT-VQVAE"]
    assert len(study.equal) == 7 * 3
    behind = {"mixture": set(), "patch-rvq": set(), "pca-pq": set()}
    for (name, recipe), own in study.equal.items():
        assert own["asked"] == study.results.mean(name, "VQ-VAE", "bits")
        errors = [study.results.mean(name, network, "nmse") for network in study.networks]
        ahead = [own["nmse"] < error for error in errors]
        assert len(set(ahead)) == 1
        behind[recipe] |= set() if ahead[0] else {name}
    sets = {"TwoPatterns", "ElectricDevices"}
    assert behind == {"mixture": set(), "patch-rvq": set(), "pca-pq": sets}
    for recipe in behind:
        best = max(study.mean("kernels", network) for network in study.networks)
        assert study.at_their_bits("kernels", recipe) > best
    taken = {name: own for (name, recipe), own in study.equal.items() if recipe == "mixture"}
    shares = {name: own["bits"] / own["asked"] for name, own in taken.items()}
    assert min(shares, key=shares.get) == "FordB"
    assert max(shares, key=shares.get) == "ElectricDevices"
    told = [round(taken[n][key]) for n in ("FordB", "ElectricDevices") for key in ("bits", "asked")]
    assert told == [146, 175, 158, 150]


def test_what_the_results_page_says_of_conditions_holds():
    study = Study(ROOT / "results" / STUDY)
    twin, alone, plain, control = "BT-VQVAE", "VQ-VAE, augmented", "VQ-VAE", "Random encoder"
    told = {
        key: {name: fmean(own.values()) for name, own in cells.items()}
        for key, cells in study.disturbed.items()
    }
    assert all(len(own) == 7 for cells in study.disturbed.values() for own in cells.values())
    for level in ("0.05", "0.1"):
        assert told["shift", level][twin] > told["shift", level][alone] + 0.01
        assert sum(gain > 0 for gain in study.under("shift", level, twin, alone).values()) > 4
        assert told["shift", level][alone] < told["shift", level][plain] + 0.005
    assert told["shift", "0.1"][control] > told["shift", "0.1"][plain]
    assert told["transfer", ""][twin] > told["transfer", ""][alone]
    for level in ("0.3", "1"):
        assert told["noise", level][twin] < told["noise", level][alone] + 0.002
    for level in ("0.1", "0.01"):
        trained = max(told["labels", level][name] for name in (twin, alone, plain))
        assert told["labels", level][control] > trained
