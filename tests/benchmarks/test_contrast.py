from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import make_waves

from benchmarks import contrast
from benchmarks.contrast import BACKGROUND, COVER_STD, LENGTH, compare, superpose


@pytest.fixture(autouse=True)
def small_sets(monkeypatch):
    """Two kinds of wave, hidden under waves of the same two kinds."""
    sets = {"Waves": make_waves(12, length=40), "GunPoint": make_waves(12, length=60, seed=1)}
    monkeypatch.setattr(contrast, "load_dataset", sets.get)


def test_targets_are_series_under_covers_and_background_is_covers_alone():
    made = superpose("Waves", 0)
    assert made.data.classes == ("a", "b", BACKGROUND)
    assert made.data.length == LENGTH
    for part, y in ((made.train, made.data.y_train), (made.test, made.data.y_test)):
        assert len(part.X) == 2 * len(part.targets) == 2 * len(part.cover)
        assert set(part.hidden) == set(part.cover) == {0, 1}
        assert np.array_equal(y[: len(part.hidden)], part.hidden)
        alone = part.X[y == 2]
        np.testing.assert_allclose(alone.mean(axis=2), 0, atol=1e-5)
        np.testing.assert_allclose(alone.std(axis=2), COVER_STD, atol=1e-4)
        assert part.targets.var() == pytest.approx(COVER_STD**2 + 1, rel=0.2)


def test_the_same_seed_makes_the_same_series():
    one, same, other = (superpose("Waves", seed).data for seed in (0, 0, 1))
    assert one.checksum == same.checksum != other.checksum


def test_every_kind_of_features_is_probed_for_both_kinds_of_classes():
    rows = list(compare(superpose("Waves", 0), steps=2))
    kinds = [(row["features"], row["classes"]) for row in rows]
    names = ("series", "vae", "shared", "salient")
    assert kinds == [(name, classes) for name in names for classes in ("hidden", "cover")]
    assert all(0 <= row["svm_accuracy"] <= 1 for row in rows)


def test_the_page_has_the_numbers_of_the_file():
    root = Path(__file__).parents[2]
    measured = pd.read_csv(root / contrast.RESULTS).groupby(["classes", "set", "features"])
    scores = measured["svm_accuracy"].agg(["mean", "std"])
    page = (root / "docs" / "tokenizers.md").read_text(encoding="utf-8")
    for classes, words in (("hidden", "hidden"), ("cover", "of the cover")):
        for name in contrast.HIDDEN:
            cells = [
                f"{mean:.3f} ± {std:.3f}"
                for mean, std in (
                    scores.loc[classes, name, features]
                    for features in ("series", "vae", "shared", "salient")
                )
            ]
            assert f"| classes {words}, {name} | {' | '.join(cells)} |" in page
