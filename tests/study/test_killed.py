"""A study killed at any moment, carried out by anyone: in the end the same numbers, bit for bit."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from slow_work import STUDY, SlowWork
from test_executors import press_when

from twincode.study import Processes, read_status, run_study
from twincode.study import runner as runner_module
from twincode.study.board import RUNNING
from twincode.study.runs import RUNS

PATIENCE = 90  # seconds
DRIVER = """
import sys
import slow_work, twincode.study.runner
from twincode.study import Processes, run_study

twincode.study.runner.Work = slow_work.SlowWork
workers = int(sys.argv[2])
executor = Processes(workers) if workers else None
run_study(slow_work.STUDY, sys.argv[1], device="cpu", executor=executor, checkpoint_seconds=0)
"""


def table(folder):
    """Everything that was measured, without times."""
    found = {}
    for path in (folder / RUNS).glob("*/result.json"):
        result = json.loads(path.read_text())
        history = [
            {k: v for k, v in epoch.items() if k != "seconds"} for epoch in result["history"]
        ]
        found[path.parent.name] = (result["title"], history, result["evaluations"])
    return found


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run_study(STUDY, folder, device="cpu").trained == 6
    return table(folder)


def start(folder, workers):
    """A driver with so many worker processes; 0 for none but itself."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder), str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )


def epochs_written(folder):
    logs = (path.read_text() for path in (folder / RUNS).glob("*/log.jsonl"))
    return sum(log.count('"event": "epoch"') for log in logs)


def kill(driver, folder, after):
    """Kill a driver when so many epochs more have been written, at no particular moment then."""
    target = epochs_written(folder) + after
    deadline = time.monotonic() + PATIENCE
    while epochs_written(folder) < target:
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    driver.kill()
    driver.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_twice_and_finished(workers, undisturbed, tmp_path):
    chance = random.Random(workers)
    for _ in range(2):
        kill(start(tmp_path, workers), tmp_path, chance.randint(1, 5))
        board = read_status(tmp_path)
        assert (board.alive, board.of(RUNNING)) == (False, [])
    before = {name: path.stat().st_mtime_ns for name, path in results(tmp_path).items()}
    outcome = run_study(STUDY, tmp_path, device="cpu")
    assert (outcome.present, outcome.failed) == (len(before), {})
    assert table(tmp_path) == undisturbed
    assert {name: results(tmp_path)[name].stat().st_mtime_ns for name in before} == before


def results(folder):
    return {path.parent.name: path for path in (folder / RUNS).glob("*/result.json")}


def test_ctrl_c_then_the_same_command(undisturbed, tmp_path, monkeypatch):
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", here)
    monkeypatch.setattr(runner_module, "Work", SlowWork)
    under_way = threading.Thread(target=press_when, args=(lambda: epochs_written(tmp_path) > 2, 1))
    under_way.start()
    with pytest.raises(KeyboardInterrupt):
        run_study(STUDY, tmp_path, device="cpu", executor=Processes(1), checkpoint_seconds=0)
    under_way.join()
    monkeypatch.undo()
    board = read_status(tmp_path)
    reached = {row.name: row.epoch for row in board.rows.values() if row.epoch < row.epochs}
    assert (board.alive, board.of(RUNNING)) == (False, [])
    assert sum(reached.values()) >= 3
    seen = []
    run_study(STUDY, tmp_path, device="cpu", watch=lambda event, _: seen.append(event))
    first = {}
    for event in seen:
        if event["event"] == "epoch":
            first.setdefault(event["run"], event["epoch"])
    assert first == {name: epoch + 1 for name, epoch in reached.items()}
    assert table(tmp_path) == undisturbed
