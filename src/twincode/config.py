"""Frozen configurations: everything that decides a run's numbers, and nothing else.

Every field has a name of its own across all groups, so ``codebook_size`` alone is enough to set
``quantizer.codebook_size``. A field that only some models read says beside its value which.
The device and the number of threads are not here: they say where a run is computed, not what.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

from twincode.conditions import Condition, empty, holding, nonzero, one_of, why_unread
from twincode.errors import TwincodeError, unknown_name

_BEFORE = "before"
_READ = "read"

# The package's own choices, of which is known what they read. One that is registered elsewhere may
# read any setting.
OWN_CHOICES = {
    "tokenizer": ("vqvae", "vqvae2", "bands", "contrastive", "encoder", "raw"),
    "quantizer": ("vq", "residual", "product", "fsq", "gaussian", "identity"),
    "twin_loss": ("barlow_twins", "vicreg", "vibcreg", "simclr", "moco", "byol"),
}


def setting(default: Any, read: Condition) -> Any:
    """A field that only some models read: those whose settings meet the condition ``read``."""
    return field(default=default, metadata={_READ: read})


def added(default: Any, before: Any, read: Condition | None = None) -> Any:
    """A field that came later. Runs made without it behave like runs with the value ``before``.

    At that value it is left out of the digest, so that a new option does not make finished runs
    look like other ones. ``read`` is as for ``setting``; None stands for every model.
    """
    return field(default=default, metadata={_BEFORE: before} | ({_READ: read} if read else {}))


def _by(chooser: str, *choices: str) -> Condition:
    """Read by these of the package's own tokenizers, quantisers or twin losses."""
    return one_of(chooser, *choices, among=OWN_CHOICES[chooser])


_TRAINED = nonzero("epochs")
_ON_PLANE = _by("tokenizer", "vqvae", "vqvae2", "bands", "contrastive", "encoder")
_LEARNT = _by("quantizer", "vq", "residual", "product")
_AVERAGED = one_of("codebook_update", "ema") & _TRAINED
_TWO_VIEWS = nonzero("gamma")
_WEIGHTED = _by("twin_loss", "vicreg", "vibcreg")
_TEACHER = _by("twin_loss", "moco", "byol")
_AUGMENTED = one_of("upper_input", "view") | _TWO_VIEWS


@dataclass(frozen=True)
class TokenizerConfig:
    """The map from a series to a grid of latents and back.

    The transform (``n_fft``, ``hop_length``, ``window``) is made for every model: an augmentation
    works on it too. ``background_classes`` are names of classes.
    """

    tokenizer: str = "vqvae"
    n_fft: int = 8
    hop_length: int = 2
    window: str = "rectangular"
    latent_channels: int = setting(64, _ON_PLANE)
    residual_blocks: int = setting(4, _ON_PLANE)
    downsampled_width: int = setting(
        8, _by("tokenizer", "vqvae", "vqvae2", "contrastive", "encoder") | empty("band_widths")
    )
    top_width: int = added(4, before=4, read=_by("tokenizer", "vqvae2"))
    bands: tuple[int, ...] = added((), before=(), read=_by("tokenizer", "bands"))
    band_widths: tuple[int, ...] = added((), before=(), read=_by("tokenizer", "bands"))
    background_classes: tuple[str, ...] = added((), before=(), read=_by("tokenizer", "contrastive"))


