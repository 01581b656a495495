"""What is disturbed, and by how much; and that a study's models are measured once."""

import sys

import numpy as np
import pytest
from conftest import small_settings
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import conditions
from twincode.study import Study, run_study


@given(share=st.sampled_from([0.01, 0.1, 0.5, 1.0]), seed=st.integers(0, 9))
def test_of_each_class_a_share_is_told_and_one_at_least(share, seed):
    y = np.repeat([0, 1, 2], [3, 40, 200])
    rows = conditions.few_labels(y, share, seed)
    assert len(set(rows)) == len(rows)
    assert np.bincount(y[rows]).tolist() == [max(1, round(share * n)) for n in (3, 40, 200)]


@given(L=st.integers(1, 30), share=st.floats(0, 0.5), seed=st.integers(0, 9))
def test_moved_series_are_moved_and_hold_their_ends(L, share, seed):
    X = np.random.default_rng(seed).normal(size=(6, 2, L)).astype(np.float32)
    most = round(share * L)
    for x, found in zip(X, conditions.moved(X, share, seed), strict=True):
        ways = []
        for by in range(-most, most + 1):
            padded = np.pad(x, ((0, 0), (max(by, 0), max(-by, 0))), mode="edge")
            ways.append(padded[:, :L] if by >= 0 else padded[:, -L:])
        assert any(np.array_equal(found, way) for way in ways)


def test_noise_has_its_level_and_resampling_keeps_ends():
    X = np.zeros((50, 1, 200), np.float32)
    assert conditions.noisy(X, 0.3, 2.0, 0).std() == pytest.approx(0.6, rel=0.02)
    line = np.linspace(0, 1, 7, dtype=np.float32).reshape(1, 1, 7)
    assert np.allclose(conditions.resampled(line, 13), np.linspace(0, 1, 13))


def test_every_model_of_a_study_is_measured_once(monkeypatch, tmp_path):
    settings = {**small_settings("bt-vqvae"), "epochs": 1}
    run_study(Study(("GunPoint",), ("bt-vqvae",), seeds=1, settings=settings), tmp_path / "study")
    out = tmp_path / "conditions.csv"
    words = [
        "conditions",
        str(tmp_path / "study"),
        "--datasets",
        "GunPoint,ItalyPowerDemand",
        "--out",
        str(out),
    ]
    monkeypatch.setattr(sys, "argv", words)
    conditions.main()
    first = out.read_text()
    rows = conditions.read_rows(out, conditions.Row)
    assert {(row.condition, row.level) for row in rows} == {
        *(("labels", level) for level in ("1", "0.1", "0.01")),
        *(("noise", level) for level in ("0.1", "0.3", "1")),
        *(("shift", level) for level in ("0.02", "0.05", "0.1")),
        ("transfer", "ItalyPowerDemand"),
    }
    assert {row.gamma for row in rows if row.recipe == "bt-vqvae"} == {1.0}
    assert all(0 <= row.accuracy <= 1 for row in rows)
    monkeypatch.setattr(conditions, "conditions", None)
    conditions.main()
    assert out.read_text() == first
