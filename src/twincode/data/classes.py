"""Labels as people write them, and the classes that they name."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from twincode.errors import TwincodeError

LabelArray = NDArray[np.int64]

_MISSING = ("", "nan", "nat", "<na>")


def number(text: str) -> float | None:
    """The number that a text is; None for any other, ``1_2`` among them."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def plain_label(label: str) -> str:
    """A label as it is reported: numbers without superfluous digits, other text as it is."""
    text = label.strip()
    value = number(text)
    if value is None or not np.isfinite(value):
        return text
    if not value.is_integer():
        return repr(value)
    return str(int(text)) if text.lstrip("+-").isdigit() else str(int(value))


def _row(index: int) -> str:
    return f"row {index + 1}"


def plain_labels(
    labels: Iterable[object], where: str, place: Callable[[int], str] = _row
) -> list[str]:
    """``plain_label`` of each.

    Raises TwincodeError, naming its ``place``, where one is missing, empty, NaN or no text.
    """
    result = []
    for index, label in enumerate(labels):
        try:
            text = label.decode() if isinstance(label, bytes) else str(label)
        except UnicodeDecodeError:
            raise TwincodeError(f"{where}, {place(index)}: its label is no UTF-8 text") from None
        if label is None or text.strip().lower() in _MISSING:
            raise TwincodeError(
                f"{where}, {place(index)} has no label; add it or remove the series"
            )
        result.append(plain_label(text))
    return result


def sorted_classes(labels: set[str]) -> tuple[str, ...]:
    """The names of classes in order: by number where all are numbers."""
    numbers = {label: number(label) for label in labels}
    if None in numbers.values():
        return tuple(sorted(labels))
    return tuple(sorted(labels, key=lambda label: (numbers[label], label)))


def class_indices(labels: Sequence[str] | None, classes: Sequence[str]) -> LabelArray | None:
    """The place of each label among ``classes``."""
    if labels is None:
        return None
    index = {label: position for position, label in enumerate(classes)}
    return np.array([index[label] for label in labels], dtype=np.int64)
