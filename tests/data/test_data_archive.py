from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import aeon.datasets
import numpy as np
import pandas as pd
import pytest

from twincode.data import Policy, list_datasets, load_dataset
from twincode.errors import TwincodeError

TS = "@problemName toy\n@univariate true\n@equalLength true\n@classLabel true a b\n@data\n"


def refused(*args, **kwargs):
    with pytest.raises(TwincodeError) as caught:
        load_dataset(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def no_download(monkeypatch):
    def fail(*_args, **_options):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(aeon.datasets, "load_classification", fail)


# Paths


def test_npz_with_a_split(tmp_path, arrays):
    np.savez(tmp_path / "mine.npz", **arrays)
    dataset = load_dataset(tmp_path / "mine.npz")
    assert dataset.name == "mine"
    assert dataset.X_train.dtype == np.float32
    np.testing.assert_array_equal(dataset.X_train, arrays["X_train"][:, None])
    np.testing.assert_array_equal(dataset.X_test, arrays["X_test"][:, None])
    assert dataset.classes == ("1", "2", "10")
    assert dataset.y_train.tolist() == [0, 1, 2, 0, 1, 2]
    assert dataset.y_train.dtype == np.int64
    assert dataset.origin == "mine.npz"


def test_npz_without_labels_in_one_part(tmp_path, arrays):
    del arrays["y_test"]
    np.savez(tmp_path / "mine.npz", **arrays)
    dataset = load_dataset(str(tmp_path / "mine.npz"))
    assert dataset.y_test is None
    assert dataset.y_train is not None


def test_npz_with_half_a_split(tmp_path, arrays):
    del arrays["X_test"]
    np.savez(tmp_path / "mine.npz", **arrays)
    assert "lacks the array X_test" in refused(tmp_path / "mine.npz")


@pytest.mark.parametrize("names", (("Toy_TRAIN", "Toy_TEST"), ("train", "test")))
@pytest.mark.parametrize("suffix", (".csv", ".tsv", ".npy", ".npz", ".parquet", ".ts"))
def test_folder_with_a_pair_of_every_format(tmp_path, names, suffix):
    folder = tmp_path / "Toy"
    folder.mkdir()
    writers = {
        ".csv": lambda path: path.write_text("label,t0,t1\na,1,2\nb,3,4\n"),
        ".tsv": lambda path: path.write_text("a\t1\t2\nb\t3\t4\n"),
        ".npy": lambda path: np.save(path, [[1, 2], [3, 4]]),
        ".npz": lambda path: np.savez(path, X=[[1, 2], [3, 4]], y=["a", "b"]),
        ".parquet": lambda path: pd.DataFrame(
            {"label": ["a", "b"], "t0": [1, 3], "t1": [2, 4]}
        ).to_parquet(path),
        ".ts": lambda path: path.write_text(TS + "1,2:a\n3,4:b\n"),
    }
    for name in names:
        writers[suffix](folder / f"{name}{suffix}")
    for path in (folder, folder / f"{names[0]}{suffix}"):
        dataset = load_dataset(path)
        assert dataset.name == "Toy"
        assert dataset.X_train.tolist() == dataset.X_test.tolist() == [[[1, 2]], [[3, 4]]]
        assert dataset.classes == (() if suffix == ".npy" else ("a", "b"))


def test_folder_with_several_pairs(tmp_path, write_tsv):
    folder = tmp_path / "Toy"
    for name in ("Toy", "Toy_eq"):
        for part in ("TRAIN", "TEST"):
            write_tsv(folder / f"{name}_{part}.tsv", [[len(name)] * 3] * 2, [1, 2])
    assert load_dataset(folder).X_train[0, 0, 0] == 3
    message = refused(folder.rename(tmp_path / "Other"))
    assert "Toy, Toy_eq" in message


def test_folder_without_a_pair(tmp_path, write_tsv):
    write_tsv(tmp_path / "Toy_TRAIN.tsv", [[1, 2]], [1])
    assert "holds no pair" in refused(tmp_path)


def test_single_file_is_split_the_same_way_every_time(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("label,t0,t1\n" + "".join(f"{i % 3},{i},{i}\n" for i in range(23)))
    first, second = load_dataset(path), load_dataset(path)
    assert first.checksum == second.checksum
    assert (len(first.X_train), len(first.X_test)) == (19, 4)
    rows = np.concatenate([first.X_train, first.X_test])[:, 0, 0]
    assert sorted(rows.tolist()) == list(range(23))
    assert (first.y_train == first.X_train[:, 0, 0] % 3).all()
    assert first.X_test[:, 0, 0].tolist() != [19, 20, 21, 22]
    assert "random fifth" in first.origin


def test_single_file_names_rows_as_in_the_file(tmp_path):
    path = tmp_path / "mine.csv"
    for row in range(1, 6):
        rows = ["1,2,3"] * 5
        rows[row - 1] = "1,,3"
        path.write_text("\n".join(rows))
        assert refused(path).startswith(f"series {row} has a missing value")


def test_named_here_but_only_a_folder_of_something_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "GunPoint").mkdir()
    (tmp_path / "mine").mkdir()
    assert load_dataset("GunPoint").length == 150
    assert "mine holds no pair" in refused("mine")


@pytest.mark.parametrize("path", ("nowhere/", "nowhere.csv", "./nowhere", "GunPoint.npz"))
def test_missing_path(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    assert "there is no file" in refused(path)


# Values, labels, sizes


def test_label_of_the_test_part_alone_is_a_class(tmp_path, arrays):
    arrays["y_test"] = np.array(["b", "a", "c", "a"])
    np.savez(tmp_path / "mine.npz", **arrays)
    dataset = load_dataset(tmp_path / "mine.npz")
    assert dataset.classes == ("1", "10", "2", "a", "b", "c")
    assert dataset.y_test.tolist() == [4, 3, 5, 3]


@pytest.mark.parametrize(("n_train", "n_test"), ((1, 4), (0, 1)))
def test_too_few_series(tmp_path, n_train, n_test):
    if n_train:
        np.savez(tmp_path / "a.npz", X_train=np.ones((n_train, 3)), X_test=np.ones((n_test, 3)))
    else:
        np.savez(tmp_path / "a.npz", X=np.ones((n_test, 3)))
    message = refused(tmp_path / "a.npz")
    assert f"{n_train} train and {n_test} test series" in message


def test_constant_series_are_welcome(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((10, 2, 5)))
    dataset = load_dataset(tmp_path / "a.npy")
    assert (dataset.channels, dataset.length, dataset.y_train) == (2, 5, None)


@pytest.mark.parametrize(("value", "word"), ((1e39, "float32"), (np.inf, "infinite")))
def test_values_out_of_range(tmp_path, arrays, value, word):
    arrays["X_test"] = arrays["X_test"].astype(float)
    arrays["X_test"][2, 1] = value
    np.savez(tmp_path / "mine.npz", **arrays)
    message = refused(tmp_path / "mine.npz")
    assert message.startswith("test series 3")
    assert word in message


def test_policy_makes_both_parts_equally_long(tmp_path, write_tsv):
    folder = tmp_path / "Toy"
    write_tsv(folder / "Toy_TRAIN.tsv", [[1, 2, 3, "NaN"], [1, 2, "NaN", "NaN"]], [1, 2])
    write_tsv(folder / "Toy_TEST.tsv", [[1, "NaN", 3, 4]], [1])
    assert "train series 2 has 2 time steps, not 3" in refused(folder)
    message = refused(folder, policy=Policy(lengths="resample"))
    assert "test series 1 has a missing value" in message
    dataset = load_dataset(folder, policy=Policy("interpolate", "resample"))
    assert dataset.length == 3
    np.testing.assert_allclose(dataset.X_test[0, 0], [1, 2.5, 4])
    assert load_dataset(folder, policy=Policy("interpolate", "truncate")).length == 2


# Names


def test_archive_layouts_in_the_data_folder(tmp_path, write_tsv, arrays, monkeypatch):
    """A folder hides an .npz, and both hide the bundled set; any case of name will do."""
    np.savez(tmp_path / "GunPoint.npz", **arrays)
    dataset = load_dataset("gunpoint", data_dir=tmp_path)
    assert (dataset.name, dataset.length) == ("GunPoint", 4)
    assert dataset.origin == "data folder, GunPoint.npz"
    for part in ("TRAIN", "TEST"):
        write_tsv(tmp_path / "GunPoint" / f"GunPoint_{part}.tsv", [[1, 2]] * 3, [1.0, 2.0, 1.0])
    monkeypatch.setenv("TWINCODE_DATA", str(tmp_path))
    dataset = load_dataset("GUNPOINT")
    assert (dataset.name, dataset.length, dataset.classes) == ("GunPoint", 2, ("1", "2"))
    monkeypatch.delenv("TWINCODE_DATA")
    dataset = load_dataset("GunPoint")
    assert (dataset.length, len(dataset.X_train), len(dataset.X_test)) == (150, 50, 150)
    assert dataset.origin == "bundled, GunPoint.npz"


@pytest.mark.parametrize("name", ("StarLightCurves", "UWaveGestureLibraryAll"))
def test_large_archive_sets_load_by_name_where_a_user_has_them(tmp_path, write_tsv, name):
    for part in ("TRAIN", "TEST"):
        write_tsv(tmp_path / name / f"{name}_{part}.tsv", [[1, 2, 3]] * 2, [1, 2])
    assert load_dataset(name.lower(), data_dir=tmp_path).name == name


def test_own_names_in_the_data_folder(tmp_path, arrays):
    np.savez(tmp_path / "Pumps.npz", **arrays)
    assert load_dataset("pumps", data_dir=tmp_path).name == "Pumps"
    assert "did you mean 'Pumps'" in refused("pump", data_dir=tmp_path)


@pytest.mark.usefixtures("no_download")
@pytest.mark.parametrize(
    ("name", "offer"), (("GunPiont", "'GunPoint'"), ("StarLightCurve", "'StarLightCurves'"))
)
def test_unknown_name_offers_the_nearest_without_a_download(name, offer):
    assert f"unknown data set {name!r}; did you mean {offer}?" in refused(name)


@pytest.mark.usefixtures("no_download")
@pytest.mark.parametrize("name", ("", "qqqqqq", "CardanoSentiment", "Airline"))
def test_names_that_are_no_classification_sets(name):
    assert "unknown data set" in refused(name)


def test_data_folder_must_be_a_folder(tmp_path, monkeypatch):
    assert "the data folder" in refused("GunPoint", data_dir=tmp_path / "nowhere")
    (tmp_path / "file").touch()
    assert "not a folder" in refused("GunPoint", data_dir=tmp_path / "file")
    assert "not a folder" in refused("GunPoint", data_dir="")
    monkeypatch.setenv("TWINCODE_DATA", str(tmp_path / "nowhere"))
    assert "TWINCODE_DATA" in refused("GunPoint")
    with pytest.raises(TwincodeError, match="TWINCODE_DATA"):
        list_datasets()


def test_bundled_multivariate_set():
    dataset = load_dataset("BasicMotions")
    assert dataset.X_train.shape == dataset.X_test.shape == (40, 6, 100)
    assert dataset.classes == ("badminton", "running", "standing", "walking")
    assert np.bincount(dataset.y_train).tolist() == [10, 10, 10, 10]


def test_bundled_set_of_unequal_lengths():
    assert 'lengths="resample"' in refused("JapaneseVowels")
    dataset = load_dataset("JapaneseVowels", policy=Policy(lengths="resample"))
    assert dataset.X_train.shape == (270, 12, 26)
    assert dataset.X_test.shape == (370, 12, 26)
    assert np.isfinite(dataset.X_train).all()


# Downloads


@pytest.mark.usefixtures("no_download")
def test_download_can_be_forbidden():
    message = refused("Adiac", download=False)
    assert "downloading is off" in message
    assert "data_dir=" in message


@pytest.mark.parametrize(
    "error",
    (URLError("no route"), ValueError("Could not\ndownload"), IncompleteRead(b""), TimeoutError()),
)
def test_failed_download_is_one_clear_line_and_leaves_nothing(monkeypatch, tmp_path, error):
    def fail(name, extract_path, **_options):
        (Path(extract_path) / name).mkdir()
        (Path(extract_path) / name / f"{name}_TRAIN.ts").write_text("half")
        raise error

    monkeypatch.setattr(aeon.datasets, "load_classification", fail)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    message = refused("adiac")
    assert message.startswith("Adiac is not on this machine and its download failed")
    assert 'data_dir="DIR"' in message
    assert list((tmp_path / "twincode").iterdir()) == []


def test_download_happens_once_and_is_then_listed(monkeypatch, tmp_path):
    calls = []

    def fetch(name, extract_path, **_options):
        calls.append(name)
        folder = Path(extract_path) / name
        folder.mkdir()
        for part in ("TRAIN", "TEST"):
            (folder / f"{name}_{part}.ts").write_text(TS + "1,2:a\n3,4:b\n")

    monkeypatch.setattr(aeon.datasets, "load_classification", fetch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first, second = load_dataset("adiac"), load_dataset("Adiac", download=False)
    assert calls == ["Adiac"]
    assert first.checksum == second.checksum
    assert first.origin == "download cache, Adiac_TRAIN.ts and Adiac_TEST.ts"
    assert [info.name for info in list_datasets() if info.source == "download cache"] == ["Adiac"]


def test_unwritable_cache_is_one_clear_line(monkeypatch, tmp_path):
    (tmp_path / "twincode").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "cannot read the folder" in refused("Adiac")


# The real archive


@pytest.mark.parametrize(
    ("name", "train", "test", "classes"),
    (
        ("ECG5000", (500, 1, 140), (4500, 1, 140), ("1", "2", "3", "4", "5")),
        ("Wafer", (1000, 1, 152), (6164, 1, 152), ("-1", "1")),
    ),
)
def test_archive_sets_have_the_archives_own_split(mirror, name, train, test, classes):
    dataset = load_dataset(name.lower(), data_dir=mirror)
    assert dataset.name == name
    assert (dataset.X_train.shape, dataset.X_test.shape, dataset.classes) == (train, test, classes)


def test_bundled_and_mirrored_sets_agree(mirror):
    bundled, mirrored = load_dataset("GunPoint"), load_dataset("GunPoint", data_dir=mirror)
    np.testing.assert_allclose(bundled.X_train, mirrored.X_train, atol=1e-5)
    np.testing.assert_array_equal(bundled.y_test, mirrored.y_test)
