"""A trained tokenizer with all that is needed to use it: NumPy in, NumPy out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from twincode.card import CARD, OURS, model_card
from twincode.config import Config
from twincode.data import Dataset, Scaling
from twincode.data.series import real_numbers
from twincode.data.split import prepare
from twincode.devices import choose_device
from twincode.errors import TwincodeError, check_count, one_line
from twincode.evaluate import (
    Measurement,
    decoded_series,
    evaluate_tokenizer,
    readout_features,
)
from twincode.evaluate.generation import GenerationSettings, Score
from twincode.files import read_json, write_text
from twincode.generate import (
    WINDOWS,
    Sampler,
    Stages,
    bits,
    impute,
    judge,
    sample_tokens,
    surprise_along,
)
from twincode.hub import download, is_hub_name
from twincode.precision import computing_in
from twincode.priors import NO_LABEL, FittedPrior, load_prior
from twincode.priors.fitted import DESCRIPTION as PRIOR_DESCRIPTION
from twincode.priors.fitted import TENSORS as PRIOR_TENSORS
from twincode.settings import parted
from twincode.storage import (
    pack_tensors,
    read_described,
    restore,
    tensors_hash,
    unpack_tensors,
    write_described,
)
from twincode.tokenizers import Tokenizer, build_tokenizer, embed
from twincode.upgrade import upgrade_config

FORMAT = 2
PRIOR = "prior"
TENSORS = "model.safetensors"
DESCRIPTION = "model.json"


@dataclass(frozen=True)
class Source:
    """What a model was trained on."""

    name: str
    origin: str
    checksum: str
    classes: Sequence[str]

    @classmethod
    def of(cls, dataset: Dataset) -> "Source":
        """The description of a data set."""
        return cls(dataset.name, dataset.origin, dataset.checksum, dataset.classes)


class Samples(NamedTuple):
    """New series (n, C, L), and the class (n,) each was drawn for, or None."""

    series: NDArray[np.float32]
    labels: NDArray[np.str_] | None


class Model:
    """A tokenizer, the scaling of its train set, and the configuration that made it.

    Series are arrays (n, C, L), or (n, L) for one channel, in their original units. With a
    ``prior`` over its codes it also makes series, fills and continues them, and says how likely
    they are. What a method draws depends on its ``seed`` alone; further keywords are settings of
    the prior's sampling.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        scaling: Scaling,
        config: Config,
        source: Source,
        prior: FittedPrior | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.scaling = scaling
        self.config = config
        self.source = source
        self.prior = prior
        tensors = chain(tokenizer.parameters(), tokenizer.buffers())
        self.device = next(tensors, torch.empty(0)).device

    @property
    def name(self) -> str:
        """What messages call it: its recipe, where it has one."""
        return self.config.recipe or "this model"

    @property
    def bits_per_series(self) -> float:
        """Bits that the codes of a series take; of new ones the mean, where it varies."""
        return self.tokenizer.bits_per_series

    @property
    def bits_per_step(self) -> float:
        """The same, divided by the C * L values of a series."""
        return self.bits_per_series / (self.tokenizer.channels * self.tokenizer.length)

    def encode(self, X: ArrayLike, precision: str = "float32") -> NDArray[np.int64]:
        """Codes (n, H, W) of series X. Raises TwincodeError for series that do not fit.

        In ``bfloat16`` it is faster, and a few codes in ten thousand fall otherwise.
        """
        tokenizer = self.tokenizer
        x = self._tensor(X, tokenizer.takes_any_length)
        if not tokenizer.layout.grids:
            raise TwincodeError(f"{self.name} is continuous: it has features but no codes")
        with torch.inference_mode(), computing_in(precision, self.device):
            return torch.cat(
                [tokenizer.encode(part).cpu() for part in tokenizer.batches(x)]
            ).numpy()

    def decode(self, codes: ArrayLike, length: int | None = None) -> NDArray[np.float32]:
        """The series (n, C, L), in original units, that codes (n, H, W) stand for.

        A tokenizer that takes any length is told that of the series, where it is another than
        train's.
        """
        grid = _whole_array(codes)
        tokenizer = self.tokenizer
        steps = tokenizer.length if length is None else length
        check_count("length", steps)
        layout = tokenizer.layout_of(steps)
        expected = (tokenizer.grid[0], layout.width)
        if not layout.grids:
            raise TwincodeError(f"{self.name} is continuous: there are no codes to decode")
        if grid.ndim != 3 or grid.shape[1:] != expected or grid.dtype.kind not in "iu":
            raise TwincodeError(
                f"codes must be whole numbers of shape (n, {expected[0]}, {expected[1]}), "
                f"not {grid.dtype} of shape {grid.shape}"
            )
        if not len(grid):
            return np.empty((0, tokenizer.channels, steps), np.float32)
        tensor = torch.from_numpy(grid.astype(np.int64))
        layout.check(tensor)
        tensor = tensor.to(self.device)
        with torch.inference_mode():
            parts = [tokenizer.decode(part, length).cpu() for part in tokenizer.batches(tensor)]
        return self.scaling.invert(torch.cat(parts).numpy())

    def reconstruct(self, X: ArrayLike) -> NDArray[np.float32]:
        """Series X through the codes and back: (n, C, L), in original units."""
        return self.scaling.invert(
            decoded_series(self.tokenizer, self._tensor(X, self.tokenizer.takes_any_length)).numpy()
        )

    def transform(
        self, X: ArrayLike, readout: str = "flatten", region: str | None = None
    ) -> NDArray[np.float32]:
        """Features (n, features) of series X, one row each, ready for any classifier.

        ``region`` asks for one level or band alone: ``top`` or ``bottom``, ``band1``, ``shared`` or
        ``salient``. Raises TwincodeError for a readout or region that is not there.
        """
        latents, codes = embed(self.tokenizer, self._tensor(X, self.tokenizer.takes_any_length))
        layout = self.tokenizer.layout_of(np.shape(X)[-1])
        if region is not None:
            latents, codes, layout = self.tokenizer.region(latents, codes, region)
        return readout_features(readout, latents, codes, layout)

    def evaluate(self, dataset: Dataset) -> list[Measurement]:
        """Every metric on a data set of the same length and channels as the model's own."""
        self._check_data(dataset)
        split = prepare(dataset, self.scaling, self.device)
        config = self.config
        return evaluate_tokenizer(self.tokenizer, split, config.metrics, config.evaluation.readouts)

    def with_prior(self, prior: FittedPrior) -> "Model":
        """The same tokenizer beside a prior over its codes.

        Raises TwincodeError for one of another tokenizer's.
        """
        if prior.tokenizer_hash != tensors_hash(self.tokenizer.state_dict()):
            raise TwincodeError("this prior was fitted to codes of another model; fit one to these")
        model = Model(self.tokenizer, self.scaling, self.config, self.source, prior)
        return model.to(self.device)

    def sample(
        self,
        n: int,
        labels: str | Sequence[str] | None = None,
        seed: int = 0,
        **sampling: Any,
    ) -> Samples:
        """``n`` new series, and the class each was drawn for, or None.

        ``labels`` is ``train``, by default, for classes as often as in train, ``none``, the name of
        one class, or a name for each series. Raises TwincodeError for a class that is not in train.
        """
        stages = self._stages
        tokens, y = sample_tokens(stages, n, labels, seed, stages.sampling(sampling))
        names = np.array([*stages.fitted.classes, NO_LABEL])[y.cpu().numpy()]
        told = None if bool((y == stages.fitted.prior.none).all()) else names
        return Samples(self.scaling.invert(stages.series(tokens).cpu().numpy()), told)

    def bits(
        self,
        X: ArrayLike,
        labels: str | Sequence[str] = NO_LABEL,
        unit: str = "dimension",
        draws: int = 8,
        seed: int = 0,
    ) -> NDArray[np.float64]:
        """Bits (n,) that each series takes under the prior, a ``dimension``, by default, of it.

        ``unit`` may also be ``token``, ``step``, or ``series``; only ``dimension``, which counts
        what the codes leave over, compares tokenizers. Of a masked prior it is an upper bound,
        estimated from ``draws`` masks. ``labels`` are ``none``, the class of all, or one a series.
        """
        x = self._tensor(X)
        stages = self._stages
        y = stages.labels_of(len(x), labels)
        return bits(stages, x, y, unit, draws, seed).cpu().numpy()

    def impute(
        self,
        X: ArrayLike,
        draws: int = 1,
        seed: int = 0,
        labels: str | Sequence[str] = NO_LABEL,
        **settings: Any,
    ) -> NDArray[np.floating]:
        """Series (draws, n, C, L) in which missing values (NaN) of X are drawn; others stay.

        ``settings`` may also be those of ``generate.Filling``: ``refinements``, ``reach`` and
        ``candidates``. Raises TwincodeError for a series without any value.
        """
        x = self._tensor(X, gaps=True)
        stages = self._stages
        y = stages.labels_of(len(x), labels)
        drawn = impute(stages, x, y, draws, seed, settings).cpu().numpy()
        given = as_series(X, exactly=True)
        return np.where(np.isnan(given), self.scaling.invert(drawn), given)

    def forecast(
        self,
        history: ArrayLike,
        steps: int,
        draws: int = 1,
        seed: int = 0,
        labels: str | Sequence[str] = NO_LABEL,
        **settings: Any,
    ) -> NDArray[np.floating]:
        """The next ``steps`` (draws, n, C, steps) of series that lack just these.

        History and steps together are as long as the series that the model was made for.
        """
        past = as_series(history)
        self.check_shape(past, any_length=True)
        T, L = past.shape[2], self.tokenizer.length
        check_count("steps", steps)
        if steps >= L:
            raise TwincodeError(f"steps must lie between 1 and {L - 1}, not {steps}")
        if T + steps != L:
            remedy = f"give the last {L - steps} steps" if L - steps < T else f"ask for {L - T}"
            raise TwincodeError(
                f"a history of {T} steps and {steps} to come are not {L} in all, which this model "
                f"was made for; {remedy}"
            )
        X = np.concatenate([past, np.full((*past.shape[:2], steps), np.nan, np.float32)], axis=2)
        return self.impute(X, draws, seed, labels, **settings)[..., -steps:]

    def surprise(
        self,
        X: ArrayLike,
        labels: str | Sequence[str] = NO_LABEL,
        windows: Sequence[float] = WINDOWS,
    ) -> NDArray[np.float32]:
        """How surprising each step of series is, in bits, by row of the grid: (n, H, T).

        Series have at least the model's length. The sum over H is a score for each step, and its
        mean one for each series.
        """
        x = self._tensor(X, any_length=True)
        stages = self._stages
        y = stages.labels_of(len(x), labels)
        return surprise_along(stages, x, y, windows).numpy()

    @property
    def surprise_threshold(self) -> float:
        """The surprise of a step, summed over rows, that 1 % of those of held-out series exceed.

        Raises TwincodeError where none were held out, and for priors that tell no surprise.
        """
        threshold = self._stages.fitted.threshold
        if threshold is None:
            raise TwincodeError(
                "this prior has no threshold of surprise: it does not see both sides of a gap, had "
                "no series held out or was fitted by an earlier version"
            )
        return threshold

    def counterfactual(
        self,
        X: ArrayLike,
        draws: int = 1,
        seed: int = 0,
        labels: str | Sequence[str] = NO_LABEL,
        threshold: float | None = None,
        **settings: Any,
    ) -> NDArray[np.floating]:
        """Series (draws, n, C, L) with their surprising steps drawn anew; all others stay.

        Those are surprising whose ``surprise``, summed over rows, exceeds ``threshold``, by default
        ``surprise_threshold``. ``settings`` are those of ``impute``. Raises TwincodeError where
        every step of a series is surprising.
        """
        array = as_series(X, exactly=True)
        self.check_shape(array)
        least = self.surprise_threshold if threshold is None else threshold
        surprising = self.surprise(array, labels).sum(1) > least
        if surprising.all(1).any():
            raise TwincodeError("every step of a series is surprising; use sample for new series")
        gappy = np.where(surprising[:, None], np.nan, array)
        return self.impute(gappy, draws, seed, labels, **settings)

    def evaluate_generation(self, dataset: Dataset, **settings: Any) -> list[Score]:
        """How good samples are, beside every control, against the test part of a data set.

        ``settings`` are those of judging (``evaluate.generation.GenerationSettings``) and of
        drawing. Labels tell the classifier whose features are compared, and nothing is chosen by
        test.
        """
        self._check_data(dataset)
        split = prepare(dataset, self.scaling, self.device)
        stages = self._stages
        judging, sampling = parted(settings, GenerationSettings)
        sampler = Sampler(stages.fitted.settings.name, stages, stages.sampling(sampling))
        return judge([sampler], split, GenerationSettings().replace(**judging)).scores

    def to(self, device: str | torch.device) -> "Model":
        """Move the model to a device; returns itself. Closed forms compute on the CPU anyway."""
        self.device = torch.device(device)
        self.tokenizer.to(self.device)
        if self.prior is not None:
            self.prior.prior.to(self.device)
        return self

    def save(self, folder: str | Path, scores: Sequence[Measurement] = ()) -> None:
        """Write ``model.safetensors`` and ``model.json``, both or neither, a card, and the prior.

        The card also tells ``scores``, such as those of ``evaluate``. A ``README.md`` that is there
        and is no card of ours stays as it is. The prior, if there is one, is written into the
        subfolder ``prior``. Raises TwincodeError where that holds the prior of another model, which
        this one would be loaded with.
        """
        folder = Path(folder)
        if self.prior is None and (folder / PRIOR / PRIOR_DESCRIPTION).exists():
            load_prior(folder / PRIOR, self.tokenizer)
        tensors = self.tokenizer.state_dict()
        write_described(folder / TENSORS, tensors, folder / DESCRIPTION, self._describe())
        if self.prior is not None:
            self.prior.save(folder / PRIOR)
        if _is_ours(folder / CARD):
            source = self.source
            told = source.name, source.origin, source.classes
            write_text(folder / CARD, model_card(self.tokenizer, self.config, *told, scores))

    @property
    def checksum(self) -> str:
        """A hash of what decides codes: two models of one checksum make the same."""
        own, parts = self.tokenizer, (self.config.tokenizer, self.config.quantizer)
        identities = [None if part is None else part.identity() for part in parts]
        decisive = [*identities, own.channels, own.length, asdict(self.scaling)]
        text = json.dumps(decisive, sort_keys=True) + tensors_hash(own.state_dict())
        return hashlib.sha256(text.encode()).hexdigest()

    def pack(self) -> tuple[str, bytes]:
        """What ``save`` writes, in memory: a description as JSON, and tensors as safetensors."""
        return json.dumps(self._describe()), pack_tensors(self.tokenizer.state_dict())

    @classmethod
    def unpack(cls, description: str, tensors: bytes) -> "Model":
        """The model that ``pack`` has packed, on the CPU. No code can run.

        Raises ValueError for what is not a packed model.
        """
        origin = "this packed model"
        model = _build(_known(json.loads(description), origin), origin)
        restore(model.tokenizer, unpack_tensors(tensors), origin)
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        """As JSON and safetensors, so that what using it has left in memory does not show."""
        return _unpacked, (*self.pack(), self.prior)

    def _describe(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "config": self.config.to_dict(),
            "channels": self.tokenizer.channels,
            "length": self.tokenizer.length,
            "scaling": asdict(self.scaling),
            "source": asdict(self.source),
        }

    @property
    def _stages(self) -> Stages:
        if self.prior is None:
            raise TwincodeError(f"{self.name} has no prior yet; fit one with twincode prior")
        return Stages(self.tokenizer, self.prior)

    def _tensor(self, X: ArrayLike, any_length: bool = False, gaps: bool = False) -> torch.Tensor:
        array = as_series(X)
        self.check_shape(array, any_length)
        if np.isinf(array).any() if gaps else not np.isfinite(array).all():
            raise TwincodeError("series hold missing or infinite values; fill them in first")
        return torch.from_numpy(self.scaling.apply(array)).to(self.device)

    def _check_data(self, dataset: Dataset) -> None:
        if not isinstance(dataset, Dataset):
            raise TwincodeError(
                "a model is measured on a data set with a test part, not on an array: make one "
                "with Dataset.from_arrays"
            )
        self.check_shape(dataset.X_train)

    def check_shape(self, X: NDArray, any_length: bool = False) -> None:
        """Raise TwincodeError for series X that this model was not made for."""
        C, L = self.tokenizer.channels, self.tokenizer.length
        if X.ndim != 3 or len(X) == 0:
            raise TwincodeError(f"series must be an array (n, {C}, {L}), not {X.shape}")
        if X.shape[1] != C:
            raise TwincodeError(f"series have {X.shape[1]} channels; this model was made for {C}")
        if X.shape[2] != L and not (any_length and X.shape[2]):
            raise TwincodeError(
                f"series have {X.shape[2]} steps; this model was made for {L}; resample them first"
            )


