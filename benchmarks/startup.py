"""How long a person waits before anything happens, measured on whole processes."""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROUNDS = 3
POLL_SECONDS = 0.01


class Wait(NamedTuple):
    """Median seconds, the lowest and highest of several processes, and the processor's seconds."""

    what: str
    seconds: float
    lowest: float
    highest: float
    processor: float


def waits() -> Iterator[Wait]:
    """Importing, asking for help, and from ``twincode train`` to the end of its first step."""
    yield _of("import twincode", lambda: _whole("-c", "import twincode"))
    yield _of("twincode --help", lambda: _whole("-m", "twincode", "--help"))
    yield _of("twincode train, to the end of its first step", first_step)


def _of(what: str, measure: Callable[[], float]) -> Wait:
    measured = []
    for _ in range(ROUNDS):
        before = _processor_seconds()
        measured.append((measure(), _processor_seconds() - before))
    waited, worked = zip(*measured, strict=True)
    return Wait(
        what, statistics.median(waited), min(waited), max(waited), statistics.median(worked)
    )


def _processor_seconds() -> float:
    """What the processes that have ended have computed, whatever the machine did beside."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _whole(*words: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - began


def first_step() -> float:
    """GunPoint has 50 train series: its first epoch is its first step, and the log says when."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = ["--recipe", "vqvae", "--epochs", "2", "--out", folder]
        words = ["-m", "twincode", "train", "GunPoint", *chosen]
        began = time.perf_counter()
        with subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL) as process:
            log = Path(folder) / "log.jsonl"
            while not (log.exists() and '"epoch"' in log.read_text()):
                if process.poll() is not None:
                    raise RuntimeError("twincode train ended before its first step")
                time.sleep(POLL_SECONDS)
            seconds = time.perf_counter() - began
            process.kill()
        return seconds
