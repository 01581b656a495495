"""One self-contained page of what a model's codes do: template, script and packed arrays."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import ArrayLike, NDArray

from twincode.data import Dataset
from twincode.errors import TwincodeError
from twincode.explorer import exploration
from twincode.explorer.exploration import Exploration, RowCodes, look_into
from twincode.explorer.rows import Codes
from twincode.files import write_text
from twincode.model import Model
from twincode.recipes import title

POINTS = 300  # of a series, at most, that are drawn
# What NaN is among packed numbers, and the largest of them.
_NOTHING, _LARGEST = -32768, 32767
# Whole numbers that the script can read, the smallest first.
_WHOLE = ("uint8", "int8", "uint16", "int16", "uint32", "int32")

Packed = dict[str, Any]


def explore(model: Model, data: Dataset | ArrayLike, path: str | Path) -> Path:
    """Write a page of what each code of ``model`` does in ``data``, one file that needs no network.

    ``data`` is a data set, or series (n, L) or (n, C, L) without labels. Codes are counted over all
    series, and those that tell classes apart are ranked on train. Returns the path. Raises
    TwincodeError for a model without codes and for series that do not fit it.
    """
    dataset = data if isinstance(data, Dataset) else Dataset.from_arrays(data)
    if not model.tokenizer.layout.grids:
        raise TwincodeError(f"{model.name} is continuous: it has features but no codes to explore")
    path = Path(path)
    write_text(path, render(model, dataset, look_into(model, dataset)))
    return path


def render(model: Model, dataset: Dataset, found: Exploration) -> str:
    """The page as text."""
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([here, here.parent / "report"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("explorer.html.jinja").render(
        name=f"{title(model.config)} on {dataset.name}",
        style=(here / "explorer.css").read_text(encoding="utf-8"),
        script=(here / "explorer.js").read_text(encoding="utf-8"),
        stored=contents(model, dataset, found),
    )


def contents(model: Model, dataset: Dataset, found: Exploration) -> dict[str, Any]:
    """What the page holds, ready for JSON; arrays are packed."""
    C, L = model.tokenizer.channels, model.tokenizer.length
    channels, thin = min(C, exploration.CHANNELS), -(-L // POINTS)
    series = dataset.X_train[found.shown][:, :channels, ::thin]
    return {
        "classes": list(found.classes),
        "train": len(dataset.X_train),
        "test": len(dataset.X_test),
        "train_sizes": found.train_sizes.tolist(),
        "test_sizes": found.test_sizes.tolist(),
        "channels": channels,
        "channels_in_all": C,
        "length": L,
        "thin": thin,
        "width": model.tokenizer.layout.width,
        "height": model.tokenizer.grid[0],
        "rows_in_all": found.rows_in_all,
        "codes_a_row": exploration.CODES,
        "places": exploration.PLACES,
        "rows": [_row(row, found.codes, model, thin) for row in found.rows],
        "ngrams": [gram._asdict() for gram in found.ngrams],
        "tried": found.tried,
        "series": packed_lines(series),
        "chosen": packed(found.shown),
        "labels": packed(found.labels),
    }


def _row(own: RowCodes, codes: Codes, model: Model, thin: int) -> dict[str, Any]:
    row, difference = own.row, own.difference
    return {
        "name": row.name,
        "placed": row.placed,
        "edges": row.edges.tolist(),
        "span": row.span,
        "before": row.before,
        "offset": row.offset,
        "codebook_size": row.codebook_size,
        "used": own.used,
        "shown": packed(row.of(codes, model.tokenizer.layout)),
        **{
            name: packed(getattr(own, name))
            for name in (
                *("codes", "others", "occurrences", "along", "train", "test"),
                *("chi2", "lift", "residuals", "places", "examples"),
            )
        },
        "difference": None if difference is None else packed_lines(difference[..., ::thin]),
    }


def packed(array: NDArray) -> Packed:
    """An array as JSON can hold it: ``type``, ``shape`` and little-endian bytes in base64.

    Whole numbers take the smallest type that holds them, others float32.
    """
    if array.dtype.kind == "f":
        return _bytes(array.astype(np.float32))
    least, most = (array.min(), array.max()) if array.size else (0, 0)
    kinds = (np.iinfo(kind) for kind in _WHOLE)
    return _bytes(array.astype(next(k.dtype for k in kinds if k.min <= least and most <= k.max)))


def packed_lines(array: NDArray) -> Packed:
    """Lines (..., steps) as whole numbers of 16 bits, each with a ``scale`` and a ``shift`` (...).

    A value is scale * number + shift, and the lowest number stands for NaN.
    """
    values = array.astype(np.float64)
    known = ~np.isnan(values)
    some = known.any(-1)
    low = np.where(some, np.where(known, values, np.inf).min(-1), 0)
    high = np.where(some, np.where(known, values, -np.inf).max(-1), 0)
    # As they are stored.
    shift = ((low + high) / 2).astype(np.float32)
    scale = np.where(high > low, (high - low) / 2 / (_LARGEST - 1), 1).astype(np.float32)
    numbers = np.round((np.where(known, values, 0) - shift[..., None]) / scale[..., None])
    numbers = np.where(known, numbers.clip(-_LARGEST, _LARGEST), _NOTHING)
    return {**_bytes(numbers.astype(np.int16)), "scale": packed(scale), "shift": packed(shift)}


def unpacked(stored: Mapping[str, Any]) -> NDArray:
    """The inverse of both, as the page's script has it too."""
    kind = np.dtype(stored["type"]).newbyteorder("<")
    array = np.frombuffer(base64.b64decode(stored["data"]), kind).reshape(stored["shape"])
    if "scale" not in stored:
        return array
    scale, shift = (unpacked(stored[name])[..., None] for name in ("scale", "shift"))
    return np.where(array == _NOTHING, np.nan, array * scale.astype(np.float64) + shift)


def _bytes(array: NDArray) -> Packed:
    ordered = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {
        "type": array.dtype.name,
        "shape": list(array.shape),
        "data": base64.b64encode(ordered.tobytes()).decode("ascii"),
    }
