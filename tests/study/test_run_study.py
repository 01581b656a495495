import dataclasses
import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import write_waves

from twincode.data import Columns, Policy, load_dataset
from twincode.errors import TwincodeError
from twincode.files import cannot_write, held, read_json
from twincode.recipes import recipe
from twincode.study import Processes, Study, read_status, run_study
from twincode.study import runner as runner_module
from twincode.study import work as work_module
from twincode.study.board import DONE, FAILED, PLANNED, RUNNING, Row
from twincode.study.events import EVENTS, append_event, look, read_events
from twincode.study.runs import DataReference
from twincode.train import fit

SETTINGS = {
    "latent_channels": 4,
    "residual_blocks": 1,
    "codebook_size": 6,
    "projector_width": 8,
    "batch_size": 16,
    "kmeans_fits": 1,
    "evaluations": 1,
    "epochs": 1,
}


def without(*names):
    return {key: value for key, value in SETTINGS.items() if key not in names}


@pytest.fixture(scope="module")
def study(waves_file):
    return Study((str(waves_file),), ("vqvae", "bt-vqvae"), seeds=1, settings=SETTINGS)


def grown(study, **changes):
    return dataclasses.replace(study, **changes)


@pytest.fixture
def folder(study, tmp_path):
    assert run_study(study, tmp_path / "s", device="cpu").trained == 7
    return tmp_path / "s"


def results(folder):
    return {path.parent.name: path.read_bytes() for path in folder.glob("runs/*/result.json")}


def test_every_run_keeps_its_result_and_the_study_says_what_it_is(study, waves_file, tmp_path):
    seen, boards = [], []

    def watch(event, board):
        seen.append(event)
        boards.append(board)

    axes = {"codebook_size": [4, 6]}
    study = grown(
        study, recipes=("vqvae",), axes=axes, settings=without("codebook_size", "projector_width")
    )
    outcome = run_study(
        study, str(tmp_path / "s"), device="cpu", watch=watch, command=["a", "command"]
    )
    assert (outcome.trained, outcome.present, outcome.failed) == (7, 0, {})
    assert json.loads((tmp_path / "s" / "study.json").read_text()) == {
        "format": 2,
        "name": "s",
        "command": ["a", "command"],
        "datasets": ["Waves"],
        "seeds": [0],
        "axes": axes,
        "runs": list(boards[0].rows),
    }
    assert [row.title for row in boards[0].rows.values()] == [
        "Waves  Raw series  seed 0",
        "Waves  PCA, k-means  seed 0",
        "Waves  Patches, k-means  seed 0",
        "Waves  Random encoder codebook_size=4  seed 0",
        "Waves  Random encoder codebook_size=6  seed 0",
        "Waves  VQ-VAE codebook_size=4  seed 0",
        "Waves  VQ-VAE codebook_size=6  seed 0",
    ]
    assert [event["event"] for event in seen[:2]] == ["began", "started"]
    for row in boards[-1].rows.values():
        assert (row.state, row.epoch) == (DONE, row.epochs)
        mine = [event["event"] for event in seen if event.get("run") == row.name]
        epochs = ["epoch"] * row.epochs
        assert mine == ["started", "start", *epochs, "evaluation", "end", "ended"]
        result = json.loads((tmp_path / "s" / "runs" / row.name / "result.json").read_text())
        assert result["run"] == row.name
        assert result["command"] == ["a", "command"]
        assert result["dataset"]["checksum"] == load_dataset(waves_file).checksum
    kept = [event["event"] for event in read_events(tmp_path / "s")]
    assert kept == ["began", *["started", "ended"] * 7]


def test_a_run_of_a_study_is_the_run_alone(folder, waves_file, tmp_path):
    config = recipe("bt-vqvae", **SETTINGS)
    fit(config, load_dataset(waves_file), tmp_path / "alone", "cpu")
    alone = json.loads((tmp_path / "alone" / "result.json").read_text())
    among = json.loads(results(folder)[alone["run"]])
    assert alone["evaluations"] == among["evaluations"]


