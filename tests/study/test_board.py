import pytest

from twincode.study.board import DONE, FAILED, PLANNED, RUNNING, Board, Row


def row(name, epochs=10, values=1, **changes):
    return Row(name, "Waves", "VQ-VAE", 0, epochs, values, **changes)


def board(*rows, began=0.0):
    return Board({each.name: each for each in rows}, began)


def test_a_run_from_plan_to_end():
    run = row("a")
    assert (run.state, run.title) == (PLANNED, "Waves  VQ-VAE  seed 0")
    run.start("process 1", 5.0)
    assert (run.state, run.worker, run.started, run.attempts) == (RUNNING, "process 1", 5.0, 1)
    run.reach(3)
    run.put_back()
    assert (run.state, run.worker, run.epoch) == (PLANNED, None, 3)
    run.start("process 2", 6.0)
    run.end(None, 7.0)
    assert (run.state, run.epoch, run.ended, run.attempts) == (DONE, 10, 7.0, 2)


def test_a_failed_run_keeps_its_reason_and_how_far_it_came():
    run = row("a")
    run.start("process 1", 5.0)
    run.reach(3)
    run.end("it broke", 7.0)
    assert (run.state, run.reason, run.epoch) == (FAILED, "it broke", 3)


def test_large_data_are_more_work():
    found = board(row("small", state=DONE, epoch=10, from_epoch=10), row("large", values=9))
    assert found.fraction == pytest.approx(0.1)
    assert [each.name for each in found.of(DONE)] == ["small"]


def test_a_study_of_controls_counts_runs():
    assert board(row("a", epochs=0, state=DONE), row("b", epochs=0)).fraction == 0.5
    assert board().fraction == 0


def test_the_time_left_follows_from_this_drivers_work_alone():
    before = row("before", state=DONE, epoch=10, from_epoch=10)
    now = row("now", state=RUNNING, epoch=4, from_epoch=2)
    found = board(before, now, row("later"), began=100.0)
    # 2 epochs in 6 seconds, 6 + 10 to go
    assert found.seconds_left(106.0) == pytest.approx(16 * 3)
    assert board(row("a")).seconds_left(5.0) is None
    assert board(before).seconds_left(5.0) == 0


def test_a_failed_run_is_not_waited_for():
    failed = row("failed", state=FAILED, epoch=1)
    assert board(failed, row("b", state=RUNNING, epoch=5)).seconds_left(6.0) == pytest.approx(5)


def test_a_checkpoint_may_lie_behind_what_was_known():
    run = row("a", epoch=8, from_epoch=8)
    run.reach(5)
    assert (run.epoch, run.from_epoch) == (5, 4)
