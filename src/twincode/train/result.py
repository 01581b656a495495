"""The stored result of a finished run: one JSON file that tables and pages are made from."""

import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from twincode.data import Dataset
from twincode.devices import device_name
from twincode.precision import has_bfloat16
from twincode.train.log import Record, RunLog

FORMAT = 2
RESULT = "result.json"
EXHIBITS = "exhibits.npz"
# What an unreadable one is called, and what to do about it.
A_RESULT = "result of a run; delete it to run that run again"


def describe_start(
    config: Mapping[str, Any], device: torch.device, command: Sequence[str]
) -> dict[str, Any]:
    """The first line of a run's log: the command, the configuration and the machine."""
    return {
        "command": list(command),
        "config": dict(config),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "has_bfloat16": has_bfloat16(device),
        "versions": {
            "twincode": version("twincode"),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "commit": commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe_data(dataset: Dataset) -> dict[str, Any]:
    """A data set in a log and a result."""
    return {
        "name": dataset.name,
        "origin": dataset.origin,
        "checksum": dataset.checksum,
        "n_train": len(dataset.X_train),
        "n_test": len(dataset.X_test),
        "channels": dataset.channels,
        "length": dataset.length,
        "classes": list(dataset.classes),
    }


def compose_result(run: str, log: RunLog, told: Mapping[str, Any]) -> dict[str, Any]:
    """All that the log says of a finished run, and what its task tells: what the report reads."""
    start, *_ = _plain(log.records[:1])
    spent = (record.get("seconds", 0.0) for record in [start, *log.of("epoch")])
    evaluations = [
        {"epoch": record["epoch"], **row}
        for record in log.of("evaluation")
        for row in record["measurements"]
    ]
    return {
        "format": FORMAT,
        "run": run,
        **start,
        **told,
        "seconds": sum(spent),
        "history": _plain(log.of("epoch")),
        "evaluations": evaluations,
        "health": _plain(log.of("health")),
    }


def _plain(records: Iterable[Record]) -> list[Record]:
    return [{key: value for key, value in each.items() if key != "event"} for each in records]


@cache
def commit() -> str | None:
    """The commit this package runs from, ``+`` added where files differ from it; None elsewhere."""
    folder = Path(__file__).parents[1]
    # An installed copy may lie inside somebody else's repository.
    if not _git(folder, "ls-files", "--error-unmatch", "__init__.py"):
        return None
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    return head + ("+" if _git(folder, "status", "--porcelain", "--", ".") else "")


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
