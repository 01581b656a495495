import datetime
import inspect
import json
import re
import shlex
import sys
from dataclasses import fields
from importlib.metadata import entry_points, version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import make_waves, options, small_settings, training_options, write_waves

from twincode.cli.options import Form, Source
from twincode.cli.settings import parse_settings
from twincode.config import setting_names
from twincode.data import Policy, load_dataset
from twincode.model import load_model
from twincode.recipes import DEFAULT, RECIPES, recipe

COMMANDS = [
    *("datasets", "train", "evaluate", "encode", "decode", "reconstruct", "export", "explore"),
    *("prior", "sample", "impute", "surprise"),
    *("study run", "study status", "study report"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(twincode, command):
    answer = twincode(*command.split(), "--help")
    assert answer.status == 0
    assert f"Example: twincode {command} " in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_the_help_names_every_command(twincode, words):
    answer = twincode(*words)
    assert answer.status == 0
    assert all(f" {command.split()[0]} " in answer.out for command in COMMANDS)


@pytest.mark.parametrize("words", [("study",), ("study", "--help")])
def test_the_help_of_studies_names_what_can_be_done(twincode, words):
    answer = twincode(*words)
    assert answer.status == 0
    assert all(f" {command} " in answer.out for command in ("run", "status", "report"))


@pytest.mark.parametrize("command", ["train", "study run"])
def test_the_help_names_every_setting(twincode, command):
    words = twincode(*command.split(), "--help").out.split()
    known = setting_names() if command == "train" else {*setting_names()} - {"seed"}
    for name in known:
        option = f"--{name.replace('_', '-')}"
        assert any(re.fullmatch(rf"{option}(=.*|[,.]?)", word) for word in words), name
    assert "--codebook-size=32" in words
    assert ("--seed=0" in words) == (command == "train")


def test_the_help_names_every_recipe(twincode):
    words = [word.strip(",") for word in twincode("train", "--help").out.split()]
    assert all(name in words for name in RECIPES)


def test_the_program_is_installed_under_its_name():
    (program,) = entry_points(group="console_scripts", name="twincode")
    assert program.load().__module__ == "twincode.cli.app"


def test_the_program_says_its_version(twincode):
    said = twincode("--version")
    assert said.out.strip() == f"twincode {version('twincode')}"


def test_datasets_are_listed_by_where_they_are(twincode, tmp_path):
    write_waves(tmp_path / "AVeryLongNameForASetOfWaves.npz", channels=12)
    answer = twincode("datasets", "--data-dir", tmp_path)
    assert answer.status == 0
    lines = [line.split() for line in answer.out.splitlines()]
    assert ["GunPoint", "50", "150", "1", "150", "2"] in lines
    assert ["AVeryLongNameForASetOfWaves", "40", "20", "12", "33", "2"] in lines
    assert lines.index(["bundled"]) < lines.index(["data", "folder"])
    assert max(map(len, answer.out.splitlines())) <= 80


def test_training_leaves_a_model_and_says_how_good_it_is(twincode, waves_file, tmp_path):
    answer = twincode("train", waves_file, "--out", tmp_path / "run", *training_options(epochs=2))
    assert answer.status == 0
    assert "svm_accuracy" in answer.out
    assert f"twincode study report {tmp_path / 'run'}" in " ".join(answer.out.split())
    model = load_model(tmp_path / "run")
    assert model.config.recipe == "bt-vqvae"
    assert model.config.tokenizer.latent_channels == 8
    assert model.source.name == "Waves"
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["command"][0] == "twincode"


def test_a_collapse_that_lasts_is_told_after_a_run_and_after_a_study(
    twincode, waves_file, tmp_path, monkeypatch
):
    # No codebook is used so evenly that this would not count as collapsed.
    monkeypatch.setattr("twincode.train.health.COLLAPSED_SHARE", 1.0)
    small = options("vqvae", epochs=7, evaluations=1, continuous_share=0)
    words = ["train", waves_file, "--recipe", "vqvae", "--out", tmp_path / "run", *small]
    told = "to the end: only"
    first, again = twincode(*words), twincode(*words)
    assert f"twincode: Waves, VQ-VAE: {told}" in first.err
    assert "Waves  VQ-VAE: only" in first.err
    assert again.err.count(told) == first.err.count(told) == 1
    study = ["study", "run", "--datasets", waves_file, "--recipes", "vqvae", "--seeds", "1"]
    answer = twincode(*study, "--out", tmp_path / "study", *small)
    assert answer.err.count(f"twincode: Waves VQ-VAE seed 0: {told}") == 1
    assert answer.status == 0


def test_a_piped_progress_is_one_plain_line_for_each_evaluation(twincode, waves_file, tmp_path):
    words = [
        "train",
        waves_file,
        "--out",
        tmp_path / "run",
        *training_options(epochs=4, evaluations=2),
    ]
    lines = twincode(*words).err.splitlines()
    assert [line.split("  ")[:3] for line in lines] == [
        ["Waves", "BT-VQVAE", "epoch 2/4"],
        ["Waves", "BT-VQVAE", "epoch 4/4"],
    ]
    assert all(line.endswith(" left") and "loss" in line for line in lines)
    assert not any("\x1b" in line or "\r" in line for line in lines)


def test_a_finished_run_is_shown_and_not_repeated(twincode, waves_file, trained):
    before = (trained / "log.jsonl").read_bytes()
    answer = twincode("train", waves_file, "--out", trained, *training_options(epochs=2))
    assert answer.status == 0
    assert "nothing was run again" in " ".join(answer.out.split())
    assert "svm_accuracy" in answer.out
    assert answer.err == ""
    assert (trained / "log.jsonl").read_bytes() == before


@pytest.mark.parametrize("form", [["--gamma=0.5"], ["--gamma", "0.5"]])
def test_settings_have_two_forms(twincode, waves_file, tmp_path, form):
    words = ["--out", tmp_path / "run", *training_options(epochs=1, evaluations=1), *form]
    assert twincode("train", waves_file, *words).status == 0
    assert load_model(tmp_path / "run").config.gamma == 0.5


def commands():
    """The words of every ``twincode train`` on the pages and in the docstrings of recipes."""
    root = Path(__file__).parents[2]
    pages = [root / "README.md", *(root / "docs").glob("*.md"), Path(inspect.getfile(recipe))]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if ".register(" not in text:  # such a page is tested with the part that it registers
            yield from re.findall(r"twincode train \S+ (--[^`#\n]+)", text)


@pytest.mark.parametrize("words", sorted(set(commands())))
def test_the_commands_on_the_pages_give_settings_that_are_read(words):
    settings = parse_settings(shlex.split(words))
    for option in ("out", *(each.name for bundle in (Source, Form) for each in fields(bundle))):
        settings.pop(option, None)
    assert recipe(settings.pop("recipe", DEFAULT), **settings)


def test_series_without_labels_can_be_trained_on(twincode, tmp_path, waves):
    np.save(tmp_path / "own.npy", waves.X_train)
    words = [
        "--out",
        tmp_path / "run",
        "--recipe",
        "vqvae",
        *options("vqvae", epochs=1, evaluations=1),
    ]
    answer = twincode("train", tmp_path / "own.npy", *words)
    assert answer.status == 0
    assert "reconstruction_time" in answer.out
    assert "svm_accuracy" not in answer.out


@pytest.mark.parametrize("lengths", ["resample", "truncate"])
def test_longer_series_are_measured_where_the_policy_allows(twincode, trained, tmp_path, lengths):
    waves = make_waves(8, 6, length=40)
    np.savez(
        tmp_path / "long.npz", X_train=waves.X_train, y_train=waves.y_train, X_test=waves.X_test,
        y_test=waves.y_test,
    )  # fmt: skip
    words = "evaluate", trained, "--dataset", tmp_path / "long.npz", "--out", tmp_path / "e.csv"
    refused = twincode(*words)
    assert refused.status == 1
    assert "40 steps; this model was made for 33" in refused.err
    assert twincode(*words, "--lengths", lengths).status == 0
    measured = pd.read_csv(tmp_path / "e.csv").set_index("metric").value
    model, policy = load_model(trained), Policy(lengths=lengths)
    once = load_dataset(tmp_path / "long.npz", policy=policy, length=model.tokenizer.length)
    told = {each.metric: each.value for each in model.evaluate(once)}
    assert measured["nmse"] == pytest.approx(told["nmse"])
    page = "-o", tmp_path / "p.html", "--lengths", lengths
    assert twincode("explore", trained, tmp_path / "long.npz", *page).status == 0


def test_evaluation_is_shown_and_written(twincode, trained, waves_file, tmp_path):
    answer = twincode("evaluate", trained, "--dataset", waves_file, "--out", tmp_path / "e.csv")
    assert answer.status == 0
    assert "Waves model on Waves" in answer.out
    table = pd.read_csv(tmp_path / "e.csv", keep_default_na=False)
    assert list(table.columns) == ["readout", "metric", "value"]
    stored = json.loads((trained / "result.json").read_text())["evaluations"]
    expected = {(r["readout"], r["metric"]): r["value"] for r in stored if r["epoch"] == 2}
    found = {(r.readout, r.metric): r.value for r in table.itertuples()}
    assert found == pytest.approx(expected, rel=1e-3)


def test_a_model_finds_its_own_data_by_name(twincode, trained, waves_file, tmp_path):
    answer = twincode("evaluate", trained, "--data-dir", waves_file.parent)
    assert answer.status == 0
    assert (trained / "evaluation.csv").exists()
    write_waves(tmp_path / "Waves.npz", seed=1)
    answer = twincode("evaluate", trained, "--data-dir", tmp_path)
    assert answer.status == 1
    assert "the model was trained on another Waves" in answer.err


@pytest.fixture(scope="module")
def own(waves, tmp_path_factory):
    """The same four series in a file of every format."""
    folder = tmp_path_factory.mktemp("own")
    X, y = waves.X_test[:4, 0].astype(np.float64), waves.y_test[:4]
    frame = pd.DataFrame(X).add_prefix("t")
    frame.assign(label=y).to_csv(folder / "x.csv", index=False)
    frame.assign(label=y).to_parquet(folder / "x.parquet")
    pd.DataFrame(np.column_stack([y, X])).to_csv(
        folder / "x.tsv", sep="\t", header=False, index=False
    )
    np.save(folder / "x.npy", X)
    np.savez(folder / "x.npz", X=X[:, None], y=y)
    rows = [",".join(map(repr, row.tolist())) for row in X]
    header = "@problemName x\n@timeStamps false\n@univariate true\n@classLabel false\n@data\n"
    (folder / "x.ts").write_text(header + "\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize("suffix", ["csv", "tsv", "npy", "npz", "parquet", "ts"])
def test_every_format_can_be_encoded(twincode, trained, own, waves, tmp_path, suffix):
    answer = twincode("encode", trained, own / f"x.{suffix}", "-o", tmp_path / "codes.npy")
    assert answer.status == 0
    assert "4 series" in answer.out
    expected = load_model(trained).encode(waves.X_test[:4])
    assert (np.load(tmp_path / "codes.npy") == expected).all()


def read(path):
    assert [path] == list(path.parent.iterdir())
    if path.suffix.lower() == ".npy":
        return np.load(path)
    if path.suffix.lower() == ".npz":
        return np.load(path)["X"]
    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return frame.to_numpy()


@pytest.mark.parametrize("suffix", ["csv", "npy", "npz", "parquet", "NPZ", "Npy"])
def test_every_format_can_be_written(twincode, trained, own, waves, tmp_path, suffix):
    model, X = load_model(trained), waves.X_test[:4]
    out = tmp_path / "new" / f"out.{suffix}"
    assert twincode("encode", trained, own / "x.npy", "--out", out).status == 0
    assert (read(out).reshape(4, *model.tokenizer.grid) == model.encode(X)).all()
    assert twincode("reconstruct", trained, own / "x.npy", "--out", out).status == 0
    np.testing.assert_allclose(read(out).reshape(X.shape), model.reconstruct(X), rtol=1e-5)


@pytest.mark.parametrize("name", ["file", "X"])
def test_an_npz_file_has_no_room_for_some_columns(twincode, trained, waves, tmp_path, name):
    frame = pd.DataFrame(waves.X_test[:2, 0]).add_prefix("t")
    frame.assign(**{name: ["a", "b"]}).to_csv(tmp_path / "x.csv", index=False)
    words = (tmp_path / "x.csv", "-o", tmp_path / "out.npz", "--id-column", name)
    answer = twincode("encode", trained, *words)
    assert answer.status == 1
    assert f"an .npz file has no room for a column '{name}'; rename it" in answer.err


def test_an_npz_file_holds_no_python_objects(twincode, trained, waves, tmp_path):
    X = waves.X_test[:3, 0]
    times = [datetime.datetime(2024, 1, 31), None, datetime.datetime(2024, 2, 1)]
    table = pa.table({"x": X.tolist(), "label": ["a", None, "b"], "when": times, "n": [1, 2, 3]})
    pq.write_table(table, tmp_path / "x.parquet")
    words = tmp_path / "x.parquet", "-o", tmp_path / "out.npz"
    assert twincode("encode", trained, *words).status == 0
    with np.load(tmp_path / "out.npz") as kept:
        assert kept["y"].tolist() == ["a", "", "b"]
        assert kept["when"].tolist() == ["2024-01-31 00:00:00", "", "2024-02-01 00:00:00"]
        assert kept["n"].tolist() == [1, 2, 3]


def test_columns_say_what_they_hold(twincode, trained, own, tmp_path):
    twincode("encode", trained, own / "x.csv", "-o", tmp_path / "codes.csv")
    codes = pd.read_csv(tmp_path / "codes.csv")
    H, W = load_model(trained).tokenizer.grid
    assert list(codes.columns) == ["label", *(f"h{h}_w{w}" for h in range(H) for w in range(W))]
    assert (codes.dtypes == np.int64).all()
    twincode("reconstruct", trained, own / "x.csv", "-o", tmp_path / "series.parquet")
    assert list(pd.read_parquet(tmp_path / "series.parquet").columns) == [
        *("label", *(f"t{step}" for step in range(33)))
    ]


def test_series_of_another_length_can_be_resampled(twincode, trained, waves, tmp_path):
    np.save(tmp_path / "short.npy", waves.X_test[:3, :, :20])
    words = (trained, tmp_path / "short.npy", "-o", tmp_path / "codes.npy")
    assert "use --lengths resample" in twincode("encode", *words).err
    assert twincode("encode", *words, "--lengths", "resample").status == 0
    assert len(np.load(tmp_path / "codes.npy")) == 3


def test_channels_have_columns_of_their_own(twincode, tmp_path):
    data = write_waves(tmp_path / "Two.npz", channels=2)
    words = [
        "--out",
        tmp_path / "run",
        "--recipe",
        "vqvae",
        *options("vqvae", epochs=1, evaluations=1),
    ]
    assert twincode("train", data, *words).status == 0
    np.save(tmp_path / "x.npy", load_dataset(data).X_test[:3])
    twincode("reconstruct", tmp_path / "run", tmp_path / "x.npy", "-o", tmp_path / "out.csv")
    columns = list(pd.read_csv(tmp_path / "out.csv").columns)
    assert columns == [f"c{c}_t{t}" for c in (0, 1) for t in range(33)]


def test_a_study_ends_in_a_page_and_is_not_repeated(twincode, waves_file, tmp_path, monkeypatch):
    words = ["study", "run", "--datasets", f" {waves_file},", "--out", tmp_path / "s"]
    words += ["--axis", "gamma=1", "--seeds", "1", *options(epochs=1, evaluations=1)]
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/twincode", *map(str, words)])
    answer = twincode(*words)
    assert answer.status == 0
    assert "runs: 8 trained, 0 already there" in answer.out
    assert "Waves: mean ± standard deviation over seeds" in answer.out
    assert max(map(len, answer.out.splitlines()[:-1])) <= 80
    assert [line.split("]")[0] for line in answer.err.splitlines()] == [
        f"[{number}/8" for number in range(1, 9)
    ]
    assert (tmp_path / "s" / "report.html").exists()
    study = json.loads((tmp_path / "s" / "study.json").read_text())
    assert study["command"] == ["twincode", *map(str, words)]
    monkeypatch.setattr("twincode.report.write_report", lambda folder: folder / "report.html")
    again = twincode(*words)
    assert again.status == 0
    assert "runs: 0 trained, 8 already there" in again.out
    assert again.err == ""


def test_a_study_with_a_failed_run_says_so_and_shows_the_rest(
    twincode, waves_file, tmp_path, monkeypatch
):
    from twincode.errors import TwincodeError
    from twincode.study import work
    from twincode.train import fit

    def flaky(config, *others):
        if config.gamma:
            raise TwincodeError("it broke")
        return fit(config, *others)

    monkeypatch.setattr(work, "fit", flaky)
    monkeypatch.setattr("twincode.report.write_report", lambda folder: folder / "report.html")
    words = ["study", "run", "--datasets", waves_file, "--out", tmp_path / "s"]
    words += ["--axis", "gamma=0.5,1,2", "--seeds", "1", *options(epochs=1, evaluations=1)]
    answer = twincode(*words)
    assert answer.status == 1
    assert "[8/10] Waves  BT-VQVAE γ=0.5  seed 0  failed: it broke" in answer.err
    assert answer.err.splitlines()[-1] == (
        "twincode: failed: Waves BT-VQVAE γ=0.5 seed 0 and 2 more: it broke"
    )
    assert "runs: 7 trained, 0 already there" in answer.out
    assert "VQ-VAE, augmented" in answer.out
    standing = twincode("study", "status", tmp_path / "s")
    assert standing.out.splitlines() == [
        "7 of 10 runs done, 3 failed, 100% of the work",
        *[f"failed: Waves  BT-VQVAE γ={gamma}  seed 0: it broke" for gamma in ("0.5", 1, 2)],
        "run the same command again to try what failed again",
    ]


def test_a_study_is_read_from_a_file_and_options_count_before_it(
    twincode, waves_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("twincode.report.write_report", lambda folder: folder / "report.html")
    settings = "\n".join(f"{n} = {v}" for n, v in small_settings("vqvae").items())
    Path("waves.toml").write_text(
        f'datasets = ["{waves_file}"]\nrecipes = ["vqvae"]\nseeds = 5\n'
        f"[axes]\nlearning_rate = [0.1, 0.2]\n[settings]\n{settings}\n[recipe.vqvae]\nepochs = 4\n"
    )
    words = ["--seeds", 2, "--epochs", 1, "--evaluations", 1, "--learning-rate", 0.1]
    answer = twincode("study", "run", "waves.toml", *words)
    assert answer.status == 0
    assert "runs: 9 trained, 0 already there" in answer.out
    records = [json.loads(path.read_text()) for path in tmp_path.glob("waves/runs/*/result.json")]
    assert {record["epochs"] for record in records} == {0, 1}
    study = json.loads((tmp_path / "waves" / "study.json").read_text())
    assert (study["seeds"], study["axes"]) == ([0, 1], {})
    assert twincode("study", "status", "waves").out == "9 of 9 runs done, 100% of the work\n"
    words = ["--seeds", 1, "--steps", 6, "--evaluations", 1, "--axis", "codebook-size=5,6"]
    steps = twincode("study", "run", "waves.toml", *words)
    assert "runs: 5 trained, 4 already there" in steps.out
    study = json.loads((tmp_path / "waves" / "study.json").read_text())
    assert study["axes"] == {"learning_rate": [0.1, 0.2], "codebook_size": [5, 6]}


def test_a_page_can_be_made_of_one_run(twincode, trained):
    answer = twincode("study", "report", trained)
    assert answer.status == 0
    assert "".join(answer.out.split()) == f"page:{trained / 'report.html'}"
    assert (trained / "report.html").stat().st_size > 1000
