import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import synthetic as made
from scipy.stats import t

from twincode.errors import TwincodeError
from twincode.report import load_results
from twincode.report.chapter import write_chapter
from twincode.report.chapter.anchors import read_anchors
from twincode.report.results import records_text

ROOT = Path(__file__).parents[2]
ANCHORS = """source,dataset,model,readout,metric,value
follow-up,Data0,VQ-VAE,mean,svm_accuracy,0.5
follow-up,Data0,best,mean,svm_accuracy,0.75
thesis,Data1,BT-VQVAE γ=1,flatten,svm_accuracy,0.625
archive,Data1,1-NN,,knn1_accuracy,0.875
"""


def results_of(folder, datasets=7, seeds=(0, 1, 2), gain=1.0, models=made.ALL_MODELS):
    """A folder of results as it is committed: a study kept as records, and anchors."""
    data = tuple(made.Data(f"Data{index}", gain=gain) for index in range(datasets))
    study = made.write_study(folder / "whole", models, data, seeds, 4, 0.002, examples=False)
    kept = folder / "results" / "study"
    kept.mkdir(parents=True)
    shutil.copy(study / "study.json", kept)
    (kept / "runs.jsonl").write_text(records_text(load_results(study)))
    (folder / "results" / "anchors.csv").write_text(ANCHORS, encoding="utf-8")
    return folder / "results"


def chapter_of(results, docs):
    return write_chapter(results, docs).read_text(encoding="utf-8")


def section(text, title):
    return re.search(rf"### {re.escape(title)}\n\n(.*?)(?=\n##|\Z)", text, re.DOTALL)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chapter")
    results_of(folder)
    return folder


@pytest.fixture(scope="module")
def text(folder):
    return chapter_of(folder / "results", folder / "docs")


def test_levels_are_means_with_intervals_over_seeds(folder, text):
    values = [
        run.final["flatten", "svm_accuracy"]
        for run in load_results(folder / "results" / "study").of_dataset("Data2")
        if run.label == "BT-VQVAE γ=1"
    ]
    half = t.ppf(0.975, 2) * statistics.stdev(values) / 3**0.5
    row = next(line for line in section(text, "Levels").splitlines() if line.startswith("| Data2"))
    assert f"| {statistics.fmean(values):.3f} ± {half:.3f} |" in row


def test_the_protocol_is_what_the_runs_stored(text):
    opening = text.split("###")[0]
    for fact in ("7 data sets", "3 seeds: 0, 1, 2", "Epochs 4", "4 optimiser steps", "batch 128",
                 "precision float32", "cpu (2 threads)", "commit 0123456789abcdef",
                 "torch 2.13.0", "Computing time", "twincode study --data"):  # fmt: skip
        assert fact in opening
    assert "| Data3 | 50 | 150 | 60 | 2 | 4 | 4 |" in opening


@pytest.mark.parametrize(
    ("gain", "word", "other"), ((1.0, "better", "worse"), (-1.0, "worse", "better"))
)
def test_sentences_follow_the_numbers(tmp_path, gain, word, other):
    text = chapter_of(results_of(tmp_path, gain=gain), tmp_path / "docs")
    lines = section(text, "What the twin loss gains and costs").splitlines()
    svm, error = lines[0], lines[-1]
    assert f"{word} in the mean for γ = 0.5 (" in svm
    assert f"{other} in the mean" not in svm
    # seven data sets all one way: 2 / 2^7, times the three models of the family
    assert "is significant for γ = 0.5 (p = 0.047), γ = 1 (p = 0.047) and γ = 2" in svm
    assert "worse in the mean" in error
    assert "for the better on 0, 0 and 0 of 7 data sets" in error
    losing = section(text, "Where a probe loses for certain")
    assert ("Nowhere" in losing) == (gain > 0)
    assert (
        "significantly better and none is significantly worse" in section(text, "In short")
        or gain < 0
    )


def test_models_of_several_twin_losses_go_by_their_labels(tmp_path):
    other = made.Model("VICReg-VQVAE γ=1", "vicreg-vqvae", 1.0, 0.9, overrides={"gamma": 1.0})
    models = (made.NAIVE, made.TWINS[1], other)
    text = chapter_of(results_of(tmp_path, 2, (0,), models=models), tmp_path / "docs")
    gained = section(text, "What the twin loss gains and costs")
    assert "for BT-VQVAE γ=1 (+" in gained
    assert "VICReg-VQVAE γ=1 (+" in gained
    assert "γ = 1" not in gained


