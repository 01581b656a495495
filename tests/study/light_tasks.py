"""Runs and tasks that load nothing, for the executors' own tests. Workers import them by name."""

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

STEP_SECONDS = 0.05


@dataclass(frozen=True)
class LightRun:
    folder: Path

    @property
    def name(self):
        return self.folder.name


def succeed(run, watch=None):
    record = {"event": "epoch", "epoch": 1, "threads": os.environ["OMP_NUM_THREADS"]}
    (run.folder / "log.jsonl").write_text(json.dumps(record) + "\n")
    if watch is not None:
        watch(record)
    (run.folder / "done").write_text(run.name)


def see(_run, _watch=None):
    """Which GPUs CUDA is allowed, or None where it may take all."""
    return json.dumps(os.environ.get("CUDA_VISIBLE_DEVICES"))


def fail(run, _watch=None):
    return f"{run.name} broke"


def die(run, _watch=None):
    with (run.folder / "attempts").open("a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def die_twice(run, watch=None):
    if run.name == "0" and attempts(run) < 2:
        die(run, watch)
    return succeed(run, watch)


def blunder(run, _watch=None):
    return {}[run.name]


def crash(_run, _watch=None):
    raise SystemExit("no more")


def attempts(run):
    path = run.folder / "attempts"
    return len(path.read_text()) if path.exists() else 0


def tick(run, _watch=None):
    """Goes on until it is told to stop, and can be seen to live."""
    try:
        while True:
            (run.folder / "pid").write_text(f"{os.getpid()} {time.monotonic()}")
            time.sleep(STEP_SECONDS)
    except KeyboardInterrupt:
        (run.folder / "saved").write_text("")
        raise


def tick_stubbornly(run, watch=None):
    try:
        tick(run, watch)
    except KeyboardInterrupt:
        tick_stubbornly(run, watch)
