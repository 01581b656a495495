"""A prior with what belongs to it, in a folder and out of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twincode.errors import TwincodeError, unknown_name
from twincode.files import read_json
from twincode.priors.grids import Grids
from twincode.priors.prior import PRIORS, Prior, PriorSettings
from twincode.storage import read_described, restore, tensors_hash, write_described

FORMAT = 2
TENSORS = "prior.safetensors"
DESCRIPTION = "prior.json"
NO_LABEL, TRAIN_LABELS = "none", "train"  # in place of a class: no label, drawn as in train
_BIAS = re.compile(r"(network|further\.\d+)\.bias")


@dataclass(frozen=True)
class FittedPrior:
    """A prior, its settings, and what it was fitted to.

    ``classes`` are those whose labels it knows, with their numbers of train series, or none.
    ``variance`` is the mean squared error of the tokenizer on train, in scaled units, or None
    without a decoder. ``tokenizer_hash`` is that of the tokenizer's tensors. ``threshold`` is the
    surprise of a step that one in a hundred of held-out series exceeds, or None without them.
    """

    prior: Prior
    settings: PriorSettings
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    variance: float | None
    tokenizer_hash: str
    threshold: float | None = None

    def label(self, name: str) -> int:
        """The index of a class, or of no label; TwincodeError for one that is not in train."""
        if name == NO_LABEL:
            return len(self.classes)
        if not self.classes:
            raise TwincodeError(f"this prior knows no labels, so there is no class {name!r}")
        if name not in self.classes:
            raise unknown_name("class", name, self.classes)
        return self.classes.index(name)

    def save(self, folder: Path) -> None:
        """Write ``prior.safetensors`` and ``prior.json`` into ``folder``, both or neither."""
        told = {
            "format": FORMAT,
            "settings": self.settings.to_dict(),
            "grids": self.prior.grids.to_dict(),
            "classes": list(self.classes),
            "counts": list(self.counts),
            "variance": self.variance,
            "surprise_threshold": self.threshold,
            "tokenizer_sha256": self.tokenizer_hash,
        }
        tensors = self.prior.state_dict()
        write_described(folder / TENSORS, tensors, folder / DESCRIPTION, told)


def load_prior(folder: Path, tokenizer: nn.Module) -> FittedPrior:
    """The prior saved in ``folder``, which must have been fitted to codes of this tokenizer.

    Raises TwincodeError where there is none, where its files are corrupt or of a newer version,
    and where it belongs to another tokenizer.
    """
    description = read_json(folder / DESCRIPTION, "prior")
    if not isinstance(description, dict) or description.get("format") not in (1, FORMAT):
        raise TwincodeError(
            f"{folder / DESCRIPTION} is not a prior this version of twincode can read"
        )
    try:
        fitted = _read(description)
    except (TwincodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TwincodeError(f"{folder / DESCRIPTION} is damaged: {error}") from error
    if fitted.tokenizer_hash != tensors_hash(tokenizer.state_dict()):
        raise TwincodeError(
            f"the prior in {folder} belongs to another tokenizer than the model beside it; "
            "fit it again or delete it"
        )
    origin = folder / DESCRIPTION
    remedy = f"delete {folder} and fit it again"
    tensors = read_described(folder / TENSORS, description, origin, remedy)
    if description["format"] == 1:
        tensors = _upgraded(tensors, len(fitted.classes))
    restore(fitted.prior, tensors, folder / TENSORS)
    return fitted


def label_indices(
    y: NDArray[np.integer] | None, n: int, classes: Sequence[str], known: Sequence[str]
) -> Tensor:
    """Labels (n,) as a prior that has ``known`` classes counts them, of indices y into ``classes``.

    The number of known classes, which stands for no label, where it is not told or not known.
    """
    if y is None:
        return torch.full((n,), len(known))
    place = {name: i for i, name in enumerate(known)}
    return torch.tensor([place.get(classes[i], len(known)) for i in y])


def _upgraded(tensors: Mapping[str, Tensor], classes: int) -> dict[str, Tensor]:
    """Those of format 1, in which one bias of a place served all classes."""
    return {
        name: tensor.expand(classes + 1, -1, -1).contiguous() if _BIAS.fullmatch(name) else tensor
        for name, tensor in tensors.items()
    }


def _read(description: Mapping[str, Any]) -> FittedPrior:
    """The prior a description speaks of, its tensors still to be read."""
    settings = PRIORS.read(description["settings"])
    grids = Grids.from_dict(description["grids"])
    classes = tuple(map(str, description["classes"]))
    counts = tuple(map(int, description["counts"]))
    if len(counts) != len(classes):
        raise ValueError(f"it counts the series of {len(counts)} classes and has {len(classes)}")
    variance, threshold = description["variance"], description.get("surprise_threshold")
    return FittedPrior(
        PRIORS.build(settings, grids, len(classes)).eval(),
        settings,
        classes,
        counts,
        None if variance is None else float(variance),
        str(description["tokenizer_sha256"]),
        None if threshold is None else float(threshold),
    )