def _unpacked(description: str, tensors: bytes, prior: FittedPrior | None) -> Model:
    """The inverse of ``Model.__reduce__``, on the CPU."""
    model = Model.unpack(description, tensors)
    return model if prior is None else model.with_prior(prior)


def as_series(X: ArrayLike, exactly: bool = False) -> NDArray[np.floating]:
    """Series (n, C, L), or (n, L), as one array (n, C, L) in float32.

    If ``exactly``, in float64 but for what comes in float32.
    """
    wide = exactly and getattr(X, "dtype", None) != np.float32
    try:
        # A value beyond float32 becomes infinite here and is refused later.
        with np.errstate(over="ignore"):
            array = real_numbers(X, np.float64 if wide else np.float32)
    except (TypeError, ValueError):
        raise TwincodeError("series must be one array of real numbers, all of one length") from None
    except RuntimeError as error:  # of a tensor that has gradients, or is not in memory
        raise TwincodeError(f"series cannot be read: {one_line(error)}") from error
    return array[:, None] if array.ndim == 2 else array


def load_model(
    folder: str | Path,
    device: str | torch.device = "cpu",
    prior: str = PRIOR,
    revision: str | None = None,
) -> Model:
    """The model saved in ``folder``. Only tensors and JSON are read: no code can run.

    Text such as ``"user/name"`` that is no folder here names a model on the Hugging Face hub, of
    which ``revision`` may be a branch, a tag or a commit; it needs the extra ``hub``. The prior in
    its subfolder ``prior``, or of that name, comes with it where there is one. Raises TwincodeError
    for a folder without a model, for files that are corrupt, foreign or do not belong together, for
    a model of a newer version, for a device that is not there, and for a model that cannot be had
    from the hub.
    """
    if isinstance(folder, str) and is_hub_name(folder):
        priors = (f"{prior}/{name}" for name in (PRIOR_DESCRIPTION, PRIOR_TENSORS))
        folder = download(folder, revision, (DESCRIPTION, TENSORS, CARD, *priors))
    elif revision is not None:
        raise TwincodeError(f"{folder} is a folder; only models on the hub have revisions")
    folder = Path(folder)
    model = load_bare_model(folder, device)
    if (folder / prior / PRIOR_DESCRIPTION).exists():
        return model.with_prior(load_prior(folder / prior, model.tokenizer))
    if prior != PRIOR:
        raise TwincodeError(f"there is no prior called {prior!r} in {folder}")
    return model


