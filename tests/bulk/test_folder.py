"""Folders of Parquet files to codes and back."""

import errno
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import make_waves, tiny
from filelock import FileLock

from twincode.bulk import Decode, Encode, convert_folder
from twincode.bulk.parquet import ROWS_AT_ONCE, batches
from twincode.data import Columns, Policy
from twincode.data.windows import cut, join
from twincode.errors import TwincodeError
from twincode.files import LOCK
from twincode.model import Model, load_model
from twincode.quantize.closed_form import LAYOUTS_KEPT
from twincode.train import fit

L = 33


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of a model of one length and of one that takes any."""
    folder, X = tmp_path_factory.mktemp("models"), make_waves(40, 8).X_train
    for name in ("vqvae", "patch-rvq"):
        fit(tiny(name, evaluations=0), X).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def X():
    return make_waves(30, 8, seed=3).X_train[:, 0]


@pytest.fixture
def source(X, tmp_path):
    """Two files of lists in a folder, one of them below."""
    folder = tmp_path / "in"
    write(folder / "a.parquet", X[:20], who=[f"m{i}" for i in range(20)])
    write(folder / "deep" / "b.parquet", X[20:], who=[None, *"123456789"])
    return folder


def write(path, series, **beside):
    path.parent.mkdir(parents=True, exist_ok=True)
    lists = pa.array([list(map(float, each)) for each in series], pa.list_(pa.float32()))
    pq.write_table(pa.table({**beside, "x": lists}), path)


def read(path):
    return pq.read_table(path, partitioning=None)


def files(folder):
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and p.name != LOCK)
    return sorted(map(str, found))


def lists(path, column):
    return [np.array(each) for each in read(path)[column].to_pylist()]


def test_codes_are_the_models_and_what_stood_beside_is_untouched(models, source, X, tmp_path):
    told = []
    done = convert_folder(
        models / "vqvae", Encode(), source, tmp_path / "out", watch=lambda *n: told.append(n)
    )
    assert done == (2, 0)
    assert told == [(20, 30), (30, 30)]
    assert files(tmp_path / "out") == ["a.parquet", "deep/b.parquet"]
    model, table = load_model(models / "vqvae"), read(tmp_path / "out" / "a.parquet")
    assert table.column_names == ["who", "codes", "length"]
    assert table["codes"].type.value_type == pa.uint8()
    codes = np.stack(lists(tmp_path / "out" / "a.parquet", "codes"))
    np.testing.assert_array_equal(codes.reshape(20, *model.tokenizer.grid), model.encode(X[:20]))
    for name in ("a.parquet", "deep/b.parquet"):
        assert read(tmp_path / "out" / name)["who"].equals(read(source / name)["who"])


@pytest.mark.parametrize("name", ["vqvae", "patch-rvq"])
def test_decoding_streams_back(models, source, X, tmp_path, name):
    convert_folder(models / name, Encode(), source, tmp_path / "out")
    assert convert_folder(models / name, Decode(), tmp_path / "out", tmp_path / "back") == (2, 0)
    table = read(tmp_path / "back" / "a.parquet")
    assert table.column_names == ["who", "x"]
    series = np.stack(lists(tmp_path / "back" / "a.parquet", "x"))
    model = load_model(models / name)
    np.testing.assert_array_equal(series, model.decode(model.encode(X[:20]))[:, 0])


def test_a_column_a_step_gives_the_same_codes_as_a_list(models, source, X, tmp_path):
    wide = pd.DataFrame(X[:20]).add_prefix("t").assign(machine=range(20))
    (tmp_path / "wide").mkdir()
    wide.to_parquet(tmp_path / "wide" / "a.parquet")
    job = Encode(Columns(id_column="machine"))
    convert_folder(models / "vqvae", job, tmp_path / "wide", tmp_path / "w")
    convert_folder(models / "vqvae", Encode(), source / "a.parquet", tmp_path / "l")
    table = read(tmp_path / "w" / "a.parquet")
    assert table["machine"].to_pylist() == list(range(20))
    assert table["codes"].equals(read(tmp_path / "l" / "a.parquet")["codes"])


def test_one_time_step_a_row(models, X, tmp_path):
    rows = [(f"m{i}", t, v) for i, own in enumerate(X[:5]) for t, v in enumerate(own)]
    (tmp_path / "in").mkdir()
    frame = pd.DataFrame(rows, columns=["id", "time", "v"]).sample(frac=1, random_state=0)
    frame.to_parquet(tmp_path / "in" / "a.parquet")
    convert_folder(models / "vqvae", Encode(Columns("long")), tmp_path / "in", tmp_path / "out")
    table = read(tmp_path / "out" / "a.parquet")
    order = [int(name[1:]) for name in table["id"].to_pylist()]
    codes = np.stack(lists(tmp_path / "out" / "a.parquet", "codes")).reshape(5, -1)
    expected = load_model(models / "vqvae").encode(X[order]).reshape(5, -1)
    np.testing.assert_array_equal(codes, expected)


def test_a_model_that_takes_any_length_takes_each_as_it_is(models, X, tmp_path):
    series = [X[0], X[1][:20], np.concatenate(X[2:5]), X[5][:20]]
    write(tmp_path / "in" / "a.parquet", series)
    convert_folder(models / "patch-rvq", Encode(), tmp_path / "in", tmp_path / "out")
    table, model = tmp_path / "out" / "a.parquet", load_model(models / "patch-rvq")
    assert read(table)["length"].to_pylist() == [33, 20, 99, 20]
    for codes, each in zip(lists(table, "codes"), series, strict=True):
        np.testing.assert_array_equal(codes, model.encode(each[None])[0, 0])
    convert_folder(models / "patch-rvq", Decode(), tmp_path / "out", tmp_path / "back")
    for found, each in zip(lists(tmp_path / "back" / "a.parquet", "x"), series, strict=True):
        codes = model.encode(each[None])
        np.testing.assert_allclose(found, model.decode(codes, len(each))[0, 0], atol=1e-6)


@pytest.mark.parametrize("stride", [L, 10])
def test_longer_series_are_cut_into_windows_and_joined_again(models, X, tmp_path, stride):
    series = [np.concatenate(X[:3])[:80], X[3], np.concatenate(X[4:6])]
    write(tmp_path / "in" / "a.parquet", series)
    convert_folder(models / "vqvae", Encode(stride=stride), tmp_path / "in", tmp_path / "out")
    model = load_model(models / "vqvae")
    for codes, each in zip(lists(tmp_path / "out" / "a.parquet", "codes"), series, strict=True):
        windows = cut(each[None], L, stride)
        np.testing.assert_array_equal(codes, model.encode(windows).reshape(-1))
    convert_folder(models / "vqvae", Decode(), tmp_path / "out", tmp_path / "back")
    for found, each in zip(lists(tmp_path / "back" / "a.parquet", "x"), series, strict=True):
        decoded = model.decode(model.encode(cut(each[None], L, stride)))
        np.testing.assert_allclose(found, join(decoded, len(each), stride)[0], atol=1e-6)


def test_shorter_series_and_gaps_are_for_the_policy(models, X, tmp_path):
    long = np.concatenate(X[:2])
    long[7] = np.nan
    write(tmp_path / "in" / "a.parquet", [X[0][:20], long])
    with pytest.raises(TwincodeError, match=r"a\.parquet, series 2 has a missing value"):
        convert_folder(models / "vqvae", Encode(stride=10), tmp_path / "in", tmp_path / "out")
    job = Encode(policy=Policy("interpolate"), stride=10)
    with pytest.raises(TwincodeError, match="series 1 has 20 time steps, not 33"):
        convert_folder(models / "vqvae", job, tmp_path / "in", tmp_path / "out")
    for stride in (10, 0):
        job, out = Encode(policy=Policy("interpolate", "resample"), stride=stride), f"out{stride}"
        convert_folder(models / "vqvae", job, tmp_path / "in", tmp_path / out)
        lengths = read(tmp_path / out / "a.parquet")["length"].to_pylist()
        assert lengths == [33, 66 if stride else 33]


@pytest.mark.parametrize("name", ["vqvae", "patch-rvq"])
def test_longer_series_are_cut_off_where_the_policy_says_so(models, X, tmp_path, name):
    write(tmp_path / "in" / "a.parquet", [X[0], np.concatenate(X[1:3])])
    job = Encode(policy=Policy(lengths="truncate"))
    convert_folder(models / name, job, tmp_path / "in", tmp_path / "out")
    found = np.stack(lists(tmp_path / "out" / "a.parquet", "codes"))
    assert np.array_equal(found, load_model(models / name).encode(X[:2]).reshape(2, -1))
    write(tmp_path / "short" / "a.parquet", [X[0][:20]])
    with pytest.raises(TwincodeError, match=r'20 time steps, not 33; use lengths="resample"'):
        convert_folder(models / name, job, tmp_path / "short", tmp_path / "none")


def test_files_are_found_whatever_their_case_and_behind_links(models, X, tmp_path):
    write(tmp_path / "in" / "A.PARQUET", X[:2])
    write(tmp_path / "in" / "_unfinished.parquet", X[:2])
    write(tmp_path / "elsewhere" / "b.parquet", X[2:4])
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "in")
    source, out = str(tmp_path / "in"), str(tmp_path / "out")
    assert convert_folder(str(models / "vqvae"), Encode(), source, out) == (2, 0)
    assert files(tmp_path / "out") == ["A.PARQUET", "link/b.parquet"]


def test_a_stopped_run_goes_on_and_a_finished_one_is_left_alone(models, source, tmp_path):
    out, bad = tmp_path / "out", source / "deep" / "b.parquet"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-9])
    with pytest.raises(TwincodeError, match=r"b\.parquet is damaged"):
        convert_folder(models / "vqvae", Encode(), source, out)
    write(bad, [np.arange(5)])
    with pytest.raises(TwincodeError, match=r"b\.parquet, series 1 has 5 time steps"):
        convert_folder(models / "vqvae", Encode(), source, out)
    assert files(out) == ["a.parquet"]
    before = (out / "a.parquet").stat().st_mtime_ns
    bad.write_bytes(whole)
    assert convert_folder(models / "vqvae", Encode(), source, out) == (1, 1)
    assert convert_folder(models / "vqvae", Encode(), source, out) == (0, 2)
    assert (out / "a.parquet").stat().st_mtime_ns == before
    os.utime(source / "a.parquet", (0, 0))  # another file, for all that is known
    assert convert_folder(models / "vqvae", Encode(), source, out) == (1, 1)


def test_what_a_killed_program_left_is_removed_and_two_never_write(models, source, tmp_path):
    out = tmp_path / "out"
    left = out / "deep" / f".b.{'0' * 32}.parquet"
    left.parent.mkdir(parents=True)
    left.touch()
    with FileLock(out / LOCK), pytest.raises(TwincodeError, match="another program is converting"):
        convert_folder(models / "vqvae", Encode(), source, out)
    convert_folder(models / "vqvae", Encode(), source, out)
    assert files(out) == ["a.parquet", "deep/b.parquet"]


def test_what_was_made_otherwise_is_not_mixed_in(models, source, tmp_path, twincode):
    out = tmp_path / "out"
    convert_folder(models / "vqvae", Encode(), source, out)
    job = Encode(policy=Policy("interpolate"), stride=3)
    with pytest.raises(TwincodeError, match="it differs in stride, missing"):
        convert_folder(models / "vqvae", job, source, out)
    with pytest.raises(TwincodeError, match="it differs in model"):
        convert_folder(models / "patch-rvq", Encode(), source, out)
    with pytest.raises(TwincodeError, match="codes of another model"):
        convert_folder(models / "patch-rvq", Decode(), out, tmp_path / "back")
    words = ("decode", models / "patch-rvq", out / "a.parquet", "-o", tmp_path / "back.csv")
    assert "codes of another model" in twincode(*words).err
    with pytest.raises(TwincodeError, match="was not written by twincode encode"):
        convert_folder(models / "vqvae", Decode(), source, tmp_path / "back")
    (tmp_path / "own").mkdir()
    write(tmp_path / "own" / "a.parquet", [[1.0]])
    with pytest.raises(TwincodeError, match="was not written by twincode; choose another"):
        convert_folder(models / "vqvae", Encode(), source, tmp_path / "own")


def test_a_made_up_name_of_a_channel_does_not_hide_a_column(models, X, tmp_path):
    (tmp_path / "in").mkdir()
    pd.DataFrame(X[:3]).add_prefix("t").assign(series=range(3)).to_parquet(
        tmp_path / "in" / "a.parquet"
    )
    job = Encode(Columns(id_column="series"))
    convert_folder(models / "vqvae", job, tmp_path / "in", tmp_path / "out")
    with pytest.raises(TwincodeError, match="has a column 'series' of its own"):
        convert_folder(models / "vqvae", Decode(), tmp_path / "out", tmp_path / "back")


def test_two_processes_write_what_one_does(models, source, tmp_path):
    convert_folder(models / "vqvae", Encode(), source, tmp_path / "one")
    told = []
    done = convert_folder(
        *(models / "vqvae", Encode(), source, tmp_path / "two", 2),
        watch=lambda *n: told.append(n),
    )
    assert done == (2, 0)
    assert told[-1] == (30, 30)
    for name in files(tmp_path / "one"):
        assert read(tmp_path / "two" / name).equals(read(tmp_path / "one" / name))


def test_workers_end_with_a_driver_that_is_killed(models, source, tmp_path):
    """Each tells its number, then takes longer than anybody waits."""
    (tmp_path / "driver.py").write_text(
        textwrap.dedent("""
        import os, sys, time
        from dataclasses import dataclass
        from pathlib import Path
        from twincode.bulk import Encode, convert_folder

        @dataclass(frozen=True)
        class Slow(Encode):
            def convert(self, model, source, target, note, tell):
                (Path(sys.argv[3]) / str(os.getpid())).touch()
                time.sleep(600)

        if __name__ == "__main__":
            convert_folder(Path(sys.argv[1]), Slow(), Path(sys.argv[2]), Path(sys.argv[4]), 2)
        """)
    )
    (tmp_path / "pids").mkdir()
    words = [models / "vqvae", source, tmp_path / "pids", tmp_path / "out"]
    driver = subprocess.Popen([sys.executable, tmp_path / "driver.py", *words])
    try:
        assert patient(lambda: len(list((tmp_path / "pids").iterdir())) == 2)
    finally:
        driver.kill()
        driver.wait()
    pids = [path.name for path in (tmp_path / "pids").iterdir()]
    assert patient(lambda: not any(alive(pid) for pid in pids))


def patient(condition):
    """Whether it comes to hold within a minute."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def alive(pid):
    """Whether a process works on; one that nobody has buried does not."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return told.stdout.strip()[:1] not in ("", "Z")


def test_no_more_than_a_part_of_a_file_is_in_memory(models, tmp_path, monkeypatch):
    seen = []
    encode = Model.encode
    monkeypatch.setattr(
        Model, "encode", lambda self, X, p: seen.append(len(X)) or encode(self, X, p)
    )
    X = make_waves(2 * ROWS_AT_ONCE + 9, 1).X_train[:, 0]
    write(tmp_path / "in" / "a.parquet", X, id=range(len(X)))
    convert_folder(models / "patch-rvq", Encode(), tmp_path / "in", tmp_path / "out")
    assert seen == [ROWS_AT_ONCE, ROWS_AT_ONCE, 9]
    assert read(tmp_path / "out" / "a.parquet")["id"].to_pylist() == list(range(len(X)))


def test_of_long_series_fewer_are_in_memory(models, X, tmp_path, monkeypatch):
    monkeypatch.setattr("twincode.bulk.parquet.VALUES_AT_ONCE", 7 * L)
    write(tmp_path / "a.parquet", X)
    assert [len(part) for part in batches(tmp_path / "a.parquet")] == [7, 7, 7, 7, 2]
    for job, source, out in ((Encode(), "a.parquet", "out"), (Decode(), "out", "back")):
        convert_folder(models / "vqvae", job, tmp_path / source, tmp_path / out)
    decoded = load_model(models / "vqvae").reconstruct(X)[:, 0]
    assert np.allclose(lists(tmp_path / "back" / "a.parquet", "x"), decoded, atol=1e-5)


def test_layouts_of_many_lengths_are_not_kept(models):
    model = load_model(models / "patch-rvq")
    x = torch.zeros(1, 1, L + LAYOUTS_KEPT + 5)
    for length in range(L, x.shape[2]):
        codes = model.tokenizer.encode(x[:, :, :length])
        assert model.tokenizer.decode(codes, length).shape == (1, 1, length)
    assert len(model.tokenizer.quantizer._layouts) == LAYOUTS_KEPT


def test_a_file_without_rows_stays_one(models, tmp_path):
    write(tmp_path / "in" / "a.parquet", [], who=pa.array([], pa.string()))
    convert_folder(models / "vqvae", Encode(), tmp_path / "in", tmp_path / "out")
    convert_folder(models / "vqvae", Decode(), tmp_path / "out", tmp_path / "back")
    table = read(tmp_path / "back" / "a.parquet")
    assert (len(table), table.column_names) == (0, ["who", "x"])


def test_a_full_disk_leaves_no_litter_and_what_is_done(models, source, tmp_path, monkeypatch):
    calls, fsync = [], os.fsync

    def fill(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr("os.fsync", fill)
    with pytest.raises(TwincodeError, match="the disk is full; free some space"):
        convert_folder(models / "vqvae", Encode(), source, tmp_path / "out")
    assert files(tmp_path / "out") == ["a.parquet"]
    assert convert_folder(models / "vqvae", Encode(), source, tmp_path / "out") == (1, 1)


@pytest.mark.parametrize(
    ("job", "where", "message"),
    [
        (Encode(), "nothing", "there is no file or folder"),
        (Encode(), "empty", r"holds no \.parquet files"),
        (Encode(Columns(id_column="whom")), "in", "unknown column 'whom'; did you mean 'who'"),
        (Encode(Columns("long")), "in", 'use id_column="NAME", one of who, x'),
        (Encode(stride=L + 1), "in", "a stride of 34 would leave steps out"),
        (Encode(), "mixed", "series 2 has 40 time steps, not 33; use a stride of 33 for windows"),
        (Encode(), "taken", "has a column 'codes' of its own; rename it"),
        (Encode(), "texts", "column 'x' holds no numbers; if it names the series, use id_column"),
        (Encode(), "channels", "2 channels; this model was made for 1"),
        (Encode(), "bare", "has no column of values"),
    ],
)
@pytest.mark.usefixtures("source")
def test_what_cannot_be_encoded(models, X, tmp_path, job, where, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "_hidden.parquet").touch()
    write(tmp_path / "mixed" / "a.parquet", [X[0], [*X[0], *X[1][:7]]])
    write(tmp_path / "taken" / "a.parquet", X[:2], codes=[1, 2])
    write(tmp_path / "channels" / "a.parquet", X[:2], y=[[*X[0].tolist()], [*X[1].tolist()]])
    (tmp_path / "texts").mkdir()
    pq.write_table(pa.table({"x": ["a"]}), tmp_path / "texts" / "a.parquet")
    (tmp_path / "bare").mkdir()
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "bare" / "a.parquet")
    with pytest.raises(TwincodeError, match=message):
        convert_folder(models / "vqvae", job, tmp_path / where, tmp_path / "out")
    assert not (tmp_path / "out").exists() or files(tmp_path / "out") == []


def test_requests_that_make_no_sense(models, source):
    with pytest.raises(TwincodeError, match="its files would be taken for series"):
        convert_folder(models / "vqvae", Encode(), source, source / "out")
    with pytest.raises(TwincodeError, match="workers must be a whole number of at least 1"):
        convert_folder(models / "vqvae", Encode(), source, Path("out"), workers=0)
    with pytest.raises(TwincodeError, match="use workers or ray, not both"):
        convert_folder(models / "vqvae", Encode(), source, Path("out"), workers=2, ray="local")
    with pytest.raises(TwincodeError, match="not 'auto'"):
        convert_folder(models / "vqvae", Encode(), source, Path("out"), ray="auto")
    for stride in (-1, "7", 7.5):
        with pytest.raises(TwincodeError, match="stride, 0 for no windows, must be a whole number"):
            Encode(stride=stride)
    with pytest.raises(TwincodeError, match="did you mean 'bfloat16'"):
        Encode(precision="bfloat")


def test_the_command_line_goes_there_and_back(twincode, models, source, tmp_path):
    model = models / "vqvae"
    answer = twincode("encode", model, source, "-o", tmp_path / "codes")
    assert answer.status == 0, answer.err
    assert "(files: 2 new, 0 there already)" in answer.out
    assert "(files: 0 new, 2" in twincode("encode", model, source, "-o", tmp_path / "codes").out
    answer = twincode("decode", model, tmp_path / "codes", "-o", tmp_path / "series.v1")
    assert answer.status == 0, answer.err
    assert files(tmp_path / "series.v1") == ["a.parquet", "deep/b.parquet"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_ids_and_labels_of_one_file_go_there_and_back(twincode, models, X, tmp_path, suffix):
    frame = pd.DataFrame(X[:4]).add_prefix("t")
    frame.assign(machine=["007", "07", "x", "y"], state=list("abab")).to_csv(
        tmp_path / "in.csv", index=False
    )
    model, codes, back = models / "vqvae", tmp_path / f"codes{suffix}", tmp_path / f"x{suffix}"
    names = ["--id-column", "machine", "--label-column", "state"]
    assert twincode("encode", model, tmp_path / "in.csv", "-o", codes, *names).status == 0
    answer = twincode("decode", model, codes, "-o", back, *names)
    assert answer.status == 0, answer.err
    found = pd.read_csv(back, dtype={"machine": str}) if suffix == ".csv" else pd.read_parquet(back)
    assert found["machine"].tolist() == ["007", "07", "x", "y"]
    assert found["state"].tolist() == list("abab")
    loaded = load_model(model)
    np.testing.assert_allclose(
        found.drop(columns=["machine", "state"]), loaded.reconstruct(X[:4])[:, 0], atol=1e-5
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("encode {run} {csv} -o {out}.csv --stride 3", "are for Parquet files: give -o a folder"),
        ("encode {run} {csv} -o {out}.csv --workers 2", "are for Parquet files: give -o a folder"),
        ("decode {run} {csv} -o {out}.csv", "does not hold"),
        ("decode {run} {run} -o {out} --layout long", "say what their columns hold"),
        ("decode {run} {csv} -o {out}.csv --ray local", "are for Parquet files: give -o a folder"),
        ("encode {run} {out}/none -o {out}", "there is no file or folder"),
    ],
)
def test_commands_that_cannot_be(twincode, models, X, tmp_path, words, message):
    np.savetxt(tmp_path / "a.csv", X[:3], delimiter=",")
    given = {"run": models / "vqvae", "csv": tmp_path / "a.csv", "out": tmp_path / "out"}
    answer = twincode(*words.format(**given).split())
    assert answer.status == 1
    assert message in " ".join(answer.err.split())
