"""One Parquet file of codes back to one of series."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twincode.bulk.parquet import (
    CODES,
    LENGTH,
    Note,
    Tell,
    batches,
    check_codes_of,
    noted,
    read_note,
    write_parquet,
)
from twincode.data.policy import FloatArray
from twincode.data.windows import join, window_starts
from twincode.errors import TwincodeError
from twincode.model import Model


@dataclass(frozen=True)
class Decode:
    """Codes that ``Encode`` has written become series again, a list column for each channel."""

    def settings(self) -> Note:
        """What decides the series, beside the model and the codes."""
        return {"task": "decode"}

    def convert(self, model: Model, source: Path, target: Path, note: Note, tell: Tell) -> None:
        """Write the series of all codes in ``source`` to ``target``, whole or not at all."""
        made = read_note(source)
        if made is None or made.get("task") != "encode":
            raise TwincodeError(
                f"{source} was not written by twincode encode as one of a folder; codes of one "
                "file become one file"
            )
        check_codes_of(note["model"], made, source)
        write_parquet(target, self._tables(model, source, made, note, tell))

    def _tables(
        self, model: Model, source: Path, made: Note, note: Note, tell: Tell
    ) -> Iterator[pa.Table]:
        names = _channel_names(made["channels"], model.tokenizer.channels)
        for table in batches(source):
            beside = table.drop_columns([CODES, LENGTH])
            if taken := {*names} & {*beside.column_names}:
                raise TwincodeError(f"{source} has a column {min(taken)!r} of its own; rename it")
            series = decode_rows(
                model,
                np.asarray(table[CODES].combine_chunks().flatten()),
                np.asarray(table[LENGTH]),
                made["stride"],
            )
            ends = np.cumsum([0, *(each.shape[1] for each in series)], dtype=np.int64)
            for channel, name in enumerate(names):
                flat = np.concatenate(
                    [np.empty(0, np.float32), *(each[channel] for each in series)]
                )
                lists = pa.LargeListArray.from_arrays(pa.array(ends), pa.array(flat))
                beside = beside.append_column(name, lists)
            yield noted(beside, note)
            tell(len(table))


def decode_rows(
    model: Model, codes: NDArray[np.integer], lengths: NDArray[np.integer], stride: int
) -> list[FloatArray]:
    """Series (C, L_i) of ``lengths``, of the codes of all of them one after another."""
    window, H = model.tokenizer.length, model.tokenizer.grid[0]
    # A stride says that longer series were cut into windows of the model's length.
    parts = [len(window_starts(L, window, stride)) if stride else 1 for L in lengths.tolist()]
    steps = [window if stride else L for L in lengths.tolist()]
    tokens = [H * model.tokenizer.layout_of(L).width * k for L, k in zip(steps, parts, strict=True)]
    if sum(tokens) != len(codes):
        raise TwincodeError(
            f"{len(codes)} codes do not make {len(lengths)} series of these lengths"
        )
    own = np.split(codes, np.cumsum(tokens)[:-1])
    series: list[FloatArray] = [np.empty((0, 0), np.float32)] * len(parts)
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(steps):
        by_length.setdefault(length, []).append(row)
    for length, rows in by_length.items():
        k = sum(parts[row] for row in rows)
        grid = np.concatenate([own[row] for row in rows]).reshape(k, H, -1)
        decoded = np.split(model.decode(grid, length), np.cumsum([parts[row] for row in rows])[:-1])
        for row, windows in zip(rows, decoded, strict=True):
            series[row] = join(windows, int(lengths[row]), stride) if stride else windows[0]
    return series


def _channel_names(names: list[str], channels: int) -> list[str]:
    """Those that the series had, or made-up ones."""
    if len(names) == channels:
        return names
    return ["series"] if channels == 1 else [f"series_{c}" for c in range(channels)]
