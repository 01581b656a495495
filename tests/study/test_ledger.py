import sqlite3

import pytest

from twincode.errors import TwincodeError
from twincode.study import ledger as ledger_module
from twincode.study.board import DONE, RUNNING, Board, Row
from twincode.study.ledger import FORMAT, LEDGER, Ledger, check_ledger, on_network, read_ledger


def rows(*names):
    return {name: Row(name, "Waves", "VQ-VAE", 0, 10, 64) for name in names}


@pytest.fixture
def board():
    return Board(rows("b", "a", "c"), 5.0, "process 1 on here")


@pytest.fixture
def ledger(tmp_path, board):
    ledger = Ledger(tmp_path)
    ledger.begin(board)
    yield ledger
    ledger.close()


def execute(folder, command):
    with sqlite3.connect(folder / LEDGER) as file:
        found = file.execute(command).fetchall()
    file.close()
    return found


def test_a_reader_sees_what_the_driver_wrote(ledger, board, tmp_path):
    assert read_ledger(tmp_path) == board
    board.rows["a"].start("process 2", 6.0)
    board.rows["a"].reach(3)
    board.rows["b"].end("it broke", 7.5)
    ledger.save([board.rows["a"], board.rows["b"]])
    assert read_ledger(tmp_path) == board
    assert list(read_ledger(tmp_path).rows) == ["b", "a", "c"]
    assert ledger.rows() == board.rows


def test_a_reader_does_not_wait_for_the_driver(ledger, tmp_path):
    with ledger._whole():
        ledger._file.execute("DELETE FROM runs")
        assert len(read_ledger(tmp_path).rows) == 3
    assert len(read_ledger(tmp_path).rows) == 0


def test_a_new_driver_keeps_the_runs_of_its_own_plan(ledger, tmp_path):
    ledger.begin(Board(rows("c", "d"), 9.0, "process 3"))
    found = read_ledger(tmp_path)
    assert (list(found.rows), found.began, found.driver) == (["c", "d"], 9.0, "process 3")


def test_the_ledger_of_a_killed_driver_is_whole(ledger, board, tmp_path):
    """The file as it is on disk while the driver still has it open."""
    board.rows["a"].state = RUNNING
    ledger.save([board.rows["a"]])
    other = tmp_path / "copy"
    other.mkdir()
    for path in tmp_path.glob(f"{LEDGER}*"):
        (other / path.name).write_bytes(path.read_bytes())
    assert read_ledger(other) == board
    again = Ledger(other)
    assert again.rows() == board.rows
    again.close()


def test_what_fails_to_be_written_leaves_what_was(ledger, board, tmp_path):
    def broken():
        yield board.rows["a"]
        raise ValueError

    board.rows["a"].state = DONE
    with pytest.raises(ValueError):  # noqa: PT011
        ledger.save(broken())
    assert read_ledger(tmp_path).of(DONE) == []
    ledger.save([board.rows["a"]])
    assert len(read_ledger(tmp_path).of(DONE)) == 1


def test_a_ledger_of_a_newer_version_is_not_touched(ledger, tmp_path):
    ledger.close()
    execute(tmp_path, f"PRAGMA user_version = {FORMAT + 1}")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for use in (Ledger, read_ledger, check_ledger):
        with pytest.raises(TwincodeError, match="was written by a newer twincode") as caught:
            use(tmp_path)
        assert len(str(caught.value).splitlines()) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def damage_header(path):
    path.write_bytes(b"junk" * 1000)


def damage_middle(path):
    content = bytearray(path.read_bytes())
    content[5000:9000] = b"\x99" * 4000
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:3000])


def foreign(path):
    path.unlink()
    execute(path.parent, "CREATE TABLE runs (a)")


@pytest.mark.parametrize("damage", [damage_header, damage_middle, cut, foreign])
def test_a_damaged_ledger_can_be_deleted(ledger, board, tmp_path, damage):
    ledger.close()
    damage(tmp_path / LEDGER)
    for use in (Ledger, read_ledger):
        with pytest.raises(TwincodeError, match="is damaged; delete it and run the same command"):
            use(tmp_path)
    (tmp_path / LEDGER).unlink()
    again = Ledger(tmp_path)
    again.begin(board)
    again.close()
    assert read_ledger(tmp_path) == board


def test_a_driver_killed_at_its_start_leaves_no_obstacle(tmp_path):
    (tmp_path / LEDGER).touch()
    Ledger(tmp_path).close()
    (tmp_path / LEDGER).unlink()
    execute(tmp_path, "PRAGMA journal_mode = WAL")
    ledger = Ledger(tmp_path)
    assert ledger.rows() == {}
    ledger.close()


def test_a_full_disk_is_one_line(ledger, tmp_path):
    (pages,) = ledger._file.execute("PRAGMA page_count").fetchone()
    ledger._file.execute(f"PRAGMA max_page_count = {pages}")
    many = Board(rows(*(f"{number:050}" for number in range(500))))
    with pytest.raises(TwincodeError, match=r"cannot write .*the disk is full; free some space"):
        ledger.begin(many)
    assert len(read_ledger(tmp_path).rows) == 3


def test_looking_leaves_no_trace(ledger, board, tmp_path):
    ledger.close()
    assert read_ledger(tmp_path) == board
    assert [path.name for path in tmp_path.iterdir()] == [LEDGER]


def test_no_study_is_one_line(tmp_path):
    with pytest.raises(TwincodeError, match="no study in"):
        read_ledger(tmp_path)


def test_shared_memory_is_not_used_over_a_network(tmp_path, monkeypatch):
    place = tmp_path / "mounts"
    place.write_text(f"disk / ext4 rw 0 0\nserver:/home {tmp_path} nfs4 rw 0 0\n")
    assert not on_network(tmp_path / "s")
    monkeypatch.setattr(ledger_module, "MOUNTS", place)
    assert on_network(tmp_path / "s")
    assert not on_network(tmp_path.parent)
    Ledger(tmp_path).close()
    assert execute(tmp_path, "PRAGMA journal_mode") == [("delete",)]
    monkeypatch.undo()
    Ledger(tmp_path).close()
    assert execute(tmp_path, "PRAGMA journal_mode") == [("wal",)]
