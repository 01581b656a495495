import string
import tokenize
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twincode.data import read_series
from twincode.data.classes import plain_label
from twincode.errors import TwincodeError

TS_HEADER = "@problemName toy\n@timeStamps false\n@univariate true\n"


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def values(path):
    return [array.tolist() for array in read_series(path)[0]]


def refused(path):
    with pytest.raises(TwincodeError) as caught:
        read_series(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.parametrize(
    ("text", "expected", "labels"),
    (
        ("1,2\n3,4\n", [[[1, 2]], [[3, 4]]], None),
        ("a,b\n1,2\n3,4\n", [[[1, 2]], [[3, 4]]], None),
        ("label,0,1\nx,1,2\ny,3,4\n", [[[1, 2]], [[3, 4]]], ["x", "y"]),
        ("t0,t1,Class\n1,2,1.0\n3,4,2\n", [[[1, 2]], [[3, 4]]], ["1", "2"]),
        ("\ufeff1, 2 \r\n\r\n3,4,5\r\n", [[[1, 2]], [[3, 4, 5]]], None),
        ('"1","2e1"\n', [[[1, 20]]], None),
    ),
)
def test_csv(tmp_path, text, expected, labels):
    path = write(tmp_path / "a.csv", text)
    assert values(path) == expected
    assert read_series(path)[1] == labels


def test_csv_empty_cells_are_missing(tmp_path):
    series, _ = read_series(write(tmp_path / "a.csv", "1,,nan,4,\n,,,\n"))
    np.testing.assert_array_equal(series[0], [[1, np.nan, np.nan, 4, np.nan]])
    assert np.isnan(series[1]).all()


def test_csv_row_of_gaps_is_no_header(tmp_path):
    assert len(read_series(write(tmp_path / "a.csv", ",,\n1,2,3\n"))[0]) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    (
        ("1,2\n3,x\n", ["row 2, column 2", "'x'"]),
        ("1,x,3\n", ["row 1, column 2"]),
        ("label,t0\na,1\nb,oops\n", ["row 3, column 2", "'oops'"]),
        ("label,t0\n,1\n", ["row 2 has no label"]),
        ("label,t0\na\n", ["row 2 has no values"]),
        ("t0,t1,label\n1,2,a\n1,2\n", ["row 3", "label", "column 3"]),
        ("label,class,t0\na,b,1\n", ["2 label columns"]),
        (",label,t0\n0,a,1\n", ["column 1 has no name"]),
        ("label,t0\n", ["no series"]),
        ("\n\n", ["no series"]),
        ("1,1_2\n", ["row 1, column 2", "'1_2'"]),
        (",0,1,2\n0,5,6,7\n", ["row 1 counts its columns"]),
        ("1;2\n3;4\n", ["separate values by commas, not by semicolons"]),
    ),
)
def test_bad_csv(tmp_path, text, words):
    message = refused(write(tmp_path / "a.csv", text))
    assert all(word in message for word in words), message


def test_csv_that_is_not_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xfe1\x00,\x002")
    assert "not plain UTF-8 text" in refused(path)


def test_tsv(tmp_path):
    path = write(tmp_path / "a.tsv", "1.0\t5\t6\n-1\t7\tNaN\n")
    series, labels = read_series(path)
    assert labels == ["1", "-1"]
    np.testing.assert_array_equal(series[1], [[7, np.nan]])


@pytest.mark.parametrize(
    ("text", "words"),
    (
        ("1\t5\tx\n", ["row 1, column 3"]),
        ("1\n", ["row 1 has no values"]),
        ("\t5\t6\n", ["row 1 has no label"]),
        ("NaN\t5\t6\n", ["row 1 has no label"]),
        ("NaT\t5\t6\n", ["row 1 has no label"]),
    ),
)
def test_bad_tsv(tmp_path, text, words):
    message = refused(write(tmp_path / "a.tsv", text))
    assert all(word in message for word in words), message


