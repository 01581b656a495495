"""Which train series are background: the one thing a tokenizer may be told of labels."""

import numpy as np
import torch
from torch import Tensor

from twincode.data import Dataset
from twincode.errors import TwincodeError, unknown_name
from twincode.tokenizers.contrastive import ContrastiveSettings


def background_rows(
    settings: ContrastiveSettings, dataset: Dataset, device: torch.device
) -> Tensor:
    """True (n,) for the train series of ``background_classes``.

    Which of the other classes a series belongs to is not told. Raises TwincodeError where no
    class is named, one does not exist, there are no labels, or one of the two groups is empty.
    """
    names, classes = settings.background_classes, dataset.classes
    if dataset.y_train is None:
        raise TwincodeError(
            f"{dataset.name} has no labels, and a {settings.name} model has to know "
            "which series are background; label them"
        )
    if not names:
        raise TwincodeError(
            f"a {settings.name} model has to know which classes are background; "
            f"name some of {', '.join(classes)} in background_classes"
        )
    for name in names:
        if name not in classes:
            raise unknown_name("class", name, classes)
    background = np.isin(dataset.y_train, [classes.index(name) for name in names])
    if background.all() or not background.any():
        group = "target" if background.all() else "background"
        raise TwincodeError(
            f"with background_classes {','.join(names)} no train series of {dataset.name} is "
            f"{group}; name other classes"
        )
    return torch.from_numpy(background).to(device)