def test_few_data_sets_are_called_too_few(tmp_path):
    text = chapter_of(results_of(tmp_path, datasets=3), tmp_path / "docs")
    assert "too few data sets for a test" in section(text, "In short").lower()
    assert "significant" not in section(text, "What the twin loss gains and costs")
    assert not (tmp_path / "docs" / "figures" / "results-ranks.svg").exists()


def test_one_seed_gives_no_interval_and_no_certainty(tmp_path):
    text = chapter_of(results_of(tmp_path, seeds=(0,)), tmp_path / "docs")
    assert "±" not in section(text, "Levels")
    assert "With fewer than 3 seeds there is no interval" in text


def test_published_numbers_stand_beside_ours(folder, text):
    beside = section(text, "Beside the authors' numbers")
    final = load_results(folder / "results" / "study").final
    ours = final["Data1", "BT-VQVAE γ=1", "flatten", "svm_accuracy"].mean
    assert f"| Data1, BT-VQVAE γ=1 | 0.625 / {ours:.3f} |" in beside
    raw = final["Data1", "Raw series", "flatten", "knn1_accuracy"].mean
    assert f"| Data1 | {raw:.3f} | 0.875 |" in beside
    assert "theirs +0.250; ours" in beside
    assert "chosen on test accuracy" in beside
    assert "Ours: 3 seeds, 4 epochs (4 steps), batch 128, precision float32, a projector" in beside


def test_every_figure_is_there_and_equal_results_give_equal_bytes(folder, text):
    figures = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert len(figures) == 3
    first = {name: (folder / "docs" / name).read_bytes() for name in figures}
    assert chapter_of(folder / "results", folder / "again") == text
    assert {name: (folder / "again" / name).read_bytes() for name in figures} == first


def test_a_second_study_compares_every_system_with_the_naive_one(tmp_path):
    results = results_of(tmp_path)
    models = (made.NAIVE, made.Model("VAE", "vae", discrete=False, accuracy=0.9), made.TWINS[0])
    systems = made.write_study(tmp_path / "more", models, (made.Data("A"), made.Data("B")))
    shutil.copytree(systems, results / "systems")
    text = chapter_of(results, tmp_path / "docs")
    own = text[text.index("## Every system against the naive one") :]
    assert "**Linear SVM**: 2 of 2 systems gain on the naive model in the mean" in own
    assert "The highest is VAE (+" in own
    row = next(line for line in own.splitlines() if line.startswith("| VAE"))
    assert row.count("|") == 7
    assert "1,234,567" in row


def test_a_study_of_controls_alone_makes_a_chapter(tmp_path):
    text = chapter_of(results_of(tmp_path, models=(made.RANDOM, made.RAW)), tmp_path / "docs")
    assert "### Levels" in text
    assert "nan" not in text.lower().split()


def test_without_a_study_one_line_says_what_is_missing(tmp_path):
    with pytest.raises(TwincodeError, match=r"no folder .*study; keep"):
        write_chapter(tmp_path, tmp_path / "docs")
    done = subprocess.run(
        [sys.executable, "-m", "twincode.report", tmp_path, tmp_path / "docs"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: no folder ")


def test_damaged_anchors_are_named(tmp_path):
    (tmp_path / "anchors.csv").write_text(ANCHORS + "thesis,Data1,VQ-VAE,flatten,x,high\n")
    with pytest.raises(TwincodeError, match=r"anchors\.csv is not a table of published numbers"):
        read_anchors(tmp_path)


def test_the_committed_anchors_can_be_read():
    anchors = read_anchors(ROOT / "results")
    assert {anchor.source for anchor in anchors} >= {"thesis", "follow-up", "archive"}
    assert len({anchor.dataset for anchor in anchors}) == 9


def test_the_committed_chapter_is_what_the_committed_results_say(tmp_path):
    if not (ROOT / "results" / "study").is_dir():
        pytest.skip("no study is committed yet")
    text = chapter_of(ROOT / "results", tmp_path)
    assert text == (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for drawn in (tmp_path / "figures").iterdir():
        assert drawn.read_bytes() == (ROOT / "docs" / "figures" / drawn.name).read_bytes()