@pytest.mark.parametrize("dtype", (np.float16, np.float32, np.float64, np.int8, bool))
def test_npy_of_two_or_three_axes(tmp_path, dtype):
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    np.save(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", np.stack([array, array]))
    assert values(tmp_path / "a.npy") == [[row] for row in array.tolist()]
    assert [series.shape for series in read_series(tmp_path / "b.npy")[0]] == [(2, 3), (2, 3)]


@pytest.mark.parametrize(
    ("array", "word"),
    (
        (np.zeros(3), r"(3,)"),
        (np.zeros((1, 1, 1, 1)), "(n, C, L)"),
        (np.zeros((0, 5)), "empty"),
        (np.array([["a", "b"]]), "not real numbers"),
        (np.array([[1j, 2]]), "not real numbers"),
        (np.array([[1, None]], dtype=object), "Python objects"),
    ),
)
def test_bad_npy(tmp_path, array, word):
    np.save(tmp_path / "a.npy", array)
    assert word in refused(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("y", "expected"),
    (
        (np.array([1, 2]), ["1", "2"]),
        (np.array([1.0, 2.5]), ["1", "2.5"]),
        (np.array(["up", "down"]), ["up", "down"]),
        (np.array([b"up", b"down"]), ["up", "down"]),
    ),
)
def test_npz(tmp_path, y, expected):
    np.savez(tmp_path / "a.npz", X=np.eye(2), y=y)
    assert read_series(tmp_path / "a.npz")[1] == expected
    np.savez(tmp_path / "b.npz", X=np.eye(2))
    assert read_series(tmp_path / "b.npz")[1] is None


@pytest.mark.parametrize(
    ("arrays", "words"),
    (
        ({"Z": np.eye(2)}, ["X", "it holds: Z"]),
        ({"y": np.zeros(2)}, ["no array X"]),
        ({"X": np.eye(2), "y": np.zeros(3)}, ["y in", "(3,)", "2 series"]),
        ({"X": np.eye(2), "y": np.array([1, np.nan])}, ["row 2 has no label"]),
        ({"X": np.eye(2), "y": np.array(["a", None])}, ["Python objects"]),
        ({"X": np.array([[1, "a"]], dtype=object)}, ["Python objects"]),
        ({"X": np.eye(2), "y": np.array([1j, 2])}, ["not labels"]),
    ),
)
def test_bad_npz(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    message = refused(tmp_path / "a.npz")
    assert all(word in message for word in words), message


def test_parquet(tmp_path):
    frame = pd.DataFrame({"t0": [1.0, 2.0], "t1": [3, None], "label": ["a", "b"]})
    frame.to_parquet(tmp_path / "a.parquet")
    series, labels = read_series(tmp_path / "a.parquet")
    assert labels == ["a", "b"]
    np.testing.assert_array_equal(series, [[[1, 3]], [[2, np.nan]]])
    frame.drop(columns="label").to_parquet(tmp_path / "b.parquet")
    assert read_series(tmp_path / "b.parquet")[1] is None


@pytest.mark.parametrize(
    ("columns", "word"),
    (
        ({"t0": [1.0], "name": ["x"]}, "'name' holds no numbers"),
        ({"t0": [1.0], "label": ["a"], "class": ["a"]}, "2 label columns"),
        ({"t0": [1.0, 2], "label": ["a", None]}, "row 2 has no label"),
        ({"label": ["a"]}, "no column of values"),
        ({"t0": pd.Series([], dtype=float)}, "no series"),
    ),
)
def test_bad_parquet(tmp_path, columns, word):
    pd.DataFrame(columns).to_parquet(tmp_path / "a.parquet")
    assert word in refused(tmp_path / "a.parquet")


def test_ts_of_unequal_lengths_and_two_channels(tmp_path):
    header = "@problemName toy\n@univariate false\n@equalLength false\n@classLabel true up down\n"
    path = write(tmp_path / "a.ts", header + "@data\n1,2,-3:4,5,?:up\n1,2:3,4:down\n")
    series, labels = read_series(path)
    assert labels == ["up", "down"]
    np.testing.assert_array_equal(series[0], [[1, 2, -3], [4, 5, np.nan]])
    assert series[1].shape == (2, 2)


def test_ts_with_a_regression_target_has_no_labels(tmp_path):
    path = write(tmp_path / "a.ts", TS_HEADER + "@targetLabel true\n@data\n1,2:0.5\n3,4:0.7\n")
    assert values(path) == [[[1, 2]], [[3, 4]]]
    assert read_series(path)[1] is None


@pytest.mark.parametrize(
    ("body", "word"),
    (
        ("@classLabel true 1\n@data\n1,x:1\n", "'x'"),
        ("@classLabel true 1\n@data\n1,2:1\n1,2,3:1\n", "not a valid .ts file"),
        ("@classLabel true 1\n@data\n1,2:1\n1,2:3,4:1\n", "not a valid .ts file"),
        ("@classLabel true\n@data\n1,2:1\n", "not a valid .ts file"),
        ("@classLabel true 1\n@data\n", "no series"),
        ("@timeStamps true\n@classLabel true 1\n@data\n(0,-1.5):1\n", "time stamps"),
        ("@univariate false\n@data\n1,2:3,4\n", "does not say whether its series have labels"),
    ),
)
def test_bad_ts(tmp_path, body, word):
    assert word in refused(write(tmp_path / "a.ts", TS_HEADER + body))


@pytest.mark.parametrize("suffix", (".csv", ".tsv", ".npy", ".npz", ".parquet", ".ts"))
def test_missing_folder_and_empty_file_of_every_format(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    assert "no file" in refused(path)
    path.touch()
    assert "is empty" in refused(path)
    path.unlink()
    path.mkdir()
    assert "is a folder" in refused(path)


@pytest.mark.parametrize("suffix", (".npy", ".npz", ".parquet"))
def test_damaged_binary_files(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", "not what the suffix says")
    assert "damaged" in refused(path)


def test_an_array_by_the_other_name(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(2))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    assert "is a .npy file by another name" in refused(tmp_path / "a.npz")


def test_a_home_that_is_not_known():
    assert "no home folder is known for '~nobody-at-all/a.csv'" in refused(
        Path("~nobody-at-all/a.csv")
    )


def test_text_is_read_row_by_row(tmp_path):
    """A table of strings takes many times the memory of its numbers."""
    path = tmp_path / "a.tsv"
    row = "\t".join(["1", *["0.1234567"] * 500])
    path.write_text(f"{row}\n" * 400)
    tracemalloc.start()
    try:
        series, _ = read_series(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1.5 * sum(each.nbytes for each in series) + 1e6


def test_truncated_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=np.random.default_rng(0).normal(size=(20, 50)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    assert "damaged" in refused(path)
    path.write_bytes(whole[:500] + bytes(100) + whole[600:])
    assert "damaged" in refused(path)


def test_unknown_format_lists_the_known(tmp_path):
    message = refused(write(tmp_path / "a.xlsx", "x"))
    assert "'.xlsx'" in message
    assert ".parquet" in message


def test_suffix_in_capitals(tmp_path):
    assert values(write(tmp_path / "A.CSV", "1,2\n")) == [[[1, 2]]]


def test_a_name_too_long_for_the_disk(tmp_path):
    with pytest.raises(TwincodeError, match="cannot read"):
        read_series(tmp_path / ("a" * 400 + ".csv"))


@pytest.mark.parametrize(
    ("label", "plain"),
    (
        ("1.0", "1"),
        (" 007 ", "7"),
        ("-1.0000000e+00", "-1"),
        ("0.50", "0.5"),
        ("12345678901234567890", "12345678901234567890"),
        ("walk", "walk"),
        ("1_0", "1_0"),
        ("inf", "inf"),
    ),
)
def test_plain_label(label, plain):
    assert plain_label(label) == plain


@given(st.text(string.printable))
def test_plain_label_is_idempotent(label):
    assert plain_label(plain_label(label)) == plain_label(label)


@given(st.lists(st.lists(st.floats(width=32), min_size=1, max_size=5), min_size=1, max_size=4))
def test_csv_gives_back_what_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    write(path, "\n".join(",".join(map(str, row)) for row in rows))
    for array, row in zip(read_series(path)[0], rows, strict=True):
        np.testing.assert_array_equal(array, [row])


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, tokenize.TokenError])
def test_whatever_an_array_file_breaks_is_one_line(tmp_path, monkeypatch, error):
    """An encrypted member, a shape beyond memory, a header that ends early."""
    np.save(tmp_path / "x.npy", np.zeros((3, 4)))

    def refuse(*_args, **_kwargs):
        raise error("no")

    monkeypatch.setattr("numpy.load", refuse)
    with pytest.raises(TwincodeError, match=r"x\.npy"):
        read_series(tmp_path / "x.npy")