def load_bare_model(folder: str | Path, device: str | torch.device = "cpu") -> Model:
    """The same without any prior, whatever state one is in."""
    target = choose_device(device)
    folder = Path(folder)
    origin = folder / DESCRIPTION
    description = _known(read_json(origin, "model description"), origin)
    model = _build(description, origin)
    remedy = f"delete {folder} and train again"
    tensors = read_described(folder / TENSORS, description, origin, remedy)
    restore(model.tokenizer, tensors, folder / TENSORS)
    return model.to(target)


def _known(description: object, origin: object) -> dict[str, Any]:
    """A description, if it is one of this version's or an older one's."""
    if not isinstance(description, dict) or description.get("format") not in (1, FORMAT):
        raise TwincodeError(f"{origin} is not a model this version of twincode can read")
    return description


def _build(description: dict[str, Any], origin: object) -> Model:
    """The model a description speaks of, its weights still to be read."""
    try:
        return _described(description)
    except (KeyError, OverflowError, TypeError, ValueError, RuntimeError) as error:
        raise TwincodeError(f"{origin} is damaged: {error}") from error


def _described(description: dict[str, Any]) -> Model:
    stored = description["config"]
    config = Config.from_dict(upgrade_config(stored) if description["format"] == 1 else stored)
    channels, length = description["channels"], description["length"]
    check_count("channels", channels)
    check_count("length", length)
    source = Source(**{**description["source"], "classes": tuple(description["source"]["classes"])})
    if not all(isinstance(each, str) for each in (source.name, source.origin, source.checksum)):
        raise ValueError(f"source must be told in words, not {source}")
    return Model(
        build_tokenizer(config.tokenizer, config.quantizer, channels, length).eval(),
        _read_scaling(description["scaling"], channels),
        config,
        source,
    )


def _read_scaling(stored: dict[str, Any], channels: int) -> Scaling:
    """The scaling of a model, in older ones one number for all channels."""
    mean, std = (np.atleast_1d(stored[name]).astype(float) for name in ("mean", "std"))
    scaling = Scaling(tuple(mean.tolist()), tuple(std.tolist()))
    fits = mean.shape == std.shape and mean.shape in ((1,), (channels,))
    if not (fits and np.isfinite([mean, std]).all() and (std > 0).all()):
        raise ValueError(f"{scaling} cannot be undone")
    return scaling


def _is_ours(card: Path) -> bool:
    """Whether a card may be written there: none is yet, or one that nobody has made their own."""
    try:
        return OURS in card.read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    except (OSError, UnicodeDecodeError):
        return False


def _whole_array(codes: ArrayLike) -> NDArray:
    try:
        return np.asarray(codes)
    except ValueError:
        raise TwincodeError("codes must be one array of whole numbers, all of one shape") from None
