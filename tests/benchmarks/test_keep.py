"""What is kept of a study says the same, and a study goes on from it."""

import sys

from conftest import small_settings

from benchmarks import keep
from twincode.report.runs import load_results
from twincode.study import Study, run_study


def test_what_is_kept_says_the_same_and_goes_on(monkeypatch, tmp_path):
    settings = {**small_settings("vqvae"), "epochs": 4, "held_out": 0.5}
    one = Study(("GunPoint",), ("vqvae",), seeds=1, settings=settings)
    run_study(one, tmp_path / "study")
    monkeypatch.setattr(sys, "argv", ["keep", str(tmp_path / "study"), str(tmp_path / "kept")])
    keep.main()
    found, kept = (load_results(tmp_path / name) for name in ("study", "kept"))
    assert kept.final == found.final
    files = {path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert files == {"study.json", "result.json"}
    (run,) = (run for run in kept.runs if run.record["history"])
    assert all(set(entry) == {"epoch", "losses", "held_out"} for entry in run.record["history"])

    two = Study(("GunPoint",), ("vqvae",), seeds=2, settings=settings)
    outcome = run_study(two, tmp_path / "kept")
    assert outcome.present == len(found.runs)
    assert outcome.trained > 0
    assert not outcome.failed