@dataclass(frozen=True)
class QuantizerConfig:
    """The codebook and how it moves (eq. 4.13), or what stands in its place."""

    quantizer: str = setting("vq", _ON_PLANE)
    codebook_size: int = setting(32, _LEARNT)
    codebook_update: str = setting("ema", _LEARNT)
    codebook_init: str = setting("data", _LEARNT)
    commitment_weight: float = setting(1.0, _LEARNT & _TRAINED)
    ema_decay: float = setting(0.8, _AVERAGED | nonzero("revive_below"))
    ema_epsilon: float = setting(1e-5, _AVERAGED)
    distance: str = added("euclidean", before="euclidean", read=_LEARNT)
    revive_below: float = added(0.0, before=0.0, read=_LEARNT & _TRAINED)
    quantizer_depth: int = added(2, before=2, read=_by("quantizer", "residual"))
    codebook_groups: int = added(2, before=2, read=_by("quantizer", "product"))
    fsq_levels: tuple[int, ...] = added((8, 4), before=(8, 4), read=_by("quantizer", "fsq"))
    kl_weight: float = added(1.0, before=1.0, read=_by("quantizer", "gaussian") & _TRAINED)


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised: eq. 4.9 plus ``gamma`` times a twin loss (eq. 4.18).

    ``upper_input`` says what the reconstructing branch sees: ``clean`` or an augmented ``view``.
    """

    twin_loss: str = setting("barlow_twins", _TWO_VIEWS)
    gamma: float = setting(0.0, _TRAINED)
    off_diagonal_weight: float = setting(0.005, _by("twin_loss", "barlow_twins"))
    projector_width: int = setting(4096, _TWO_VIEWS)
    upper_input: str = setting("clean", _TRAINED)
    invariance_weight: float = added(25.0, before=25.0, read=_WEIGHTED)
    variance_weight: float = added(25.0, before=25.0, read=_WEIGHTED)
    covariance_weight: float = added(1.0, before=1.0, read=_WEIGHTED)
    whitening_iterations: int = added(5, before=5, read=_by("twin_loss", "vibcreg"))
    whitening_width: int = added(64, before=64, read=_by("twin_loss", "vibcreg"))
    contrastive_temperature: float = added(0.5, before=0.5, read=_by("twin_loss", "simclr", "moco"))
    queue_size: int = added(256, before=256, read=_by("twin_loss", "moco"))
    predictor_width: int = added(4096, before=4096, read=_by("twin_loss", "byol"))
    teacher_momentum: float = added(0.996, before=0.996, read=_TEACHER)
    teacher_schedule: str = added("constant", before="constant", read=_TEACHER)


@dataclass(frozen=True)
class AugmentationConfig:
    """Which augmentations make a view, in which order, and how strong each is."""

    augmentations: tuple[str, ...] = setting(
        ("flip", "jitter", "amplitude_resize", "slope", "phase"), _AUGMENTED
    )
    flip_probability: float = setting(0.5, holding("augmentations", "flip"))
    jitter_std: float = setting(0.1, holding("augmentations", "jitter"))
    amplitude_std: float = setting(0.1, holding("augmentations", "amplitude_resize"))
    slope_rate: float = setting(0.01, holding("augmentations", "slope"))
    phase_range: float = setting(math.pi / 4, holding("augmentations", "phase"))
    warp_fraction: float = setting(0.1, holding("augmentations", "window_warp"))
    warp_scales: tuple[float, ...] = setting((0.5, 2.0), holding("augmentations", "window_warp"))
    shuffle_slices: int = setting(4, holding("augmentations", "slice_and_shuffle"))
    crop_fraction: float = setting(0.9, holding("augmentations", "window_crop"))
    noise_level: float = setting(0.05, holding("augmentations", "gaussian_noise"))


@dataclass(frozen=True)
class TrainingConfig:
    """Optimiser, budget and seed."""

    epochs: int = 200
    batch_size: int = setting(128, _ON_PLANE)
    learning_rate: float = setting(1e-3, _TRAINED)
    weight_decay: float = setting(1e-3, _TRAINED)
    precision: str = setting("float32", _TRAINED)
    seed: int = 0


@dataclass(frozen=True)
class EvaluationConfig:
    """The probes, and how often they run.

    ``evaluations`` counts how many times they run, evenly spaced and always at the end;
    ``kmeans_clusters`` 0 means the number of classes.
    """

    evaluations: int = setting(5, _TRAINED)
    readouts: tuple[str, ...] = ("flatten", "mean", "histogram")
    svm_c: float = 1.0
    neighbours: tuple[int, ...] = (1, 5, 10)
    explained_variance: float = 0.95
    kmeans_fits: int = 15
    kmeans_clusters: int = 0


@dataclass(frozen=True)
class Config:
    """One run, resolved: the recipe's name and the six groups of fields."""

    recipe: str = "vqvae"
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def replace(self, **changes: Any) -> "Config":
        """A copy with some fields changed, each by its own name: ``replace(gamma=1.0, epochs=50)``.

        Values may be text, as from a command line. Raises TwincodeError for an unknown field (it
        names the nearest) and for a value of the wrong kind.
        """
        groups: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            group, hint = _find_field(name)
            groups.setdefault(group, {})[name] = _convert(name, value, hint)
        replaced = {
            group: dataclasses.replace(getattr(self, group), **values)
            for group, values in groups.items()
        }
        return dataclasses.replace(self, **replaced)

    def idle(self, names: Iterable[str]) -> dict[str, str]:
        """Those of the settings ``names`` that change no number of this model, and why, in words.

        Raises TwincodeError for a setting that does not exist.
        """
        names = list(names)
        for name in names:
            _find_field(name)
        groups = [vars(getattr(self, group)) for group in _GROUPS]
        values = {name: value for group in groups for name, value in group.items()}
        reasons = {name: why_unread(name, values, _CONDITIONS) for name in names}
        return {name: reason for name, reason in reasons.items() if reason}

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain nested dictionaries, ready for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of ``to_dict``; raises TwincodeError for a field that does not exist."""
        if not isinstance(values, Mapping):
            raise TwincodeError("a configuration must be a mapping of groups of fields")
        config = cls(recipe=str(values.get("recipe", "")))
        for group, fields in values.items():
            if group == "recipe":
                continue
            if group not in _GROUPS:
                raise unknown_name("group of settings", group, _GROUPS)
            for name in fields:
                if name not in _HINTS[group]:
                    raise unknown_name("setting", name, _HINTS[group])
            config = config.replace(**{**_BEFORE_ADDED.get(group, {}), **fields})
        return config

    def digest(self) -> str:
        """A hash over every field except the recipe's name: equal settings, equal digest.

        A default that changes changes the digest; an option that is added does not (``added``).
        """
        settings = {name: _identity(getattr(self, name)) for name in _GROUPS}
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


_GROUPS = {
    name: hint for name, hint in get_type_hints(Config).items() if dataclasses.is_dataclass(hint)
}
_HINTS = {name: get_type_hints(group) for name, group in _GROUPS.items()}
# What a stored configuration means that does not know a later field.
_BEFORE_ADDED = {
    name: {
        each.name: each.metadata[_BEFORE]
        for each in dataclasses.fields(group)
        if _BEFORE in each.metadata
    }
    for name, group in _GROUPS.items()
}
# What has to be the case for a setting to be read; those that always are read are not among them.
_CONDITIONS: dict[str, Condition] = {
    each.name: each.metadata[_READ]
    for group in _GROUPS.values()
    for each in dataclasses.fields(group)
    if _READ in each.metadata
}


def read_where(name: str) -> str:
    """Which models read a setting, in words; empty where all do."""
    return f"read where {_CONDITIONS[name]}" if name in _CONDITIONS else ""


def unread(who: str, reasons: Mapping[str, str]) -> TwincodeError:
    """The error for settings that would change no number of ``who``, each with its reason."""
    settings = " and ".join(f"{name} ({reason})" for name, reason in reasons.items())
    return TwincodeError(
        f"{who} does not read {settings}; leave {'it' if len(reasons) == 1 else 'them'} out"
    )


def field_names() -> list[str]:
    """The name of every setting, over all groups."""
    return [name for hints in _HINTS.values() for name in hints]


def _identity(group: Any) -> dict[str, Any]:
    """The fields of a group that tell its run from others."""
    return {
        each.name: getattr(group, each.name)
        for each in dataclasses.fields(group)
        if _BEFORE not in each.metadata or getattr(group, each.name) != each.metadata[_BEFORE]
    }


def _find_field(name: str) -> tuple[str, Any]:
    for group, hints in _HINTS.items():
        if name in hints:
            return group, hints[name]
    raise unknown_name("setting", name, field_names())


def _convert(name: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, Iterable):
            raise TwincodeError(f"{name} must be a list, not {value!r}")
        return tuple(_convert(name, part, get_args(hint)[0]) for part in parts if part != "")
    try:
        converted = hint(value)
    except (TypeError, ValueError, OverflowError):
        raise TwincodeError(f"{name} must be of type {hint.__name__}, not {value!r}") from None
    if hint is int and not isinstance(value, str) and converted != value:
        raise TwincodeError(f"{name} must be a whole number, not {value!r}")
    if hint is float and not math.isfinite(converted):
        raise TwincodeError(f"{name} must be a finite number, not {value!r}")
    return converted