def test_nothing_is_run_twice(study, folder, monkeypatch):
    before = results(folder)
    monkeypatch.setattr(work_module, "fit", lambda *_: pytest.fail("a run was repeated"))
    seen = []
    outcome = run_study(study, folder, device="cpu", watch=lambda event, _: seen.append(event))
    assert (outcome.trained, outcome.present) == (0, 7)
    assert [event["event"] for event in seen] == ["began"]
    assert results(folder) == before


def test_a_study_grows_with_seeds_values_and_data(study, folder, tmp_path):
    before = results(folder)
    other = str(write_waves(tmp_path / "data" / "Other.npz", seed=1))
    for changes, new, runs in [
        ({"seeds": 2}, 6, 13),
        ({"seeds": 2, "axes": {"gamma": (1.0, 2.0)}}, 2, 15),
        ({"datasets": (*study.datasets, other)}, 7, 14),
    ]:
        outcome = run_study(grown(study, **changes), folder, device="cpu")
        assert (outcome.trained, outcome.present) == (new, runs - new)
        assert len(json.loads((folder / "study.json").read_text())["runs"]) == runs
    after = results(folder)
    assert len(after) == 7 + 6 + 2 + 7
    assert {name: after[name] for name in before} == before


def test_gamma_and_seed_matter(study, tmp_path):
    """A sweep must not write one name while the model reads another."""
    plan = grown(study, axes={"gamma": (0.5, 2.0)}, seeds=2, recipes=("bt-vqvae",))
    run_study(plan, tmp_path, device="cpu")
    runs = [json.loads(content) for content in results(tmp_path).values()]
    twins = [run for run in runs if run["config"]["twin_loss"]]
    losses = [run["history"][0]["losses"]["total"] for run in twins]
    assert len(set(losses)) == 4


@pytest.mark.parametrize(
    "error",
    [TwincodeError("it broke"), MemoryError("it broke\non the way")],
)
def test_a_failing_run_stops_no_other(study, tmp_path, monkeypatch, error):
    def flaky(config, *others):
        if config.recipe == "vqvae":
            raise error
        return fit(config, *others)

    monkeypatch.setattr(work_module, "fit", flaky)
    outcome = run_study(study, tmp_path, device="cpu")
    assert outcome.trained == 6
    assert outcome.failed == {"Waves  VQ-VAE  seed 0": "it broke"}
    monkeypatch.undo()
    assert run_study(study, tmp_path, device="cpu").trained == 1


