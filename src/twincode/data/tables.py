"""Tables as people have them: one series a row or one time step a row, with ids and labels."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from twincode.data.classes import plain_label, plain_labels
from twincode.data.policy import SeriesArray
from twincode.errors import TwincodeError, unknown_name

if TYPE_CHECKING:
    import pyarrow as pa

WIDE, LONG = "wide", "long"
LAYOUTS = (WIDE, LONG)
ID_NAMES = ("id",)
LABEL_NAMES = ("label", "class")
TIME_NAMES = ("time", "timestamp")
# Where pandas writes an index that has no name.
_INDEX = "__index_level_"
_STEP = re.compile(r"c(\d+)_t\d+")


class Frame(Protocol):
    """A table that Arrow can read: of pandas, polars, Arrow itself and others."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow PyCapsule interface."""
        ...


@dataclass(frozen=True)
class Columns:
    """What the columns of a table hold.

    ``layout`` is ``wide`` for one series a row: all other columns are its time steps in order, of
    several channels if they are named ``c0_t0``, ``c0_t1``, ..., ``c1_t0``, ..., or each is of
    lists, and a channel. It is ``long`` for one time step a row: rows of one id are a series, in
    order of time, and each other column is a channel. Times give the order alone: steps count as
    evenly spaced. What is no id, label or time must hold numbers.

    An empty name stands for a column that is called ``id``, ``label`` or ``class``, ``time`` or
    ``timestamp``, in any case, if there is one. Raises TwincodeError for an unknown layout, and for
    a time column in the wide one.
    """

    layout: str = WIDE
    id_column: str = ""
    label_column: str = ""
    time_column: str = ""

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise unknown_name("layout", self.layout, LAYOUTS)
        if self.time_column and self.layout == WIDE:
            raise TwincodeError('a time column orders rows of one series: use layout="long" too')

    def find(self, names: Sequence[str], where: str, steps: bool = True) -> "Found":
        """Which of the columns of these names is which; ``steps`` may be among them, or none."""
        id_ = _find("id", names, self.id_column, ID_NAMES, where)
        label = _find("label", names, self.label_column, LABEL_NAMES, where)
        time = _find("time", names, self.time_column, TIME_NAMES, where)
        if not steps:
            time = None
        if time is not None and self.layout == WIDE:
            raise TwincodeError(
                f"{where} has a column {time!r}: if it holds one time step a row, use "
                'layout="long"; else remove it'
            )
        named = [name for name in (id_, label, time) if name is not None]
        if len(set(named)) < len(named):
            raise TwincodeError(f"{where}: one column cannot be id, label and time at once")
        return Found(id_, label, time)

    def remedy(self, name: str) -> str:
        """What to say of a column that holds no numbers."""
        hints = [] if self.id_column else [f'if it names the series, use id_column="{name}"']
        hints += [] if self.label_column else [f'if their classes, label_column="{name}"']
        hints += [] if self.layout == LONG else ['for one time step a row, layout="long"']
        return "; ".join([*hints, "else remove it"])


DEFAULT_COLUMNS = Columns()


class Found(NamedTuple):
    """The names of columns that are no series, None where there is none."""

    id: str | None
    label: str | None
    time: str | None


class Rows(NamedTuple):
    """Series (C, L_i), and a table of one row each that holds what else is known of them.

    ``label`` names the column of labels, ``id`` that whose rows of one value are a series, and
    ``channels`` those that held the series where each is one channel.
    """

    series: list[SeriesArray]
    beside: "pa.Table"
    label: str | None
    channels: tuple[str, ...] = ()
    id: str | None = None

    def labels(self, where: str) -> list[str] | None:
        """Plain labels, if there are any; raises TwincodeError where one is missing."""
        if self.label is None:
            return None
        labels = self.beside[self.label].to_pylist()
        if self.id is None:
            return plain_labels(labels, where)
        ids = self.beside[self.id]
        return plain_labels(labels, where, lambda i: f"series {ids[i].as_py()!r}")


def step_columns(C: int, L: int) -> list[str]:
    """Names of columns of time steps, one channel after another: ``t0``, of several ``c1_t0``."""
    return [f"c{c}_t{t}" if C > 1 else f"t{t}" for c in range(C) for t in range(L)]


