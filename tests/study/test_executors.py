"""What executors promise, with runs that load nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import light_tasks
import pytest
from light_tasks import LightRun

from twincode.errors import TwincodeError
from twincode.study.executors import processes as processes_module
from twincode.study.executors.executor import ATTEMPTS
from twincode.study.executors.inline import Inline
from twincode.study.executors.log_tail import LogTail
from twincode.study.executors.processes import Processes

PATIENCE = 60  # seconds
HERE = str(Path(__file__).parent)
DRIVER = """
import sys, signal
from pathlib import Path
import light_tasks
from twincode.study.executors.processes import Processes

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
runs = [light_tasks.LightRun(Path(folder)) for folder in sys.argv[2:]]
Processes(len(runs))(runs, getattr(light_tasks, sys.argv[1]), print)
"""


@pytest.fixture(autouse=True)
def own_modules(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def runs(tmp_path):
    folders = [tmp_path / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
    return [LightRun(folder) for folder in folders]


def carry_out(executor, runs, task):
    events = []
    executor(runs, task, events.append)
    return events


def of(kind, events):
    return [event for event in events if event["event"] == kind]


@pytest.mark.parametrize("executor", [Inline(), Processes(2), Processes(9)])
def test_every_run_is_started_logged_and_ended_once(executor, runs):
    events = carry_out(executor, runs, light_tasks.succeed)
    assert len(events) == 12
    for run in runs:
        mine = [event["event"] for event in events if event["run"] == run.name]
        assert mine == ["started", "epoch", "ended"]
        assert (run.folder / "done").exists()


@pytest.mark.parametrize("executor", [Inline(), Processes(2)])
def test_a_failure_has_its_reason_and_stops_no_other(executor, runs):
    ended = of("ended", carry_out(executor, runs, light_tasks.fail))
    assert {event["run"]: event["reason"] for event in ended} == {
        run.name: f"{run.name} broke" for run in runs
    }


@pytest.mark.parametrize("executor", [Inline(), Processes(2)])
def test_no_runs_are_no_work(executor):
    assert carry_out(executor, [], light_tasks.succeed) == []


def test_a_run_whose_worker_dies_is_taken_up_again(runs):
    events = carry_out(Processes(2), runs, light_tasks.die_twice)
    assert [event["run"] for event in of("lost", events)] == ["0", "0"]
    assert {event["reason"] for event in of("ended", events)} == {None}
    assert len(of("ended", events)) == 4


def test_a_run_that_kills_every_worker_fails(runs):
    (ended,) = of("ended", carry_out(Processes(1), runs[:1], light_tasks.die))
    assert ended["reason"] == f"its worker process ended by SIGKILL ({ATTEMPTS} times)"
    assert light_tasks.attempts(runs[0]) == ATTEMPTS


def test_the_last_words_of_a_worker_are_the_reason(runs):
    (ended,) = of("ended", carry_out(Processes(1), runs[:1], light_tasks.crash))
    assert ended["reason"] == "its worker process ended with status 1: no more (3 times)"


def test_files_of_the_user_are_not_taken_for_modules(runs, tmp_path, monkeypatch):
    (tmp_path / "statistics.py").write_text("raise RuntimeError")
    monkeypatch.chdir(tmp_path)
    (ended,) = of("ended", carry_out(Processes(1), runs[:1], light_tasks.succeed))
    assert ended["reason"] is None


@pytest.mark.parametrize(("set_by_user", "expected"), [(None, "4"), ("3", "3")])
def test_workers_share_the_cores(runs, monkeypatch, set_by_user, expected):
    monkeypatch.delenv("OMP_NUM_THREADS")
    if set_by_user:
        monkeypatch.setenv("OMP_NUM_THREADS", set_by_user)
    assert 1 <= processes_module.cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(processes_module, "cores", lambda: 9)
    logged = of("epoch", carry_out(Processes(2), runs, light_tasks.succeed))
    assert {event["threads"] for event in logged} == {expected}


def test_an_error_of_the_driver_leaves_no_worker(runs):
    def refuse(event):
        if event["event"] == "started" and event["run"] == "1":
            raise TwincodeError("the disk is full")

    with pytest.raises(TwincodeError, match="the disk is full"):
        Processes(2)(runs, light_tasks.tick, refuse)
    assert not any(map(ticks, runs))


def ticks(run):
    """Whether a run goes on."""
    path = run.folder / "pid"
    before = path.read_text() if path.exists() else ""
    time.sleep(6 * light_tasks.STEP_SECONDS)
    return path.exists() and path.read_text() != before


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start_driver(task, runs):
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, task, *[str(run.folder) for run in runs]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def all_at_work(runs):
    return lambda: all((run.folder / "pid").exists() for run in runs)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_die_with_their_driver(runs, how):
    driver = start_driver("tick", runs[:2])
    wait_for(all_at_work(runs[:2]))
    driver.send_signal(how)
    driver.communicate(timeout=PATIENCE)
    wait_for(lambda: not any(map(ticks, runs[:2])))


def test_ctrl_c_lets_workers_save(runs):
    events, timer = [], threading.Thread(target=press_when, args=(all_at_work(runs[:2]), 1))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        Processes(2)(runs, light_tasks.tick, events.append)
    timer.join()
    assert len(of("stopping", events)) == 1
    assert of("ended", events) == of("lost", events) == []
    assert [(run.folder / "saved").exists() for run in runs] == [True, True, False, False]


def test_a_second_ctrl_c_waits_for_nobody(runs):
    timer = threading.Thread(target=press_when, args=(all_at_work(runs[:2]), 2))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        Processes(2)(runs, light_tasks.tick_stubbornly, print)
    timer.join()
    assert not any(map(ticks, runs))


def press_when(condition, times):
    """Ctrl-C in this very process; the second only when the first has been understood."""
    wait_for(condition)
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def test_settings_that_make_no_crew():
    with pytest.raises(TwincodeError, match="workers must be a whole number of at least 1"):
        Processes(0)


def test_a_log_is_followed_through_cuts(tmp_path):
    run, log = LightRun(tmp_path / "a"), tmp_path / "a" / "log.jsonl"
    log.parent.mkdir()
    first, second = '{"event": "epoch", "epoch": 1}\n', '{"event": "epoch", "epoch": 2}\n'
    log.write_text(first + second)
    tail = LogTail(run, worker="ray")
    assert list(tail.news()) == []
    log.write_text(first)
    assert list(tail.news()) == [{"event": "started", "worker": "ray", "run": "a"}]
    with log.open("a") as file:
        file.write(second + '{"event": "ep')
    assert list(tail.news()) == [{"event": "epoch", "epoch": 2, "run": "a"}]
    with log.open("a") as file:
        file.write('och", "epoch": 3}\n')
    assert list(tail.news()) == [{"event": "epoch", "epoch": 3, "run": "a"}]
