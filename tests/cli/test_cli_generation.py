"""The commands of the second stage, on a tiny model."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import make_waves

from twincode.data import read_series
from twincode.model import load_model

SMALL = ("--steps", 4, "--model-width", 8, "--layers", 1, "--batch-size", 16)


@pytest.fixture(scope="module")
def both(trained, waves_file, tmp_path_factory):
    """The folder of a tiny model with a tiny prior."""
    from twincode.cli import main

    folder = shutil.copytree(trained, tmp_path_factory.mktemp("both") / "run")
    words = ["prior", folder, "--dataset", waves_file, *SMALL]
    assert main([str(word) for word in words]) == 0
    return folder


def test_a_prior_is_fitted_and_told_of(both, waves_file, twincode):
    result = json.loads((both / "prior" / "result.json").read_text())
    assert result["config"]["prior"]["model_width"] == 8
    again = twincode("prior", both, "--dataset", waves_file, *SMALL)
    assert again.status == 0
    assert "holds this prior already" in again.out
    assert "held_out_bits_per_token" in again.out
    second = twincode(
        "prior", both, "--dataset", waves_file, "--kind", "independent", "--name", "control"
    )
    assert second.status == 0
    assert load_model(both, prior="control").prior.settings.name == "independent"


def test_other_data_and_settings_are_refused(both, tmp_path, twincode, waves_file):
    other = make_waves(seed=1)
    np.savez(tmp_path / "Other.npz", X_train=other.X_train, X_test=other.X_test,
             y_train=other.y_train, y_test=other.y_test)  # fmt: skip
    answer = twincode("prior", both, "--dataset", tmp_path / "Other.npz")
    assert answer.status == 1
    assert "the model was trained on another Other" in answer.err
    for words, message in (
        (("--kind", "maskd"), "unknown prior 'maskd'; did you mean 'masked'"),
        (("--token-order", "time"), "token_order is a setting of the prior autoregressive"),
        (("--step", "3"), "did you mean 'steps'"),
    ):
        answer = twincode("prior", both, "--dataset", waves_file, *words)
        assert answer.status == 1
        assert message in answer.err
        assert answer.err.count("\n") == 1


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz", "npy"])
def test_new_series_are_written_with_their_classes(both, tmp_path, twincode, suffix):
    out = tmp_path / f"new.{suffix}"
    answer = twincode("sample", both, "-n", 5, "-o", out, "--seed", 2, "--guidance", 1.5)
    assert answer.status == 0
    series, labels = read_series(out)
    expected = load_model(both).sample(5, seed=2, guidance=1.5)
    assert np.allclose(np.stack(series), expected.series, atol=1e-5)
    assert labels == (None if suffix == "npy" else expected.labels.tolist())


def test_samples_of_one_class_or_of_none(both, tmp_path, twincode):
    out = tmp_path / "new.csv"
    assert twincode("sample", both, "-n", 3, "--labels", "1", "-o", out).status == 0
    assert read_series(out)[1] == ["1"] * 3
    assert twincode("sample", both, "-n", 3, "--labels", "none", "-o", out).status == 0
    assert read_series(out)[1] is None
    answer = twincode("sample", both, "--labels", "11", "-o", out)
    assert answer.status == 1
    assert "unknown class '11'; did you mean '1'" in answer.err


def test_samples_by_the_enhanced_scheme(both, tmp_path, twincode):
    words = ("-n", 4, "--sampling-scheme", "ess", "--decoding-steps", 3, "-o", tmp_path / "new.npy")
    assert twincode("sample", both, *words).status == 0
    expected = load_model(both).sample(4, sampling_scheme="ess", decoding_steps=3).series
    assert np.allclose(np.load(tmp_path / "new.npy"), expected, atol=1e-5)


def test_gaps_and_missing_ends_are_filled(both, tmp_path, twincode):
    X = make_waves().X_test[:3, 0]
    rows = [",".join("" if 4 <= t < 7 else f"{v:.6f}" for t, v in enumerate(row)) for row in X]
    rows[2] = ",".join(rows[2].split(",")[:20])  # its end is to come
    (tmp_path / "gaps.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "filled.csv"
    assert twincode("impute", both, tmp_path / "gaps.csv", "-o", out).status == 0
    filled = np.stack(read_series(out)[0])[:, 0]
    assert filled.shape == (3, 33)
    assert np.isfinite(filled).all()
    assert np.allclose(filled[:2, 7:], X[:2, 7:], atol=1e-5)
    assert twincode("impute", both, tmp_path / "gaps.csv", "-o", out, "--draws", 2).status == 0
    frame = pd.read_csv(out)
    assert frame[["series", "draw"]].values.tolist() == [
        [i, draw] for i in range(3) for draw in range(2)
    ]
    (tmp_path / "long.csv").write_text(",".join(["1"] * 34) + "\n")
    answer = twincode("impute", both, tmp_path / "long.csv", "-o", out)
    assert "has 1 channels and 34 steps; this model was made for 1 and at most 33" in answer.err
    how = ("--refinements", 1, "--reach", 1, "--candidates", 2, "--guidance", 1.5)
    assert twincode("impute", both, tmp_path / "gaps.csv", "-o", out, *how).status == 0
    expected = load_model(both).impute(
        read_gaps(rows), refinements=1, reach=1, candidates=2, guidance=1.5
    )
    assert np.allclose(np.stack(read_series(out)[0]), expected[0], atol=1e-4)


def read_gaps(rows):
    cells = [row.split(",") for row in rows]
    return np.array([[float(v or "nan") for v in (*row, *[""] * (33 - len(row)))] for row in cells])


def test_an_option_that_is_no_setting_is_one_line(both, waves_file, tmp_path, twincode):
    out = tmp_path / "out.csv"
    np.save(tmp_path / "x.npy", make_waves().X_test[:2])
    answer = twincode("sample", both, "--n", 5, "-o", out)
    assert (answer.status, answer.err) == (1, "twincode: unknown option --n; did you mean -n?\n")
    for words in (
        ("impute", both, tmp_path / "x.npy", "-o", out, "--x", 1),
        ("evaluate", both, "--dataset", waves_file, "--generation", "--seed", 1),
        ("evaluate", both, "--dataset", waves_file, "--generation", "--settings", 1),
    ):
        answer = twincode(*words)
        assert answer.status == 1
        assert "unknown setting" in answer.err
        assert answer.err.count("\n") == 1


def test_surprise_has_a_line_a_step(both, tmp_path, twincode):
    X = np.concatenate([make_waves().X_test[:2]] * 2, axis=2)  # longer than the model's
    np.save(tmp_path / "long.npy", X)
    out = tmp_path / "surprise.csv"
    assert twincode("surprise", both, tmp_path / "long.npy", "-o", out).status == 0
    frame = pd.read_csv(out)
    assert len(frame) == 2 * 66
    rows = [column for column in frame if column.startswith("row")]
    assert np.allclose(frame[rows].sum(axis=1), frame["surprise"], rtol=1e-4)
    assert frame["step"].tolist() == list(range(66)) * 2


def test_surprise_is_told_of_series_of_any_length(both, tmp_path, twincode):
    X = make_waves().X_test
    longer = np.concatenate([X[0], X[1][:, :9]], axis=1)
    rows = [longer[0], X[2, 0], X[3, 0]]
    pd.DataFrame(rows).to_csv(tmp_path / "own.csv", index=False, header=False)
    out = tmp_path / "surprise.csv"
    answer = twincode("surprise", both, tmp_path / "own.csv", "-o", out)
    assert answer.status == 0, answer.err
    assert "1 % of ordinary steps" in answer.out
    found = pd.read_csv(out)
    assert found["series"].tolist() == [0] * 42 + [1] * 33 + [2] * 33
    assert found["step"].tolist() == [*range(42), *range(33), *range(33)]
    model = load_model(both)
    for i, series in enumerate((longer, X[2], X[3])):
        expected = model.surprise(series[None])[0].sum(0)
        assert np.allclose(found["surprise"][found["series"] == i], expected, rtol=1e-3)
    answer = twincode("surprise", both, tmp_path / "own.csv", "-o", out, "--labels", "1")
    assert answer.status == 0, answer.err
    assert (answer.status, "ordinary steps" in answer.out) == (0, False)


def test_ids_and_labels_stay_beside_what_is_made_of_series(both, tmp_path, twincode):
    frame = pd.DataFrame(make_waves().X_test[:2, 0]).add_prefix("t")
    frame.insert(0, "pump", ["north", "south"])
    frame.insert(1, "state", ["idle", "leak"])
    frame.loc[1, "t5"] = np.nan
    frame.to_csv(tmp_path / "pumps.csv", index=False)
    words = ("--id-column", "pump", "--label-column", "state")
    out = tmp_path / "out.csv"
    for draws, known in ((1, ["pump", "state"]), (2, ["pump", "state", "draw"])):
        answer = twincode(
            "impute", both, tmp_path / "pumps.csv", "-o", out, *words, "--draws", draws
        )
        assert answer.status == 0, answer.err
        filled = pd.read_csv(out)
        assert filled.columns[: len(known) + 1].tolist() == [*known, "t0"]
        assert filled["pump"].tolist() == ["north"] * draws + ["south"] * draws
    gaps = ("--missing", "interpolate")
    answer = twincode("surprise", both, tmp_path / "pumps.csv", "-o", out, *words, *gaps)
    assert answer.status == 0, answer.err
    told = pd.read_csv(out)
    assert told.columns[:4].tolist() == ["pump", "state", "step", "surprise"]
    assert told["pump"].tolist() == ["north"] * 33 + ["south"] * 33
    frame.drop(columns="pump").to_csv(tmp_path / "states.csv", index=False)
    words = (tmp_path / "states.csv", "-o", out, "--label-column", "state", "--draws", 2)
    assert twincode("impute", both, *words).status == 0
    assert pd.read_csv(out)["series"].tolist() == [0, 0, 1, 1]
    answer = twincode("impute", both, tmp_path / "pumps.csv", "-o", out)
    assert answer.status == 1
    assert "--id-column" in answer.err
    for column, words in (("draw", ("impute", "--draws", 2)), ("step", ("surprise", *gaps))):
        other = frame.rename(columns={"pump": column})
        other.to_csv(tmp_path / "pumps.csv", index=False)
        command, *more = words
        told = ("--id-column", column, "--label-column", "state")
        answer = twincode(command, both, tmp_path / "pumps.csv", "-o", out, *told, *more)
        assert answer.status == 1
        assert f"a column '{column}' of their own; rename it" in answer.err


def test_without_a_prior_there_is_one_line(trained, tmp_path, twincode):
    answer = twincode("sample", trained, "-o", tmp_path / "x.csv")
    assert answer.status == 1
    assert "has no prior yet; fit one with twincode prior" in answer.err
    answer = twincode("sample", trained, "-o", tmp_path / "x.csv", "--prior", "other")
    assert "no prior called 'other'" in answer.err


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("prior", "--mask-schedule=cosine"),
        ("sample", "--decoding-steps=10"),
        ("impute", "--refinements=2"),
    ],
)
def test_the_help_names_every_setting(twincode, command, option):
    assert option in twincode(command, "--help").out.split()


def test_samples_are_judged_beside_controls(both, waves_file, tmp_path, twincode):
    out = tmp_path / "scores.csv"
    words = ("--extractor-seeds", 2, "--extractor-steps", 2, "--samples", 40)
    answer = twincode("evaluate", both, "--dataset", waves_file, "--generation", "--out", out,
                      *words, "--decoding-steps", 2, columns=200)  # fmt: skip
    assert answer.status == 0, answer.err
    frame = pd.read_csv(out)
    assert list(dict.fromkeys(frame["row"])) == [
        "train", "copies", "reconstruction", "independent", "masked", "masked, no labels", "test",
    ]  # fmt: skip
    for column in ("fid", "spread", "recall", "memorised_share"):
        assert column in answer.out
    (told,) = frame[(frame["row"] == "masked") & (frame["metric"] == "fid")].itertuples()
    assert f"{told.value:.4g} ± {told.deviation:.2g}" in answer.out
    refused = twincode("evaluate", both, "--dataset", waves_file, *words)
    assert refused.status == 1
    assert "can be chosen with --generation only" in refused.err