def count_channels(names: Sequence[str], where: str) -> int:
    """How many channels have their time steps in columns of these names, one by default.

    Raises TwincodeError for columns of several that are not as ``step_columns`` has them.
    """
    C = len({found[1] for name in names if (found := _STEP.fullmatch(name))})
    if C < 2:
        return 1
    if [*names] != step_columns(C, len(names) // C):
        raise TwincodeError(
            f"{where}: columns c0_t0, c0_t1, ... of several channels must be complete, one channel "
            "after another"
        )
    return C


def frame_rows(frame: Frame, columns: Columns, where: str, first_row: int = 1) -> Rows:
    """The series in a frame; ``where`` names it in errors, and its rows count from ``first_row``.

    Raises TwincodeError for a column that is named and not there, one that holds neither numbers
    nor anything known, rows without id or series, and times that do not order a series.
    """
    import pyarrow as pa

    try:
        table = pa.table(frame)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise TwincodeError(f"{where} cannot be read as a table by Arrow: {error}") from error
    names = [name for name in table.column_names if not name.startswith(_INDEX)]
    if len(set(names)) < len(names):
        raise TwincodeError(f"{where} has two columns of one name; rename one")
    index = _named_index(table)
    table = _decoded(table.select(names))
    table = table.cast(pa.schema([_plain(each) for each in table.schema]))
    lists = tuple(each.name for each in table.schema if _is_list(each.type))
    if lists and columns.layout == WIDE:
        return _rows_of_lists(table, lists, columns, where)
    found = columns.find(table.column_names, where)
    if columns.layout == WIDE:
        return _wide_rows(table, columns, found, index, where)
    return _long_rows(table, columns, found, where, first_row)


def _find(
    kind: str, names: Sequence[str], given: str, usual: Sequence[str], where: str
) -> str | None:
    if given:
        if given not in names:
            raise unknown_name("column", given, names, f"({where} has {_listed(names)})")
        return given
    alike = [name for name in names if name.strip().lower() in usual]
    if len(alike) > 1:
        raise TwincodeError(f"{where} has {len(alike)} {kind} columns; keep one")
    return alike[0] if alike else None


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _rows_of_lists(table: "pa.Table", lists: tuple[str, ...], columns: Columns, where: str) -> Rows:
    """What stands beside lists cannot be a step: it is something known of the series."""
    beside = table.drop_columns(list(lists))
    found = columns.find(beside.column_names, where, steps=False)
    series = _list_series(table, lists, where) if len(table) else []
    return Rows(series, beside, found.label, lists)


def _wide_rows(
    table: "pa.Table", columns: Columns, found: Found, index: frozenset[str], where: str
) -> Rows:
    rest = [name for name in table.column_names if name not in found and name not in index]
    beside = table.drop_columns(rest)
    if not len(table):
        return Rows([], beside, found.label)
    if not rest:
        raise TwincodeError(f"{where} has no column of values")
    for name in rest:
        _check_numbers(table, name, columns, where)
    steps = [_floats(table[name]) for name in rest]
    values = np.stack(steps, axis=1)
    channels = count_channels(rest, where)
    return Rows(list(values.reshape(len(table), channels, -1)), beside, found.label)


def _list_series(table: "pa.Table", names: Sequence[str], where: str) -> list[SeriesArray]:
    channels = [_split_lists(table, name, where) for name in names]
    if len(channels) == 1:
        return [values[None] for values in channels[0]]
    series = []
    for row, parts in enumerate(zip(*channels, strict=True), 1):
        if len({len(part) for part in parts}) > 1:
            raise TwincodeError(
                f"{where}, row {row}: its channels have {', '.join(str(len(p)) for p in parts)} "
                "steps; every channel of a series needs the same"
            )
        series.append(np.stack(parts))
    return series


def _split_lists(table: "pa.Table", name: str, where: str) -> list[NDArray[np.float64]]:
    """The lists of a column as arrays (L_i,), NaN where a value is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not _is_number(table.schema.field(name).type.value_type):
        raise TwincodeError(
            f"{where}: column {name!r} holds lists of something other than numbers; remove it"
        )
    column = table[name].cast(pa.large_list(pa.float64()), safe=False).combine_chunks()
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    if (lengths == 0).any():
        row = int(np.argmin(lengths)) + 1
        raise TwincodeError(f"{where}, row {row} has no values in column {name!r}; remove the row")
    values = column.flatten().to_numpy(zero_copy_only=False)
    return np.split(values, np.cumsum(lengths)[:-1])


def _long_rows(
    table: "pa.Table", columns: Columns, found: Found, where: str, first_row: int
) -> Rows:
    import pyarrow as pa

    if found.id is None:
        raise TwincodeError(
            f'{where}: which column tells series apart? use id_column="NAME", one of '
            f"{_listed(table.column_names)}"
        )
    if not len(table):
        return Rows([], table.select([found.id]), found.label)
    channels = tuple(name for name in table.column_names if name not in found)
    if not channels:
        raise TwincodeError(f"{where} has no column of values beside {found.id!r}")
    for name in channels:
        _check_numbers(table, name, columns, where)
    if pa.types.is_nested(table[found.id].type):
        raise TwincodeError(f"{where}: column {found.id!r} holds lists, which name no series")
    ids = table[found.id].combine_chunks().dictionary_encode()
    if ids.null_count:
        row = first_row + int(np.argmax(ids.is_null().to_numpy(zero_copy_only=False)))
        raise TwincodeError(f"{where}, row {row} has no id in column {found.id!r}; add it")
    which = ids.indices.to_numpy()  # counted in the order in which ids appear
    times = np.arange(len(table)) if found.time is None else _times(table, found.time, where)
    order = np.lexsort((times, which))
    which, times = which[order], times[order]
    starts = np.flatnonzero(np.diff(which, prepend=-1))
    same = (np.diff(which) == 0) & (np.diff(times) == 0)
    if same.any():
        twice = order[int(np.argmax(same)) + 1]
        raise TwincodeError(
            f"{where}: series {table[found.id][twice].as_py()!r} has time "
            f"{str(table[found.time][twice].as_py())!r} twice; keep one row of them"
        )
    values = np.stack([_floats(table[name])[order] for name in channels])
    series = np.split(values, starts[1:], axis=1)
    beside = pa.table({found.id: ids.dictionary})
    if found.label is not None:
        labels = table[found.label].take(order)
        _check_constant(labels, which, starts, found.label, beside[found.id], where)
        beside = beside.append_column(found.label, labels.take(starts))
    return Rows(series, beside, found.label, channels, found.id)


def _floats(column: "pa.ChunkedArray") -> NDArray[np.float64]:
    """Numbers as Python's: whole ones beyond 2^53 are rounded, as in a text."""
    import pyarrow as pa

    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy())


