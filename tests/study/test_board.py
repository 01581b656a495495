import pytest

from twincode.study.board import DONE, FAILED, PLANNED, RUNNING, Board, Row


def row(name, epochs=10, values=1, **changes):
    return Row(name, f"Waves  {name}", epochs, values, **changes)


def board(*rows, began=0.0):
    found = Board()
    runs = list(map(vars, rows))
    found.take({"event": "began", "time": began, "driver": "process 1 on here", "runs": runs})
    return found


def test_a_run_from_plan_to_end():
    found = board(row("a"))
    run = found.rows["a"]
    for event, expected in [
        ({"event": "began of another kind"}, (PLANNED, None, 0)),
        ({"event": "started", "worker": "process 1"}, (RUNNING, "process 1", 0)),
        ({"event": "start"}, (RUNNING, "process 1", 0)),
        ({"event": "epoch", "epoch": 3}, (RUNNING, "process 1", 3)),
        ({"event": "lost"}, (PLANNED, None, 3)),
        ({"event": "started", "worker": "process 2"}, (RUNNING, "process 2", 3)),
        ({"event": "ended", "reason": None}, (DONE, "process 2", 10)),
    ]:
        found.take({**event, "run": "a"})
        assert (run.state, run.worker, run.epoch) == expected
    found.take({"event": "epoch", "epoch": 1, "run": "of another study"})


def test_a_failed_run_keeps_its_reason_and_how_far_it_came():
    found = board(row("a"))
    found.take({"event": "epoch", "epoch": 3, "run": "a"})
    found.take({"event": "ended", "reason": "it broke", "run": "a"})
    run = found.rows["a"]
    assert (run.state, run.reason, run.epoch) == (FAILED, "it broke", 3)


def test_large_data_are_more_work():
    found = board(row("small", state=DONE, epoch=10, from_epoch=10), row("large", values=9))
    assert found.fraction == pytest.approx(0.1)
    assert [each.name for each in found.of(DONE)] == ["small"]


def test_a_study_of_controls_counts_runs():
    assert board(row("a", epochs=0, state=DONE), row("b", epochs=0)).fraction == 0.5
    assert Board().fraction == 0


def test_the_time_left_follows_from_this_drivers_work_alone():
    before = row("before", state=DONE, epoch=10, from_epoch=10)
    now = row("now", state=RUNNING, epoch=4, from_epoch=2)
    found = board(before, now, row("later"), began=100.0)
    # 2 epochs in 6 seconds, 6 + 10 to go
    assert found.seconds_left(106.0) == pytest.approx(16 * 3)
    assert board(row("a")).seconds_left(5.0) is None
    assert board(before).seconds_left(5.0) == 0


def test_what_priors_take_is_still_to_do_after_the_last_epoch():
    judging = {"result": "generation/abc/result.json"}
    trained = row("a", state=RUNNING, epoch=10, **judging)
    found = board(trained, row("b", state=RUNNING, epoch=5), began=100.0)
    assert found.fraction == pytest.approx(15 / 30)
    # 15 epochs in 30 seconds, 10 + 5 to go
    assert found.seconds_left(130.0) == pytest.approx(15 * 2)
    found.take({"event": "started", "worker": "process 1", "run": "a"})
    found.take({"event": "ended", "reason": None, "run": "a"})
    assert found.fraction == pytest.approx(25 / 30)
    assert found.seconds_left(150.0) == pytest.approx(5 * 2)


def test_a_failed_run_is_not_waited_for():
    failed = row("failed", state=FAILED, epoch=1)
    assert board(failed, row("b", state=RUNNING, epoch=5)).seconds_left(6.0) == pytest.approx(5)


def test_a_checkpoint_may_lie_behind_what_was_known():
    found = board(row("a", epoch=8, from_epoch=8))
    found.take({"event": "epoch", "epoch": 5, "run": "a"})
    assert (found.rows["a"].epoch, found.rows["a"].from_epoch) == (5, 4)
