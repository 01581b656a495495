import errno
from functools import partial

import pytest

from twincode.errors import TwincodeError
from twincode.files import (
    make_folder,
    read_json,
    remove_unfinished,
    write_json,
    write_text,
    write_together,
    write_whole,
)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "table.csv"
    write_text(target, "old")

    def fail(path):
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TwincodeError, match="the disk is full; free some space"):
        write_whole(target, fail)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupted_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "table.csv"
    write_text(target, "old")

    def interrupt(path):
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(target, interrupt)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_write_left_is_removed_and_nothing_else(tmp_path):
    names = [".checkpoint.0123456789abcdef0123456789abcdef.safetensors", ".lock", ".git", "a.json"]
    for name in names:
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


@pytest.mark.parametrize("name", ["x" * 247 + ".parquet", "序" * 80 + ".json"])
def test_names_as_long_as_the_system_takes_can_be_written(tmp_path, name):
    write_whole(tmp_path / name, lambda path: path.write_text("new"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("failing", [0, 1])
def test_files_that_belong_together_are_written_together(tmp_path, failing):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text("old")

    def write(temporary, fails):
        if fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        temporary.write_text("new")

    writes = {path: partial(write, fails=place == failing) for place, path in enumerate(paths)}
    with pytest.raises(TwincodeError, match=f"cannot write .*{paths[failing].name}: the disk"):
        write_together(writes)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old", "b": "old"}


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TwincodeError, match="cannot write"):
        make_folder(tmp_path / "file" / "below")


def test_json_round_trip_and_its_errors(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": [1, 2.5, None]})
    assert read_json(path, "value") == {"a": [1, 2.5, None]}
    path.write_bytes(b"\xff{")
    with pytest.raises(TwincodeError, match="is not a readable value"):
        read_json(path, "value")
    with pytest.raises(TwincodeError, match="no value at"):
        read_json(tmp_path / "nothing", "value")
