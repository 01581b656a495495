"""From series to a trained model, and from its codes to a prior: ``fit``, ``fit_prior``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from numpy.typing import ArrayLike

from twincode.config import Config
from twincode.data import Dataset
from twincode.devices import choose_device
from twincode.distributed import join
from twincode.errors import TwincodeError
from twincode.memory import explaining_memory
from twincode.model import DESCRIPTION, Model, load_bare_model
from twincode.priors import PriorSettings, load_prior
from twincode.train.log import Watch
from twincode.train.prior_task import PriorTask, prior_key
from twincode.train.run import CHECKPOINT_SECONDS, alone, carry_out, finished
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
    instead of repeated. A test part, where there is one, is only ever evaluated. ``watch`` is
    called with every record of the log as it is written, and with an event ``stopping`` on Ctrl-C.
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
    if place is not None and finished(place, tokenizer_key(config, dataset)):
        if not (place / DESCRIPTION).exists():
            raise TwincodeError(
                f"{place} keeps the result of this run without its model; "
                "remove that folder to train it again"
            )
        return load_bare_model(place, target)
    remedy = "use a smaller batch_size, projector_width or codebook_size"
    with alone(place), explaining_memory(target, remedy):
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
    if place is not None and finished(place, key):
        return model.with_prior(load_prior(place, model.tokenizer))
    remedy = "use a smaller batch_size or model_width"
    with alone(place), explaining_memory(model.device, remedy):
        task = PriorTask(settings, model, dataset)
        name = f"{settings.digest()[:10]}-{key.checksum[:6]}"
        carry_out(task, name, place, watch, list(command or sys.argv), checkpoint_seconds)
    return model.with_prior(task.finished())