def _named_index(table: "pa.Table") -> frozenset[str]:
    """The columns that were a pandas index, which is no time step."""
    stored = (table.schema.pandas_metadata or {}).get("index_columns", [])
    return frozenset(name for name in stored if isinstance(name, str))


def _decoded(table: "pa.Table") -> "pa.Table":
    """The same with no text views in dictionaries, as polars keeps them and Arrow cannot cast."""
    import pyarrow as pa

    for place, (name, kind) in enumerate(zip(table.column_names, table.schema.types, strict=True)):
        if pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type):
            plain = [
                pa.DictionaryArray.from_arrays(part.indices, part.dictionary.cast(pa.string()))
                for part in table[name].chunks
            ]
            text = pa.chunked_array([part.dictionary_decode() for part in plain], pa.string())
            table = table.set_column(place, name, text)
    return table


def _plain(field: "pa.Field") -> "pa.Field":
    """A column with neither the dictionaries nor the views in which some libraries keep text."""
    import pyarrow as pa

    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return pa.field(field.name, pa.string() if pa.types.is_string_view(kind) else kind)


def _times(table: "pa.Table", name: str, where: str) -> NDArray[Any]:
    """A column of numbers or time stamps as numbers that have their order."""
    import pyarrow as pa

    column = table[name]
    missing = column.null_count
    if pa.types.is_floating(column.type):
        missing = int(np.isnan(_floats(column)).sum())  # which Arrow tells from null
    if missing:
        raise TwincodeError(
            f"{where}: column {name!r} lacks {missing} of {len(column)} values; add them"
        )
    if not _is_number(column.type) and not pa.types.is_temporal(column.type):
        column = _parsed_times(column, name, where)
    if pa.types.is_temporal(column.type):
        counted = pa.int32() if column.type.bit_width == 32 else pa.int64()
        return np.asarray(column.cast(counted).to_numpy())
    return np.asarray(column.to_numpy()) if pa.types.is_integer(column.type) else _floats(column)


def _parsed_times(column: "pa.ChunkedArray", name: str, where: str) -> "pa.ChunkedArray":
    """Text as numbers or time stamps; TwincodeError where it is neither throughout."""
    import pyarrow as pa

    found = _cast_times(column)
    if found is not None:
        return found
    values = column.to_pylist()
    texts = (value for value in values if _cast_times(pa.scalar(str(value))) is None)
    raise TwincodeError(
        f"{where}: column {name!r} holds {next(texts, values[0])!r}, which is no time; write "
        "numbers or times such as 2024-01-31 12:00:00, all in one way"
    )


def _cast_times(text: Any) -> Any:
    """A column of text, or one, as numbers or time stamps; None where it is neither."""
    import pyarrow as pa

    for kind in (pa.float64(), pa.timestamp("us")):
        with suppress(pa.ArrowException):
            return text.cast(kind)
    return None


def _check_constant(
    labels: "pa.ChunkedArray",
    which: NDArray[Any],
    starts: NDArray[Any],
    name: str,
    ids: "pa.ChunkedArray",
    where: str,
) -> None:
    """Raise TwincodeError where the rows of one series, sorted by series, differ in their label."""
    told = labels.combine_chunks().dictionary_encode(null_encoding="encode")
    plain = [
        None if each is None else plain_label(str(each)) for each in told.dictionary.to_pylist()
    ]
    place = {label: i for i, label in enumerate(plain)}
    codes = np.array([place[label] for label in plain])[told.indices.to_numpy()]
    differs = codes != codes[starts][which]
    if differs.any():
        series = ids[int(which[np.argmax(differs)])].as_py()
        raise TwincodeError(f"{where}: series {series!r} has several labels in column {name!r}")


def _check_numbers(table: "pa.Table", name: str, columns: Columns, where: str) -> None:
    if not _is_number(table.schema.field(name).type):
        raise TwincodeError(f"{where}: column {name!r} holds no numbers; {columns.remedy(name)}")


def _is_number(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    # Nulls alone, of no type, are missing numbers.
    numeric = (
        pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal,
        pa.types.is_null,
    )  # fmt: skip
    return any(is_kind(kind) for is_kind in numeric)


def _is_list(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(kind) for is_kind in lists)
