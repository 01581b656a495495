"""The code in docs/report.md runs, and docs/results.md says what is stored."""

import re
from pathlib import Path

import pytest
import synthetic

from benchmarks.results import ANCHORS, STUDIES, Study, page, unquoted

ROOT = Path(__file__).parents[2]
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
# Settings of the studies, which no run measured: steps and epochs, γ, batch, projector, smallest p.
SETTINGS = {"1500", "200", "0.5", "1", "2", "64", "1024", "0.09"}


def test_the_code_in_the_page_on_reports_runs(tmp_path, monkeypatch):
    synthetic.write_study(tmp_path / "study", points=0)
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "report.md").read_text(), re.DOTALL)
    exec("\n".join(code), {})
    text = (tmp_path / "study" / "report.html").read_text()
    assert "Wall time on whatever machine it was." in text
    assert list((tmp_path / "study" / "figures").glob("*.png"))


@pytest.fixture(scope="module")
def studies():
    return {name: Study(ROOT / "results" / name) for name in STUDIES}


def test_every_number_on_the_results_page_is_the_stored_one():
    assert page(RESULTS, ROOT / "results") == RESULTS
    assert (ROOT / "results" / ANCHORS).exists()


def test_no_number_on_the_results_page_is_without_a_source():
    assert set(unquoted(RESULTS)) <= SETTINGS


def test_a_number_that_is_not_the_stored_one_is_found():
    wrong = re.sub(r"133(?=<!--study: runs)", "132", RESULTS)
    assert wrong != RESULTS
    assert page(wrong, ROOT / "results") == RESULTS
    assert unquoted("It gains 0.123 (p = 0.04).") == ["0.123", "0.04"]


def test_what_the_results_page_says_in_words_holds(studies):
    twins = [d for d in studies["systems"].differences if d.model.twin and d.against == "VQ-VAE"]
    errors = [d for d in twins if d.measure.metric == "reconstruction"]
    assert errors
    assert all((d.higher, d.lower) == (7, 0) for d in errors)
    assert all(d.holm > 0.05 for d in twins if d.measure.key == "svm_accuracy@flatten")
    short = [d for d in studies["study"].differences if d.model.twin and d.against == "VQ-VAE"]
    assert {d.higher for d in short if d.measure.metric == "reconstruction"} == {7}
    means = {m.label: studies["systems"].mean("svm_accuracy@flatten", m.label)
             for m in studies["systems"].results.models}  # fmt: skip
    best = sorted(means, key=means.get, reverse=True)
    assert set(best[:3]) == {"Barlow Twins", "VAE", "Random encoder, continuous"}
    assert best[3] == "Bands"
