"""Tables as people have them, the same from pandas, polars, Arrow, Parquet and CSV."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twincode.cli.output import write_rows
from twincode.data import Columns, Dataset, Policy, load_dataset, read_series
from twincode.data.files import read_rows
from twincode.data.tables import frame_rows, step_columns
from twincode.errors import TwincodeError

WIDE = {"name": ["s0", "s1", "s2"], "t0": [1.0, 3.0, 5.0], "kind": ["a", "b", "a"], "t1": [2, 4, 6]}
LONG = {
    "id": ["s1", "s0", "s1", "s0", "s0"],
    "time": [2, 1, 1, 3, 2],
    "x": [20.0, 1.0, 10.0, 3.0, 2.0],
    "y": [-20, -1, -10, -3, -2],
    "class": ["b", "a", "b", "a", "a"],
}
NAMED = Columns(id_column="name", label_column="kind")
NAMES = ("id", "time", "x")
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}


def written(folder, suffix, columns):
    path = folder / f"table{suffix}"
    frame = pd.DataFrame(columns)
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    return path


def as_lists(series):
    return [each.tolist() for each in series]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_ids_and_labels_under_any_name(tmp_path, suffix):
    rows = read_rows(written(tmp_path, suffix, WIDE), NAMED)
    assert as_lists(rows.series) == [[[1, 2]], [[3, 4]], [[5, 6]]]
    assert rows.labels("it") == WIDE["kind"]
    assert rows.beside.to_pydict() == {key: WIDE[key] for key in ("name", "kind")}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_one_time_step_a_row(tmp_path, suffix):
    rows = read_rows(written(tmp_path, suffix, LONG), Columns("long"))
    assert as_lists(rows.series) == [[[10, 20], [-10, -20]], [[1, 2, 3], [-1, -2, -3]]]
    assert rows.labels("it") == ["b", "a"]
    assert rows.beside["id"].to_pylist() == ["s1", "s0"]
    assert rows.channels == ("x", "y")


def test_ids_of_a_csv_are_text_as_it_stands(tmp_path):
    long = written(tmp_path, ".csv", {**LONG, "id": ["007", "07", "007", "07", "07"]})
    assert read_rows(long, Columns("long")).beside["id"].to_pylist() == ["007", "07"]
    wide = tmp_path / "wide.csv"
    wide.write_text("id,0,1\n007,1,2\n07,3\n")
    rows = read_rows(wide)
    assert rows.beside["id"].to_pylist() == ["007", "07"]
    assert as_lists(rows.series) == [[[1, 2]], [[3]]]


def test_a_numeric_id_is_no_time_step(tmp_path):
    path = written(tmp_path, ".parquet", {"id": [7, 8], "t0": [1.0, 3.0], "t1": [2.0, 4.0]})
    assert as_lists(read_series(path)[0]) == [[[1, 2]], [[3, 4]]]


@pytest.mark.parametrize("kind", KINDS)
def test_frames_from_python(kind):
    data = Dataset.from_frame(KINDS[kind](WIDE), NAMED, test=KINDS[kind](WIDE))
    np.testing.assert_array_equal(data.X_train[:, 0], [[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(data.X_train, data.X_test)
    assert data.classes == ("a", "b")
    assert data.y_train.tolist() == [0, 1, 0]
    policy = Policy(lengths="resample")
    data = Dataset.from_frame(KINDS[kind](LONG), Columns("long"), policy=policy)
    assert data.X_train.shape == (2, 2, 3)
    assert data.y_train.tolist() == [1, 0]


def test_categories_and_an_index_of_pandas():
    frame = pd.DataFrame(LONG, index=list("vwxyz")).astype({"id": "category", "class": "category"})
    rows = frame_rows(frame, Columns("long"), "it")
    assert rows.beside.to_pydict() == {"id": ["s1", "s0"], "class": ["b", "a"]}
    indexed = frame_rows(pd.DataFrame(WIDE).set_index("name"), NAMED, "it")
    assert indexed.beside["name"].to_pylist() == WIDE["name"]


@pytest.mark.parametrize(
    "times",
    [
        pd.to_datetime(["2024-01-02", "2024-01-01", "2023-01-01", "2024-03-01", "2024-02-01"]),
        pd.to_datetime([f"2024-01-0{day} 12:00:00.25" for day in (2, 1, 1, 3, 2)]).tz_localize(
            "UTC"
        ),
        [datetime.date(2024, 1, day) for day in (2, 1, 1, 3, 2)],
        [datetime.time(12, minute) for minute in (2, 1, 1, 3, 2)],
        [0.2, 0.1, 0.1, 0.3, 0.2],
    ],
)
def test_times_order_the_steps(tmp_path, times):
    path = written(tmp_path, ".parquet", {**LONG, "time": times})
    assert read_series(path, Columns("long"))[0][1][0].tolist() == [1, 2, 3]
    path = written(tmp_path, ".csv", {**LONG, "time": times})
    assert read_series(path, Columns("long"))[0][1][0].tolist() == [1, 2, 3]


def test_spans_of_time_order_the_steps_too():
    frame = pd.DataFrame({**LONG, "time": pd.to_timedelta(LONG["time"], unit="s")})
    assert frame_rows(frame, Columns("long"), "it").series[1][0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.int16()), "fixed"])
def test_lists_are_channels(tmp_path, kind):
    kind = pa.list_(pa.float64(), 2) if kind == "fixed" else kind
    a, b = [[1, 2], [3, 4]], [[5, 6], [7, 8]]
    table = pa.table({"a": pa.array(a, kind), "who": [1, 2], "b": pa.array(b, kind)})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = read_rows(tmp_path / "a.parquet")
    assert as_lists(rows.series) == [[[1, 2], [5, 6]], [[3, 4], [7, 8]]]
    assert rows.channels == ("a", "b")
    assert rows.beside.to_pydict() == {"who": [1, 2]}


def test_what_stands_beside_lists_may_have_any_name():
    table = pa.table({"x": [[1.0, 2.0], [3.0, 4.0]], "time": [5, 6], "class": ["a", "b"]})
    rows = frame_rows(table, Columns(), "it")
    assert as_lists(rows.series) == [[[1, 2]], [[3, 4]]]
    assert rows.beside.column_names == ["time", "class"]
    assert rows.label == "class"
    named = frame_rows(pa.table({"time": [[1.0, 2.0]]}), Columns(), "it")
    assert named.channels == ("time",)


def test_one_column_is_not_two_things_beside_lists_either():
    table = pa.table({"x": [[1.0, 2.0]], "time": [5], "who": ["a"]})
    with pytest.raises(TwincodeError, match="one column cannot be id, label and time at once"):
        frame_rows(table, Columns(id_column="who", label_column="who"), "it")


def test_whole_numbers_of_any_size_are_values():
    large = 2**60 + 1
    wide = frame_rows(pa.table({"a": [large], "b": [1]}), Columns(), "it")
    lists = frame_rows(pa.table({"x": [[large, 1]]}), Columns(), "it")
    long = frame_rows(pa.table({"id": [1, 1], "x": [large, 1]}), Columns("long"), "it")
    for rows in (wide, lists, long):
        assert as_lists(rows.series) == [[[float(large), 1]]]


def test_lists_may_differ_in_length_and_have_gaps():
    rows = frame_rows(pa.table({"series": [[1.0, None, 3.0], [4.0]]}), Columns(), "it")
    np.testing.assert_array_equal(rows.series[0], [[1, np.nan, 3]])
    assert rows.series[1].tolist() == [[4]]
    part = pa.table({"series": [[9.0], [1.0, 2.0], [3.0]]}).slice(1, 2)
    assert as_lists(frame_rows(part, Columns(), "it").series) == [[[1, 2]], [[3]]]


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_series_are_read_as_they_are_written(tmp_path_factory, C, L, n, labelled):
    folder = tmp_path_factory.mktemp("written")
    x = np.random.default_rng(0).normal(size=(n, C, L)).astype(np.float32)
    beside = {"id": [f"s{i}" for i in range(n)], **({"label": ["a"] * n} if labelled else {})}
    for name in ("x.csv", "x.parquet"):
        write_rows(folder / name, x, step_columns(C, L), pa.table(beside))
        found = read_rows(folder / name)
        np.testing.assert_array_equal(np.float32(found.series), x)
        assert found.beside.column_names == list(beside)


@pytest.mark.parametrize("names", ["a,c0_t1", "c0_t0,c0_t1", "t0,c0_t1"])
def test_other_columns_are_steps_of_one_channel(tmp_path, names):
    (tmp_path / "x.csv").write_text(f"{names}\n1,2\n")
    assert as_lists(read_rows(tmp_path / "x.csv").series) == [[[1, 2]]]


@pytest.mark.parametrize("names", ["c0_t0,c1_t1", "c1_t0,c0_t0", "c0_t0,c1_t0,", "c0_t0,c1_t0,x"])
def test_channels_in_disorder_are_refused(tmp_path, names):
    (tmp_path / "x.csv").write_text(f"{names}\n{'1,' * names.count(',')}2\n")
    with pytest.raises(TwincodeError, match="must be complete, one channel after another"):
        read_rows(tmp_path / "x.csv")


@pytest.mark.parametrize("times", [list("12345"), [f"2024-01-31 12:00:0{i}" for i in range(5)]])
def test_times_written_as_text_order_steps(times):
    table = {**LONG, "time": [times[i - 1] for i in LONG["time"]]}
    assert {type(each) for each in table["time"]} == {str}
    for kind in KINDS.values():
        found, expected = (frame_rows(kind(each), Columns("long"), "it") for each in (table, LONG))
        assert as_lists(found.series) == as_lists(expected.series)


def test_steps_without_a_known_value_are_missing():
    table = pa.table({"t0": [1.0, 2.0], "t1": [3.0, 4.0], "t2": pa.nulls(2)})
    found = np.stack(frame_rows(table, Columns(), "it").series)
    np.testing.assert_array_equal(found[:, 0], [[1, 3, np.nan], [2, 4, np.nan]])


def test_a_row_that_lacks_a_channels_steps_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("c0_t0,c0_t1,c1_t0,c1_t1\n1,2,3,4\n1,2,3\n")
    with pytest.raises(TwincodeError, match=r"row 3 has 3 values; its header names 4"):
        read_rows(tmp_path / "x.csv")


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=5), min_size=1, max_size=5),
    st.randoms(),
)
def test_wide_lists_and_long_rows_say_the_same(series, random):
    rows = [(f"s{i}", t, v) for i, own in enumerate(series) for t, v in enumerate(own)]
    random.shuffle(rows)
    long = pa.table(
        {name: list(part) for name, part in zip(NAMES, zip(*rows, strict=True), strict=True)}
    )
    found = frame_rows(long, Columns("long"), "it")
    by_id = dict(zip(found.beside["id"].to_pylist(), as_lists(found.series), strict=True))
    lists = frame_rows(pa.table({"x": series}), Columns(), "it")
    assert [by_id[f"s{i}"] for i in range(len(series))] == as_lists(lists.series)


@pytest.mark.parametrize(
    ("columns", "how", "message"),
    [
        (WIDE, {}, 'id_column="name"'),
        (WIDE, {"id_column": "name"}, 'label_column="kind"'),
        (WIDE, {"id_column": "nam"}, "unknown column 'nam'; did you mean 'name'?"),
        (WIDE, {"id_column": "kind", "label_column": "kind"}, "cannot be id, label and time"),
        (LONG, {}, "has a column 'time': if it holds one time step a row, use layout="),
        (
            {**LONG, "id": ["a", "b", "a", "b", "b"], "time": [1, 1, 1, 2, 3]},
            "long",
            "time '1' twice",
        ),
        ({**LONG, "time": list("12a45")}, "long", "holds 'a', which is no time"),
        ({**LONG, "time": [1, 2, None, 4, 5]}, "long", "lacks 1 of 5 values"),
        ({**LONG, "class": list("ababa")}, "long", "series 's0' has several labels"),
        ({**LONG, "y": list("uvwxy")}, "long", "column 'y' holds no numbers"),
        (
            {**LONG, "class": ["b", None, "b", None, None]},
            "long",
            "series 's0' has no label; add it or remove the series",
        ),
        ({"who": [1, 2], "x": [1.0, 2.0]}, "long", 'use id_column="NAME", one of who, x'),
        ({"id": [1, 2], "time": [1, 2]}, "long", "has no column of values beside 'id'"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_that_do_not_say_what_they_hold(tmp_path, suffix, columns, how, message):
    chosen = Columns(**({"layout": how} if how == "long" else how))
    with pytest.raises(TwincodeError) as caught:
        read_series(written(tmp_path, suffix, columns), chosen)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("suffix", "row"), [(".csv", 4), (".parquet", 3)])
def test_a_row_without_id_is_counted_as_its_file_has_it(tmp_path, suffix, row):
    """The header of a CSV file is row 1."""
    path = written(tmp_path, suffix, {**LONG, "id": ["s1", "s0", None, "s0", "s0"]})
    with pytest.raises(TwincodeError, match=f"row {row} has no id"):
        read_series(path, Columns("long"))


def test_labels_of_one_series_may_be_written_in_several_ways(tmp_path):
    path = written(tmp_path, ".csv", {**LONG, "class": ["2", "1.0", "2", "1", "01"]})
    assert read_series(path, Columns("long"))[1] == ["2", "1"]


def test_times_that_are_missing_are_told_however_they_are_written():
    table = pa.table({"id": [1, 1, 1], "time": pa.array([np.nan, np.nan, 0.0]), "x": [1, 2, 3]})
    with pytest.raises(TwincodeError, match="lacks 2 of"):
        frame_rows(table, Columns("long"), "it")


def test_two_columns_of_one_name():
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2.0])], names=["v", "v"])
    with pytest.raises(TwincodeError, match="has two columns of one name; rename one"):
        frame_rows(twice, Columns(), "it")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [[1.0, 2.0]], "b": [[1.0]]}, "row 1: its channels have 2, 1 steps"),
        ({"a": [[1.0], None]}, "row 2 has no values in column 'a'"),
        ({"a": [[1.0], []]}, "row 2 has no values in column 'a'"),
        ({"a": [["x"]]}, "holds lists of something other than numbers"),
    ],
)
def test_lists_that_are_no_series(columns, message):
    with pytest.raises(TwincodeError, match=message):
        frame_rows(pa.table(columns), Columns(), "it")


def test_mixed_lengths_say_which_option_serves():
    with pytest.raises(
        TwincodeError, match=r'series 2 has 1 time steps, not 2 .* lengths="resample"'
    ):
        Dataset.from_frame(pa.table({"series": [[1.0, 2.0], [3.0]]}))


def test_columns_where_they_mean_nothing(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(3))
    np.savez(tmp_path / "a.npz", X_train=np.eye(3), X_test=np.eye(3))
    for path in (tmp_path / "a.npy", tmp_path / "a.npz"):
        with pytest.raises(TwincodeError, match=r"names in \.csv and \.parquet files alone"):
            load_dataset(path, columns=NAMED)
    with pytest.raises(TwincodeError, match="is a data set by name"):
        load_dataset("GunPoint", columns=NAMED)
    with pytest.raises(TwincodeError, match="unknown layout 'lon'; did you mean 'long'"):
        Columns("lon")
    with pytest.raises(TwincodeError, match='use layout="long" too'):
        Columns(time_column="when")
    with pytest.raises(TwincodeError, match="cannot be read as a table by Arrow"):
        Dataset.from_frame(np.eye(3))


def test_a_header_with_numbers_in_it_says_how_to_name_it(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sensor,0,1\ns0,1,2\n")
    with pytest.raises(TwincodeError, match=r"'sensor' is not a number; .*id_column=\"sensor\""):
        read_series(path)
    rows = read_rows(path, Columns(id_column="sensor"))
    assert as_lists(rows.series) == [[[1, 2]]]


def test_labels_without_a_header_need_one(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("rest,0.1,0.2\nwalk,0.3,0.4\n")
    with pytest.raises(TwincodeError, match=r"'rest' is not a number; .* put a header above it"):
        read_series(path)


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), (" ", "spaces"), ("\t", "tabs")])
def test_values_are_separated_by_commas(tmp_path, mark, name):
    path = tmp_path / "a.csv"
    np.savetxt(path, np.eye(5), delimiter=mark)
    with pytest.raises(TwincodeError, match=f"separate values by commas, not by {name}"):
        read_series(path)


@pytest.mark.parametrize("first", [0, 1])
def test_a_header_that_counts_is_no_series(tmp_path, first):
    path = tmp_path / "a.csv"
    frame = pd.DataFrame(np.eye(8), columns=range(first, 8 + first))
    for index in (False, True):  # the second is what pandas writes unless it is told not to
        frame.to_csv(path, index=index)
        with pytest.raises(TwincodeError, match="row 1 counts its columns; leave that header out"):
            read_series(path)
    frame.to_csv(path, index=False, header=False)
    assert len(read_series(path)[0]) == 8
    path.write_text("1,2,3\n4,5,6\n")
    assert len(read_series(path)[0]) == 2


def test_a_long_csv_that_is_no_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,x\na,1\nb,2,3\n")
    with pytest.raises(TwincodeError, match=r"a\.csv is not a table"):
        read_series(path, Columns("long"))
    path.write_text("id,x\n")
    with pytest.raises(TwincodeError, match="holds no series"):
        read_series(path, Columns("long"))


def test_the_command_line_takes_such_files(twincode, tmp_path):
    values = np.random.default_rng(0).normal(size=(12, 20))
    rows = [(f"m{i}", t, v, "ab"[i % 2]) for i, own in enumerate(values) for t, v in enumerate(own)]
    path = tmp_path / "readings.csv"
    pd.DataFrame(rows, columns=["machine", "at", "flow", "state"]).to_csv(path, index=False)
    words = ["train", path, "--recipe", "patch-rvq", "--bits", 10, "--out", tmp_path / "run"]
    words += ["--metrics", "reconstruction"]
    failed = twincode(*words)
    assert failed.status == 1
    assert "--id-column machine" in failed.err
    assert "--layout long" in failed.err
    words += ["--layout", "long", "--id-column", "machine", "--time-column", "at"]
    answer = twincode(*words, "--label-column", "state")
    assert answer.status == 0, answer.err


def test_a_list_names_no_series():
    with pytest.raises(TwincodeError, match="column 'id' holds lists, which name no series"):
        frame_rows(pa.table({"id": [[1], [2]], "x": [1.0, 2.0]}), Columns("long"), "it")


@pytest.mark.parametrize("named", [pd.Index([7, 8], name="machine"), pd.Index([7, 8])])
def test_an_index_is_no_time_step(named, tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, index=named)
    frame.to_parquet(tmp_path / "x.parquet")
    found = frame_rows(frame, Columns(), "x")
    assert [series.tolist() for series in found.series] == [[[1, 3]], [[2, 4]]]
    assert (found.beside.column_names == ["machine"]) == (named.name == "machine")
    again = frame_rows(pq.read_table(tmp_path / "x.parquet"), Columns(), "x")
    assert [series.tolist() for series in again.series] == [[[1, 3]], [[2, 4]]]


def test_categories_as_polars_keeps_them_are_text():
    names = pa.array(["a", "b"]).cast(pa.string_view())
    label = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.uint32()), names)
    found = frame_rows(pa.table({"label": label, "x": [1.0, 2.0, 3.0]}), Columns(), "x")
    assert found.labels("x") == ["a", "b", "a"]
