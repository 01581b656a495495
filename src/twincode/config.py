"""Frozen configurations: everything that decides a run's numbers, and nothing else.

Every field has a name of its own across all groups, so ``codebook_size`` alone is enough to set
``quantizer.codebook_size``. The device and the number of threads are not here: they say where a
run is computed, not what.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

from twincode.errors import TwincodeError, unknown_name

_BEFORE = "before"


def added(default: Any, before: Any) -> Any:
    """A field that came later. Runs made without it behave like runs with the value ``before``.

    At that value it is left out of the digest, so that a new option does not make finished runs
    look like other ones.
    """
    return field(default=default, metadata={_BEFORE: before})


@dataclass(frozen=True)
class TokenizerConfig:
    """The map from a series to a grid of latents and back.

    ``top_width`` belongs to ``vqvae2``, ``bands`` and ``band_widths`` to ``bands``,
    ``background_classes``, names of classes, to ``contrastive``.
    """

    tokenizer: str = "vqvae"
    n_fft: int = 8
    hop_length: int = 2
    window: str = "rectangular"
    latent_channels: int = 64
    residual_blocks: int = 4
    downsampled_width: int = 8
    top_width: int = added(4, before=4)
    bands: tuple[int, ...] = added((), before=())
    band_widths: tuple[int, ...] = added((), before=())
    background_classes: tuple[str, ...] = added((), before=())


@dataclass(frozen=True)
class QuantizerConfig:
    """The codebook and how it moves (eq. 4.13), or what stands in its place."""

    quantizer: str = "vq"
    codebook_size: int = 32
    codebook_update: str = "ema"
    codebook_init: str = "data"
    commitment_weight: float = 1.0
    ema_decay: float = 0.8
    ema_epsilon: float = 1e-5
    distance: str = added("euclidean", before="euclidean")
    revive_below: float = added(0.0, before=0.0)
    quantizer_depth: int = added(2, before=2)
    codebook_groups: int = added(2, before=2)
    fsq_levels: tuple[int, ...] = added((8, 4), before=(8, 4))
    kl_weight: float = added(1.0, before=1.0)


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised: eq. 4.9 plus ``gamma`` times a twin loss (eq. 4.18).

    ``upper_input`` says what the reconstructing branch sees: ``clean`` or an augmented ``view``.
    Which twin loss reads which of the other settings is in docs/twin-objectives.md.
    """

    twin_loss: str = "barlow_twins"
    gamma: float = 0.0
    off_diagonal_weight: float = 0.005
    projector_width: int = 4096
    upper_input: str = "clean"
    invariance_weight: float = added(25.0, before=25.0)
    variance_weight: float = added(25.0, before=25.0)
    covariance_weight: float = added(1.0, before=1.0)
    whitening_iterations: int = added(5, before=5)
    whitening_width: int = added(64, before=64)
    contrastive_temperature: float = added(0.5, before=0.5)
    queue_size: int = added(256, before=256)
    predictor_width: int = added(4096, before=4096)
    teacher_momentum: float = added(0.996, before=0.996)
    teacher_schedule: str = added("constant", before="constant")


@dataclass(frozen=True)
class AugmentationConfig:
    """Which augmentations make a view, in which order, and how strong each is."""

    augmentations: tuple[str, ...] = ("flip", "jitter", "amplitude_resize", "slope", "phase")
    flip_probability: float = 0.5
    jitter_std: float = 0.1
    amplitude_std: float = 0.1
    slope_rate: float = 0.01
    phase_range: float = math.pi / 4
    warp_fraction: float = 0.1
    warp_scales: tuple[float, ...] = (0.5, 2.0)
    shuffle_slices: int = 4
    crop_fraction: float = 0.9
    noise_level: float = 0.05


@dataclass(frozen=True)
class TrainingConfig:
    """Optimiser, budget and seed."""

    epochs: int = 200
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    precision: str = "float32"
    seed: int = 0


@dataclass(frozen=True)
class EvaluationConfig:
    """The probes, and how often they run.

    ``evaluations`` counts how many times they run, evenly spaced and always at the end;
    ``kmeans_clusters`` 0 means the number of classes.
    """

    evaluations: int = 5
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
