"""From series to a trained model, and from its codes to a prior: ``fit``, ``fit_prior``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from numpy.typing import ArrayLike

from twincode.config import Config
from twincode.data import Dataset
from twincode.devices import choose_device
from twincode.distributed import join
from twincode.errors import TwincodeError
from twincode.memory import explaining_memory
from twincode.model import DESCRIPTION, PRIOR, Model, load_bare_model
from twincode.priors import FittedPrior, PriorSettings, load_prior
from twincode.priors.fitted import DESCRIPTION as PRIOR_DESCRIPTION
from twincode.train.checkpoint import CHECKPOINT
from twincode.train.log import Watch
from twincode.train.prior_task import PriorTask, prior_key
from twincode.train.run import CHECKPOINT_SECONDS, LOG, alone, carry_out, finished
from twincode.train.task import RunKey
from twincode.train.tokenizer_task import TokenizerTask, tokenizer_key


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
    data: Dataset | ArrayLike,
    folder: str | Path | None = None,
    device: str = "auto",
    watch: Watch | None = None,
    command: Sequence[str] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Model:
    """Train the model ``config`` describes on ``data``: a data set, or series (n, L) or (n, C, L).

    With a ``folder``, the log, checkpoints, the model and its results are kept there: a run that
    was stopped goes on from its last checkpoint to the same numbers, and a finished one is loaded
    instead of repeated. A test part, where there is one, is only ever evaluated. ``device`` is
    ``auto``, ``cpu`` or ``cuda``. ``watch`` is called with every record of the log as it is
    written, and with an event ``stopping`` on Ctrl-C. ``command`` is what the result says it was
    made by, the program's own by default. A checkpoint is written at the end of an epoch when the
    last one is ``checkpoint_seconds`` old.
    Started by ``torchrun``, all processes train this one model, each on its share of every batch.
    Runs in several threads do not disturb each other. Raises TwincodeError for settings that make
    no model, data that do not fit, a folder that holds another run, and a damaged checkpoint.
    """
    if not isinstance(config, Config):
        raise TwincodeError(f"a model is made from a configuration: twincode.recipe({config!r})")
    dataset = data if isinstance(data, Dataset) else Dataset.from_arrays(data)
    target = choose_device(device)
    join(target)
    place = Path(folder) if folder is not None else None
    if (model := _kept_model(place, config, dataset, target)) is not None:
        return model
    remedy = "use a smaller batch_size, projector_width or codebook_size"
    with alone(place), explaining_memory(target, remedy):
        # Another program may have finished it meanwhile.
        if (model := _kept_model(place, config, dataset, target)) is not None:
            return model
        task = TokenizerTask(config, dataset, target)
        name = run_id(config, dataset)
        carry_out(task, name, place, watch, list(command or sys.argv), checkpoint_seconds)
    return task.model


def fit_prior(
    settings: PriorSettings,
    model: Model,
    data: Dataset | ArrayLike,
    folder: str | Path | None = None,
    watch: Watch | None = None,
    command: Sequence[str] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Model:
    """Fit the prior that ``settings`` describe to the codes of ``model``: the model with it.

    ``data`` are those the model was trained on: a data set, or series. Labels are told to the prior
    where there are some and it is ``conditional``. The tokenizer stays as it is. All else is as in
    ``fit``: ``RUN/prior`` is the ``folder`` where a model saved in ``RUN`` looks for its prior.
    Raises TwincodeError for a model without codes and whatever ``fit`` refuses.
    """
    if not isinstance(settings, PriorSettings):
        raise TwincodeError(f"a prior is made from settings: twincode.prior({settings!r})")
    dataset = data if isinstance(data, Dataset) else Dataset.from_arrays(data)
    model.check_shape(dataset.X_train)
    place = Path(folder) if folder is not None else None
    key = prior_key(settings, model, dataset)
    if (fitted := _kept_prior(place, key, settings, model)) is not None:
        return model.with_prior(fitted)
    remedy = "use a smaller batch_size or model_width"
    with alone(place), explaining_memory(model.device, remedy):
        if (fitted := _kept_prior(place, key, settings, model)) is not None:
            return model.with_prior(fitted)
        task = PriorTask(settings, model, dataset)
        name = f"{settings.digest()[:10]}-{key.checksum[:6]}"
        carry_out(task, name, place, watch, list(command or sys.argv), checkpoint_seconds)
    return model.with_prior(task.finished)


def _kept_model(
    place: Path | None, config: Config, dataset: Dataset, device: torch.device
) -> Model | None:
    """The model of this very run, where it is finished; TwincodeError where it cannot be had."""
    if place is None:
        return None
    if not finished(place, tokenizer_key(config, dataset)):
        _check_vacant(place, DESCRIPTION)
        left = place / PRIOR
        if (left / PRIOR_DESCRIPTION).exists() and not (place / CHECKPOINT).exists():
            raise TwincodeError(f"{left} holds the prior of an earlier model; remove it first")
        return None
    if not (place / DESCRIPTION).exists():
        raise TwincodeError(
            f"{place} keeps the result of this run without its model; "
            "remove that folder to train it again"
        )
    model = load_bare_model(place, device)
    if model.config.identity() != config.identity() or model.source.checksum != dataset.checksum:
        raise _exchanged(place)
    return model


def _kept_prior(
    place: Path | None, key: RunKey, settings: PriorSettings, model: Model
) -> FittedPrior | None:
    """The same for a prior."""
    if place is None:
        return None
    if not finished(place, key):
        _check_vacant(place, PRIOR_DESCRIPTION)
        return None
    fitted = load_prior(place, model.tokenizer)
    if fitted.settings.identity() != settings.identity():
        raise _exchanged(place)
    return fitted


def _check_vacant(place: Path, description: str) -> None:
    """Raise TwincodeError for a folder in which something else than a run was saved."""
    if (place / description).exists() and not (place / LOG).exists():
        raise TwincodeError(
            f"{place} holds a model that was not trained there; choose another folder"
        )


def _exchanged(place: Path) -> TwincodeError:
    return TwincodeError(
        f"the model in {place} does not belong to the result beside it; "
        "remove that folder to train it again"
    )
