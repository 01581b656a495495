"""A run from data to a trained model: resumable, logged, judged on the way and at the end."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from filelock import FileLock, Timeout

from twincode.config import Config
from twincode.data import Dataset, Scaling
from twincode.distributed import agreed, join, rank, wait
from twincode.errors import TwincodeError
from twincode.evaluate import (
    Split,
    augmentation_exhibit,
    check_evaluation,
    evaluate_tokenizer,
    make_exhibits,
    prepare,
)
from twincode.evaluate.posterior import latent_values
from twincode.files import cannot_write, make_folder, read_json, write_json, write_whole
from twincode.model import Model, Source, choose_device, describe, load_model
from twincode.train.background import background_rows
from twincode.train.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from twincode.train.health import last_notice, notice
from twincode.train.interrupt import PatientInterrupt
from twincode.train.log import Record, RunLog, Watch
from twincode.train.loop import Learner, build_learner
from twincode.train.randomness import stream
from twincode.train.result import EXHIBITS, RESULT, compose_result, describe_start

LOG = "log.jsonl"
LOCK = ".lock"
CHECKPOINT_SECONDS = 60.0


class Checksummed(Protocol):
    """Data, or what stands for them, that a checksum tells from others."""

    @property
    def checksum(self) -> str:
        """A hash of every value and label."""
        ...


def run_id(config: Config, dataset: Checksummed) -> str:
    """The name of a run: equal settings on equal data, equal name."""
    return f"{config.digest()[:10]}-{dataset.checksum[:6]}"


def fit(
    config: Config,
    dataset: Dataset,
    folder: str | Path | None = None,
    device: str = "auto",
    watch: Watch | None = None,
    command: Sequence[str] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Model:
    """Train the model ``config`` describes on the train part of ``dataset``.

    With a ``folder``, the log, checkpoints, the model and its results are kept there: a run that
    was stopped goes on from its last checkpoint to the same numbers, and a finished one is loaded
    instead of repeated. The test part is only ever evaluated. ``watch`` is called with every
    record of the log as it is written, and with an event ``stopping`` on Ctrl-C. Started by
    ``torchrun``, all processes train this one model, each on its share of every batch. Raises
    TwincodeError for settings that make no model, data that do not fit, a folder that holds
    another run, and a damaged checkpoint.
    """
    target = choose_device(device)
    join(target)
    place = Path(folder) if folder is not None else None
    if place is not None and (place / RESULT).exists():
        _check_same_run(place, config, dataset)
        return load_model(place, target)
    run = _Run(config, dataset, target, place, watch, checkpoint_seconds)
    with _alone(place):
        try:
            run.start(list(command or sys.argv))
            run.train()
            return run.finish()
        except torch.OutOfMemoryError as error:
            raise TwincodeError(
                f"{target} has too little memory; use a smaller batch_size or projector_width"
            ) from error


@contextmanager
def _alone(folder: Path | None) -> Iterator[None]:
    """Hold a run's folder, so that two programs never write to one log."""
    if folder is None or rank() > 0:
        yield
        return
    lock = FileLock(make_folder(folder) / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise TwincodeError(f"another program is training in {folder}; wait for it") from None
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def _check_same_run(folder: Path, config: Config, dataset: Dataset) -> None:
    found = read_json(folder / RESULT, "result")
    try:
        settings, checksum = dict(found["config"]), found["dataset"]["checksum"]
    except (KeyError, TypeError, ValueError):
        raise TwincodeError(
            f"{folder / RESULT} is not the result of a run; choose another folder"
        ) from None
    _compare(folder, config, dataset, settings, checksum)


def _compare(folder: Path, config: Config, dataset: Dataset, settings: dict, checksum: str) -> None:
    mine = config.to_dict()
    names = [
        name
        for group, fields in mine.items()
        if isinstance(fields, dict)
        for name, value in fields.items()
        if not isinstance(found := settings.get(group), dict) or found.get(name) != value
    ]
    if checksum != dataset.checksum:
        names.append("the data")
    if names:
        raise TwincodeError(
            f"{folder} holds another run (it differs in {', '.join(names)}); choose another folder"
        )


@dataclass
class _Run:
    """The parts of one run and where they are kept."""

    config: Config
    dataset: Dataset
    device: torch.device
    folder: Path | None
    watch: Watch | None
    checkpoint_seconds: float

    def start(self, command: list[str]) -> None:
        """Build the learner; go on from a checkpoint where there is one."""
        check_evaluation(self.config.evaluation)
        self.scaling = Scaling.fit(self.dataset.X_train)
        self.split: Split = prepare(self.dataset, self.scaling, self.device)
        self.learner: Learner = build_learner(self.config, self.split.x_train, self.device)
        takes_background = self.learner.tokenizer.takes_background
        self.background = (
            background_rows(self.config, self.dataset, self.device) if takes_background else None
        )
        # Of several processes one keeps the records; all read the same checkpoint.
        self.keeps = rank() == 0
        path = self.folder / LOG if self.folder and self.keeps else None
        self.log = RunLog(path, self.watch if self.keeps else None)
        self.epoch = 0
        self.checkpoint = self.folder / CHECKPOINT if self.folder else None
        if self.checkpoint is not None:
            make_folder(self.checkpoint.parent)
        if self.checkpoint is not None and self.checkpoint.exists():
            self._resume(self.checkpoint)
        else:
            self.log.open_at(0)
            start = describe_start(self.config, self.dataset, self.device, command)
            self.log.write("start", **start)

    def _resume(self, path: Path) -> None:
        checkpoint = load_checkpoint(path)
        progress = checkpoint.progress
        _compare(path.parent, self.config, self.dataset, progress["config"], progress["data"])
        checkpoint.restore(self.learner.modules, self.learner.optimizer)
        self.log.open_at(progress["log_position"])
        self.epoch = progress["epoch"]

    def train(self) -> None:
        """Epochs, evaluations and checkpoints, from wherever the run stands to its end.

        Ctrl-C takes effect, as KeyboardInterrupt, when the epoch at work is done and saved.
        """
        epochs = self.config.training.epochs
        due = evaluation_epochs(epochs, self.config.evaluation.evaluations)
        saved = time.monotonic()
        with PatientInterrupt(self._tell_stopping) as interrupt:
            for epoch in range(self.epoch + 1, epochs + 1):
                record = self.learner.train_epoch(self.split.x_train, epoch, self.background)
                self.log.write("epoch", **record)
                self.epoch = epoch
                if epoch in due:
                    self._evaluate()
                self._tell_health(notice)
                stop = agreed(interrupt.pending, self.device)
                if stop or time.monotonic() - saved >= self.checkpoint_seconds:
                    self._save_checkpoint()
                    saved = time.monotonic()
                if stop:
                    raise KeyboardInterrupt
        if epochs == 0:
            self._evaluate()

    def _tell_stopping(self) -> None:
        if self.watch is not None:
            self.watch({"event": "stopping", "epoch": self.epoch})

    def _evaluate(self) -> None:
        if not self.keeps:
            return
        found = evaluate_tokenizer(self.learner.tokenizer, self.split, self.config.evaluation)
        self.log.write("evaluation", epoch=self.epoch, measurements=describe(found))

    def _tell_health(self, find: Callable[[RunLog, Config, dict[str, int]], Record | None]) -> None:
        found = find(self.log, self.config, latent_values(self.learner.tokenizer))
        if found is not None:
            self.log.write("health", **found)

    def _save_checkpoint(self) -> None:
        if self.checkpoint is None or not self.keeps:
            return
        progress = {
            "epoch": self.epoch,
            "log_position": self.log.position,
            "config": self.config.to_dict(),
            "data": self.dataset.checksum,
        }
        learner = self.learner
        save_checkpoint(self.checkpoint, learner.modules, learner.optimizer, progress)

    def finish(self) -> Model:
        """Keep the model, its exhibits and, last, its result, which marks the run as done."""
        tokenizer = self.learner.tokenizer.eval()
        model = Model(tokenizer, self.scaling, self.config, Source.of(self.dataset))
        self._tell_health(last_notice)
        self.log.write("end")
        if self.folder is not None and self.keeps:
            model.save(self.folder)
            self._save_exhibits(self.folder)
            parameters = sum(parameter.numel() for parameter in tokenizer.parameters())
            name = run_id(self.config, self.dataset)
            write_json(
                self.folder / RESULT, compose_result(name, self.config, self.log, parameters)
            )
            (self.folder / CHECKPOINT).unlink(missing_ok=True)
        wait()
        return model

    def _save_exhibits(self, folder: Path) -> None:
        generator = stream(self.config.training.seed, "exhibit", device=self.device)
        arrays = make_exhibits(self.learner.tokenizer, self.split)
        example = self.split.x_train[:1]
        arrays |= augmentation_exhibit(self.learner.augmenter, example, generator)
        write_whole(folder / EXHIBITS, lambda path: np.savez_compressed(path, **arrays))  # type: ignore[arg-type]


def evaluation_epochs(epochs: int, evaluations: int) -> set[int]:
    """After which epochs the probes run: evenly spaced, the last always among them."""
    if evaluations < 1:
        raise TwincodeError(f"evaluations must be at least 1, not {evaluations}")
    return {max(1, round(epochs * i / evaluations)) for i in range(1, evaluations + 1)}
