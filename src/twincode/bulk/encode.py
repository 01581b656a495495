"""One Parquet file of series to one of codes."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twincode.bulk.parquet import (
    CODES,
    LENGTH,
    ROWS_AT_ONCE,
    Note,
    Tell,
    batches,
    noted,
    write_parquet,
)
from twincode.data import Columns, Policy, apply_policy
from twincode.data.policy import STRICT, FloatArray, SeriesArray, fill_gaps, rows_by_length
from twincode.data.tables import DEFAULT_COLUMNS, LONG, Rows, frame_rows
from twincode.data.windows import cut
from twincode.errors import TwincodeError, check_count, unknown_name
from twincode.model import Model
from twincode.precision import PRECISIONS


@dataclass(frozen=True)
class Encode:
    """How series become codes.

    With a ``stride``, series longer than the model's are cut into windows of its length. Shorter
    ones, and without a stride longer ones too, are for the ``policy``; a model that takes any
    length takes them as they are, unless the policy says otherwise.
    """

    columns: Columns = DEFAULT_COLUMNS
    policy: Policy = STRICT
    stride: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        check_count("stride, 0 for no windows,", self.stride, least=0)
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)

    def settings(self) -> Note:
        """What decides the codes, beside the model and the series."""
        own = {"task": "encode", "stride": self.stride, "precision": self.precision}
        return {**own, **asdict(self.columns), **asdict(self.policy)}

    def convert(self, model: Model, source: Path, target: Path, note: Note, tell: Tell) -> None:
        """Write the codes of all series in ``source`` to ``target``, whole or not at all.

        A series is a row: what stood beside it, its codes as a list, and the steps they stand for.
        """
        if self.stride > model.tokenizer.length:
            raise TwincodeError(
                f"a stride of {self.stride} would leave steps out: this model's windows have "
                f"{model.tokenizer.length}"
            )
        write_parquet(target, self._tables(model, source, note, tell))

    def _tables(self, model: Model, source: Path, note: Note, tell: Tell) -> Iterator[pa.Table]:
        # In the long layout the rows of one series may stand anywhere in their file.
        rows_at_once = None if self.columns.layout == LONG else ROWS_AT_ONCE
        first = 0
        for table in batches(source, rows_at_once):
            where = f"{source} from row {first + 1} on" if first else str(source)
            rows = frame_rows(table, self.columns, where)
            names = [f"{source}, series {first + i}" for i in range(1, len(rows.series) + 1)]
            first += len(rows.series)
            coded = self._coded(model, rows, names, where)
            yield noted(coded, {**note, "channels": rows.channels})
            tell(len(table))

    def _coded(self, model: Model, rows: Rows, names: Sequence[str], where: str) -> pa.Table:
        for name in (CODES, LENGTH):
            if name in rows.beside.column_names:
                raise TwincodeError(f"{where} has a column {name!r} of its own; rename it")
        codes, lengths = self.encode(model, rows.series, names)
        kind = np.min_scalar_type(max(0, model.tokenizer.layout.codebook_size - 1))
        flat = np.concatenate([np.empty(0, kind), *codes]).astype(kind)
        offsets = np.cumsum([0, *map(len, codes)], dtype=np.int64)
        lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(flat))
        table = rows.beside.append_column(CODES, lists)
        return table.append_column(LENGTH, pa.array(lengths, pa.int32()))

    def encode(
        self, model: Model, series: Sequence[SeriesArray], names: Sequence[str]
    ) -> tuple[list[NDArray[np.int64]], list[int]]:
        """The codes of each series (C, L_i), flat, and the number of steps that they stand for.

        The codes of windows come one after another. Raises TwincodeError, with the name of the
        series, for what the policy refuses.
        """
        prepared = self._prepared(model, series, names) if series else []
        window = model.tokenizer.length
        parts = [
            cut(each, window, self.stride) if self.stride and each.shape[1] > window else each[None]
            for each in prepared
        ]
        codes: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(parts)
        for rows in rows_by_length(parts).values():
            coded = model.encode(np.concatenate([parts[row] for row in rows]), self.precision)
            ends = np.cumsum([len(parts[row]) for row in rows])[:-1]
            for row, own in zip(rows, np.split(coded, ends), strict=True):
                codes[row] = own.reshape(-1)
        return codes, [each.shape[1] for each in prepared]

    def _prepared(
        self, model: Model, series: Sequence[SeriesArray], names: Sequence[str]
    ) -> list[FloatArray]:
        """Series (C, L_i) without gaps, of lengths that the model takes or windows can cut."""
        window, whole = model.tokenizer.length, self._takes_whole(model)
        if not whole and not self.stride:
            self._refuse_longer(series, window, names)
            return list(apply_policy(series, self.policy, target_length=window, names=names))
        known = [each.astype(np.float32) for each in fill_gaps(series, self.policy.missing, names)]
        short = [] if whole else [i for i, each in enumerate(known) if each.shape[1] < window]
        if short:
            own, called = [known[i] for i in short], [names[i] for i in short]
            brought = apply_policy(own, self.policy, target_length=window, names=called)
            for i, each in zip(short, brought, strict=True):
                known[i] = each
        return known

    def _takes_whole(self, model: Model) -> bool:
        takes_any = model.tokenizer.takes_any_length
        return takes_any and not self.stride and self.policy.lengths == "error"

    def _refuse_longer(
        self, series: Sequence[SeriesArray], window: int, names: Sequence[str]
    ) -> None:
        if self.policy.lengths != "error":
            return
        for each, name in zip(series, names, strict=True):
            if each.shape[1] > window and not np.isnan(each[:, window:]).all():
                raise TwincodeError(
                    f"{name} has {each.shape[1]} time steps, not {window}; use a "
                    f'stride of {window} for windows, or lengths="resample"'
                )
