"""What is kept of a study says the same, and a study goes on from it."""

import sys

from conftest import small_settings

from benchmarks import keep
from twincode.report.runs import load_results
from twincode.study import Study, run_study
from twincode.study.second_stage import Priors


def test_what_is_kept_says_the_same_and_goes_on(monkeypatch, tmp_path):
    settings = {**small_settings("vqvae"), "epochs": 4, "held_out": 0.5}
    judging = {"extractor_seeds": 1, "extractor_steps": 1, "samples": 12}
    priors = Priors(("independent",), judging=judging)
    one = Study(("GunPoint",), ("vqvae",), seeds=1, settings=settings, priors=priors)
    run_study(one, tmp_path / "study")
    monkeypatch.setattr(sys, "argv", ["keep", str(tmp_path / "study"), str(tmp_path / "kept")])
    keep.main()
    found, kept = (load_results(tmp_path / name) for name in ("study", "kept"))
    assert kept.final == found.final
    assert kept.generation == found.generation
    assert kept.generation
    files = {path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert files == {"study.json", "result.json"}
    (run,) = (run for run in kept.runs if run.record["history"])
    assert all(set(entry) == {"epoch", "losses", "held_out"} for entry in run.record["history"])

    two = Study(("GunPoint",), ("vqvae",), seeds=2, settings=settings, priors=priors)
    outcome = run_study(two, tmp_path / "kept")
    assert outcome.present == len(found.runs)
    assert outcome.trained > 0
    assert not outcome.failed
