"""A run of a task: resumable, logged, judged on the way and at the end, in a folder of its own."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twincode.distributed import agreed, rank, wait
from twincode.errors import TwincodeError
from twincode.files import held, read_json, remove_unfinished, write_json
from twincode.train.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from twincode.train.interrupt import PatientInterrupt
from twincode.train.log import RunLog, Watch
from twincode.train.loop import train_epoch
from twincode.train.result import FORMAT, RESULT, compose_result, describe_start
from twincode.train.task import RunKey, Task

LOG = "log.jsonl"
CHECKPOINT_SECONDS = 60.0
MOST_NAMED = 5  # of the settings in which two runs differ


def carry_out(
    task: Task,
    run: str,
    folder: Path | None,
    watch: Watch | None,
    command: Sequence[str],
    checkpoint_seconds: float,
) -> None:
    """Train ``task`` to its end, from its last checkpoint in ``folder`` where there is one.

    ``run`` is its name in the result, which is written last and marks it as done. Ctrl-C takes
    effect, as KeyboardInterrupt, when the epoch at work is done and saved.
    """
    work = _Run(task, folder, watch, checkpoint_seconds)
    work.start(command)
    work.train()
    work.finish(run)


@contextmanager
def alone(folder: Path | None) -> Iterator[None]:
    """Hold a run's folder, so that two programs never write to one log."""
    if folder is None or rank() > 0:
        yield
        return
    with held(folder, f"another program is training in {folder}; wait for it"):
        remove_unfinished(folder)
        yield


def finished(folder: Path, key: RunKey) -> bool:
    """Whether ``folder`` holds the result of this very run; TwincodeError for another one's."""
    if not (folder / RESULT).exists():
        return False
    found = read_json(folder / RESULT, "result")
    try:
        version, settings, data = found["format"], found["config"], found["dataset"]
        checksum, classes = data["checksum"], data["classes"]
    except (KeyError, TypeError):
        raise TwincodeError(
            f"{folder / RESULT} is not the result of a run; choose another folder"
        ) from None
    if version != FORMAT:
        raise TwincodeError(
            f"{folder} holds a run of another version of twincode; choose another folder"
        )
    _check_same(folder, key, settings, checksum, classes)
    return True


def evaluation_epochs(epochs: int, evaluations: int) -> set[int]:
    """After which epochs a task is evaluated: evenly spaced, the last always among them."""
    return {max(1, round(epochs * i / evaluations)) for i in range(1, evaluations + 1)}


class _Run:
    """A task under way, and where it is kept."""

    def __init__(
        self, task: Task, folder: Path | None, watch: Watch | None, checkpoint_seconds: float
    ) -> None:
        self.task = task
        self.folder = folder
        self.checkpoint_seconds = checkpoint_seconds
        # Of several processes one keeps the records; all read the same checkpoint.
        self.keeps = rank() == 0
        self.watch = watch if self.keeps else None
        self.log = RunLog(folder / LOG if folder and self.keeps else None, self.watch)
        self.epoch = 0

    def start(self, command: Sequence[str]) -> None:
        """Go on from a checkpoint where there is one."""
        task, folder = self.task, self.folder
        if folder is not None and (folder / CHECKPOINT).exists():
            checkpoint = load_checkpoint(folder / CHECKPOINT)
            progress = checkpoint.progress
            stored = progress["config"], progress["data"], progress["classes"]
            _check_same(folder, task.key, *stored)
            checkpoint.restore(task.modules, task.optimizer)
            self.log.open_at(progress["log_position"])
            self.epoch = progress["epoch"]
            task.go_on(self.epoch)
            return
        self.log.open_at(0)
        start = describe_start(task.key.config, task.device, command)
        self.log.write("start", **start, **task.describe())

    def train(self) -> None:
        """Epochs, evaluations and checkpoints, from wherever the run stands to its end."""
        saved = time.monotonic()
        with PatientInterrupt(self._tell_stopping) as interrupt:
            while (epoch := self.epoch + 1) <= self.task.schedule.epochs:
                self.log.write("epoch", **train_epoch(self.task, epoch))
                self.epoch = epoch
                schedule = self.task.schedule
                if epoch in evaluation_epochs(schedule.epochs, schedule.evaluations):
                    self._evaluate(last=epoch == schedule.epochs)
                self._tell_notice(last=False)
                stop = agreed(interrupt.pending, self.task.device)
                if stop or time.monotonic() - saved >= self.checkpoint_seconds:
                    self._save_checkpoint()
                    saved = time.monotonic()
                if stop:
                    raise KeyboardInterrupt
        schedule = self.task.schedule
        if schedule.epochs == 0 and schedule.evaluations:
            self._evaluate(last=True)

    def finish(self, run: str) -> None:
        """Keep what was learnt and, last, the result."""
        self._tell_notice(last=True)
        self.log.write("end")
        if self.folder is not None and self.keeps:
            *_, scores = [], *(record["measurements"] for record in self.log.of("evaluation"))
            self.task.keep(self.folder, scores)
            result = compose_result(run, self.log, self.task.result())
            write_json(self.folder / RESULT, result)
            (self.folder / CHECKPOINT).unlink(missing_ok=True)
        wait()

    def _tell_stopping(self) -> None:
        if self.watch is not None:
            self.watch({"event": "stopping", "epoch": self.epoch})

    def _evaluate(self, last: bool) -> None:
        if self.keeps and (found := self.task.evaluate(last)):
            self.log.write("evaluation", epoch=self.epoch, measurements=found)

    def _tell_notice(self, last: bool) -> None:
        if found := self.task.notice(self.log, last):
            self.log.write("health", **found)

    def _save_checkpoint(self) -> None:
        if self.folder is None or not self.keeps:
            return
        self.log.sync()
        progress = {
            "epoch": self.epoch,
            "log_position": self.log.position,
            "config": self.task.key.config,
            "data": self.task.key.checksum,
            "classes": self.task.key.classes,
        }
        save_checkpoint(self.folder / CHECKPOINT, self.task.modules, self.task.optimizer, progress)


def _check_same(
    folder: Path, key: RunKey, config: Mapping[str, Any], checksum: str, classes: Sequence[str]
) -> None:
    """Raise TwincodeError, naming what differs, where a folder holds another run."""
    mine, theirs = _settings(key.config), _settings(config)
    # Settings that came after the folder was written, at values that change nothing.
    later = mine.keys() - _settings(key.identity).keys() - theirs.keys()
    names = [name for name in mine | theirs if mine.get(name) != theirs.get(name)]
    names = [name for name in names if name not in later]
    names += ["the data"] if checksum != key.checksum else []
    names += ["the names of classes"] if tuple(classes) != key.classes else []
    if names:
        told = names if len(names) <= MOST_NAMED else [*names[:MOST_NAMED], "more"]
        raise TwincodeError(
            f"{folder} holds another run (it differs in {', '.join(told)}); choose another folder"
        )


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a configuration by name, those of parts included, without the recipe's."""
    flat: dict[str, Any] = {}
    for slot, value in config.items():
        parts = value if isinstance(value, list) else [value]
        parts = [part for part in parts if isinstance(part, Mapping)]
        flat |= {name: value for part in parts for name, value in part.items() if name != "name"}
        if slot != "recipe":
            flat[slot] = [part.get("name") for part in parts]
    return flat
