"""The stored result of a finished run: one JSON file that tables and pages are made from."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from twincode.config import Config
from twincode.data import Dataset
from twincode.recipes import label
from twincode.train.log import RunLog

FORMAT = 1
RESULT = "result.json"
EXHIBITS = "exhibits.npz"


def describe_start(
    config: Config, dataset: Dataset, device: torch.device, command: Sequence[str]
) -> dict[str, Any]:
    """The first line of a run's log: the command, the configuration, the data and the machine."""
    return {
        "command": list(command),
        "config": config.to_dict(),
        "dataset": {
            "name": dataset.name,
            "origin": dataset.origin,
            "checksum": dataset.checksum,
            "n_train": len(dataset.X_train),
            "n_test": len(dataset.X_test),
            "channels": dataset.channels,
            "length": dataset.length,
            "classes": list(dataset.classes),
        },
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "versions": {
            "twincode": version("twincode"),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "commit": commit(),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def compose_result(run: str, config: Config, log: RunLog, parameters: int) -> dict[str, Any]:
    """Everything the log says of a finished run, in the form the report reads."""
    start = {key: value for key, value in log.records[0].items() if key != "event"}
    history = [{k: v for k, v in record.items() if k != "event"} for record in log.of("epoch")]
    evaluations = [
        {"epoch": record["epoch"], **row}
        for record in log.of("evaluation")
        for row in record["measurements"]
    ]
    health = [{k: v for k, v in record.items() if k != "event"} for record in log.of("health")]
    return {
        "format": FORMAT,
        "run": run,
        "recipe": config.recipe,
        "label": label(config),
        "gamma": config.objective.gamma,
        "seed": config.training.seed,
        **start,
        "seconds": sum(record["seconds"] for record in log.of("epoch")),
        "parameters": parameters,
        "history": history,
        "evaluations": evaluations,
        "health": health,
    }


def device_name(device: torch.device) -> str:
    """The device in words: ``cpu`` or the accelerator's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


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