def test_an_interrupted_study_goes_on(study, tmp_path, monkeypatch):
    def interrupted(config, *others):
        if config.recipe == "vqvae":
            raise KeyboardInterrupt
        return fit(config, *others)

    monkeypatch.setattr(work_module, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_study(study, tmp_path, device="cpu")
    monkeypatch.undo()
    outcome = run_study(study, tmp_path, device="cpu")
    assert (outcome.trained, outcome.present) == (3, 4)


def test_a_data_set_given_twice_counts_once(study, folder):
    plan = grown(study, datasets=study.datasets * 2)
    assert run_study(plan, folder, device="cpu").present == 7
    assert len(json.loads((folder / "study.json").read_text())["runs"]) == 7


def test_one_data_set_of_two_names_is_an_error(study, tmp_path):
    """Runs are named after values: those of the second would be taken for the first's."""
    other = str(write_waves(tmp_path / "data" / "Again.npz"))
    with pytest.raises(TwincodeError, match="Waves and Again are the same data; leave one out"):
        run_study(grown(study, datasets=(*study.datasets, other)), tmp_path / "s")


def test_two_data_sets_of_one_name_are_an_error(study, tmp_path):
    other = str(write_waves(tmp_path / "data" / "Waves.npz", seed=1))
    with pytest.raises(TwincodeError, match="two different data sets are called Waves"):
        run_study(grown(study, datasets=(*study.datasets, other)), tmp_path / "s")


@pytest.mark.parametrize(
    ("changes", "device", "message"),
    [
        ({}, "tpu9", "device 'tpu9' is not available"),
        ({"datasets": ("GunPiont",)}, "cpu", "unknown data set 'GunPiont'"),
        ({"recipes": ("vqvea",)}, "cpu", "unknown recipe"),
    ],
)
def test_a_study_that_cannot_start_leaves_nothing(study, tmp_path, changes, device, message):
    with pytest.raises(TwincodeError, match=message):
        run_study(grown(study, **changes), tmp_path / "s", device=device)
    assert not (tmp_path / "s").exists()


def test_a_folder_that_cannot_be_is_an_error(study, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TwincodeError, match="a file stands where a folder is needed"):
        run_study(study, tmp_path / "file" / "s")


def test_what_nobody_foresaw_is_kept_at_length(study, tmp_path, monkeypatch):
    def broken(config, *others):
        return {}[config.recipe] if config.recipe == "vqvae" else fit(config, *others)

    monkeypatch.setattr(work_module, "fit", broken)
    outcome = run_study(study, tmp_path, device="cpu")
    assert (outcome.trained, outcome.failed) == (6, {"Waves  VQ-VAE  seed 0": "KeyError: 'vqvae'"})
    (kept,) = tmp_path.glob("runs/*/failure.txt")
    assert "Traceback" in kept.read_text()
    monkeypatch.undo()
    assert run_study(study, tmp_path, device="cpu").trained == 1
    assert not kept.exists()


def test_a_log_that_was_cut_back_is_no_work_undone(tmp_path):
    log = "".join(json.dumps({"event": "epoch", "epoch": epoch}) + "\n" for epoch in (1, 2))
    (tmp_path / "log.jsonl").write_text(log)
    row = Row("a", "", 6, 10, epoch=4, from_epoch=4)
    look(tmp_path, row)
    assert (row.epoch, row.from_epoch, row.own) == (2, 2, 0)


def test_settings_that_suit_one_data_set_alone(study, tmp_path):
    """A window longer than its series makes no model."""
    short = str(write_waves(tmp_path / "data" / "Short.npz", length=9))
    plan = grown(study, datasets=(*study.datasets, short), settings={**SETTINGS, "n_fft": 32})
    outcome = run_study(plan, tmp_path / "s", device="cpu")
    assert outcome.trained >= 5
    assert {title.split()[0] for title in outcome.failed} == {"Short"}
    failed = read_status(tmp_path / "s").of(FAILED)
    assert {row.title: row.reason for row in failed} == outcome.failed
    assert all(len(row.reason.splitlines()) == 1 for row in failed)


def standing(folder):
    return [(row.name, row.state, row.epoch) for row in read_status(folder).rows.values()]


def test_lost_and_torn_events_are_no_loss(study, folder):
    before = standing(folder)
    path = folder / EVENTS
    path.unlink()
    with pytest.raises(TwincodeError, match=f"nobody has worked on the study in {folder} here"):
        read_status(folder)
    with pytest.raises(TwincodeError, match="no study in"):
        read_status(folder / "runs")
    assert run_study(study, folder, device="cpu").present == 7
    assert standing(folder) == before
    with path.open("a") as file:
        file.write('{"event": "started", "ru')
    assert standing(folder) == before
    assert run_study(study, folder, device="cpu").present == 7
    assert standing(folder) == before


def test_runs_copied_in_are_taken_up(study, folder, tmp_path):
    copy = tmp_path / "copy"
    kept = list(results(folder))[:3]
    for name in kept:
        shutil.copytree(folder / "runs" / name, copy / "runs" / name)
    before = results(copy)
    outcome = run_study(study, copy, device="cpu")
    assert (outcome.trained, outcome.present) == (4, 3)
    assert {name: results(copy)[name] for name in kept} == before


@pytest.mark.parametrize("content", ["", '{"run": "another"}', "[]"])
def test_a_copied_result_that_is_none_is_one_line(study, folder, content):
    (folder / EVENTS).unlink()
    path = next(folder.glob("runs/*/result.json"))
    path.write_text(content)
    with pytest.raises(TwincodeError, match=f"{path}.*delete it"):
        run_study(study, folder, device="cpu")


def test_a_study_kept_without_its_runs_is_not_begun_anew(study, folder, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("study.json", "runs.jsonl"):
        (kept / name).write_text("{}" if name == "runs.jsonl" else (folder / name).read_text())
    with pytest.raises(TwincodeError, match="keeps what a study has found without its runs"):
        run_study(study, kept)
    assert not (kept / "runs").exists()


def test_data_that_changed_between_two_studies_are_read_again(tmp_path):
    X = np.random.default_rng(0).normal(size=(2, 12, 12)).astype(np.float32)
    path = tmp_path / "own.npz"
    for values in X:
        np.savez(path, X_train=values[:8], X_test=values[8:])
        found = DataReference.find(str(path), None, Policy(), Columns())
        assert np.array_equal(found.load().X_train[:, 0], values[:8])


def test_what_a_dead_driver_left_running_is_known_not_to_run(folder):
    name = next(iter(results(folder)))
    (folder / "runs" / name / "result.json").unlink()
    append_event(folder, {"event": "started", "run": name, "worker": "process 1"})
    board = read_status(folder)
    assert not board.alive
    assert [row.name for row in board.of(PLANNED)] == [name]
    assert len(board.of(DONE)) == 6


def test_two_drivers_on_one_folder_are_one_too_many(study, tmp_path, monkeypatch):
    monkeypatch.setattr(runner_module, "LOCK_SECONDS", 0.1)
    seen = []

    def start_another(event, _board):
        if event["event"] == "started" and not seen:
            seen.append(read_status(tmp_path))
            with pytest.raises(TwincodeError, match="another twincode is at work on"):
                run_study(study, tmp_path, device="cpu")

    assert run_study(study, tmp_path, device="cpu", watch=start_another).trained == 7
    assert seen[0].alive
    assert len(seen[0].of(RUNNING)) == 1
    assert not read_status(tmp_path).alive


def test_a_disk_too_full_for_events_loses_nothing(study, tmp_path, monkeypatch):
    def refuse(folder, event):
        if event["event"] == "ended":
            raise cannot_write(folder / EVENTS, OSError(errno.ENOSPC, "No space left on device"))
        append_event(folder, event)

    monkeypatch.setattr(runner_module, "append_event", refuse)
    with pytest.raises(TwincodeError, match=f"cannot write {tmp_path / EVENTS}: the disk is full"):
        run_study(study, tmp_path, device="cpu")
    monkeypatch.undo()
    outcome = run_study(study, tmp_path, device="cpu")
    assert (outcome.trained, outcome.present) == (6, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line(tmp_path):
    (tmp_path / EVENTS).symlink_to("/dev/full")
    with pytest.raises(TwincodeError, match=f"cannot write {tmp_path / EVENTS}: the disk is full"):
        append_event(tmp_path, {"event": "began"})


def test_a_disk_too_full_for_results_fails_runs_and_loses_none(study, tmp_path, monkeypatch):
    ordinary = Path.touch

    def refuse(path, *others, **named):
        if path.name.startswith(".result."):
            raise OSError(errno.ENOSPC, "No space left on device")
        ordinary(path, *others, **named)

    monkeypatch.setattr(Path, "touch", refuse)
    outcome = run_study(study, tmp_path, device="cpu")
    assert len(outcome.failed) == 7
    assert all("the disk is full; free some space" in why for why in outcome.failed.values())
    monkeypatch.undo()
    assert run_study(study, tmp_path, device="cpu").trained == 7


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("study.json", '{"name": "s", "epochs": 3}', "finish it with the version that began it"),
        ("ledger.sqlite", "", "finish it with the version that began it"),
        ("study.json", '{"format": 3}', "written by a newer twincode"),
        ("study.json", "{", "is not a readable description of a study"),
    ],
)
def test_a_study_of_another_version_is_left_alone(study, tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    for attempt in (
        lambda: run_study(study, tmp_path, device="cpu"),
        lambda: read_status(tmp_path),
    ):
        with pytest.raises(TwincodeError, match=message) as caught:
            attempt()
        assert len(str(caught.value).splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_budget_in_steps_is_resolved_for_each_data_set(study, tmp_path):
    settings = {**without("epochs", "projector_width"), "steps": 10}
    large = str(write_waves(tmp_path / "data" / "Large.npz", n_train=80))
    plan = grown(study, datasets=(*study.datasets, large), settings=settings)
    run_study(grown(plan, recipes=("vqvae",)), tmp_path / "s", device="cpu")
    rows = read_status(tmp_path / "s").of(DONE)
    assert {(row.title, row.epochs) for row in rows if "VQ-VAE" in row.title} == {
        ("Waves  VQ-VAE  seed 0", 3),
        ("Large  VQ-VAE  seed 0", 2),
    }


def test_columns_are_told_of_files_and_reach_the_workers(tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 12))
    frame = pd.DataFrame(rows).add_prefix("t")
    frame.insert(0, "pump", [f"p{i}" for i in range(20)])
    frame.insert(1, "state", ["idle", "leak"] * 10)
    frame.to_csv(tmp_path / "pumps.csv", index=False)
    columns = Columns(id_column="pump", label_column="state")
    settings = {"bits": 10, "metrics": ("reconstruction",)}
    study = Study((str(tmp_path / "pumps.csv"),), ("pca-pq",), seeds=1, settings=settings)
    outcome = run_study(study, tmp_path / "out", executor=Processes(1), columns=columns)
    assert not outcome.failed
    results = [read_json(path, "") for path in (tmp_path / "out").glob("runs/*/result.json")]
    assert {tuple(result["dataset"]["classes"]) for result in results} == {("idle", "leak")}
    assert {result["dataset"]["length"] for result in results} == {12}
    with pytest.raises(TwincodeError, match="id_column="):
        run_study(study, tmp_path / "other")


def test_data_are_read_through_the_links_that_name_them(tmp_path):
    """As tools that keep data elsewhere leave them: what a link leads to has another name."""
    store = tmp_path / "store"
    store.mkdir()
    for part, seed in (("TRAIN", 0), ("TEST", 1)):
        values = np.random.default_rng(seed).normal(size=(8, 20))
        pd.DataFrame(values).to_csv(store / f"{seed}.csv", header=False, index=False)
        (tmp_path / f"Gun_{part}.csv").symlink_to(store / f"{seed}.csv")
    path = str(tmp_path / "Gun_TRAIN.csv")
    found = DataReference.find(path, None, Policy(), Columns())
    assert found.name == "Gun"
    assert len(found.load().X_test) == 8


def test_a_run_whose_folder_is_gone_is_not_done(folder):
    name = next(iter(results(folder)))
    shutil.rmtree(folder / "runs" / name)
    assert [row.name for row in read_status(folder).of(PLANNED)] == [name]


def test_whether_anybody_is_at_work_is_known_without_the_right_to_write(folder, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError

    monkeypatch.setattr("twincode.study.events.FileLock", refuse)
    assert not read_status(folder).alive
    with held(folder, "busy"):
        assert read_status(folder).alive


def test_events_of_another_version_are_told(folder):
    append_event(folder, {"event": "began", "time": 1.0, "driver": "x", "runs": [{"run": "y"}]})
    with pytest.raises(TwincodeError, match="written by another version of twincode"):
        read_status(folder)


def test_a_single_run_is_no_study(study, tmp_path):
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(TwincodeError, match="holds a single run"):
        run_study(study, tmp_path, device="cpu")


def test_axes_may_be_numbers_of_numpy(waves_file, tmp_path):
    axes = {"bits": list(np.array([20, 21]))}
    run_study(Study((str(waves_file),), ("mixture",), axes, seeds=1), tmp_path, device="cpu")
    assert json.loads((tmp_path / "study.json").read_text())["axes"] == {"bits": [20, 21]}
