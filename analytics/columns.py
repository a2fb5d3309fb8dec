"""Rows as columns (Arrow), for one insert: many times as fast as a JSON object a row, on both sides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import pyarrow
import pyarrow.compute

from analytics.clickhouse import ClickHouse
from analytics.tables import TABLES, HistoryTable, TableRow, versions
from contracts.errors import BadRecord, SegmaError

FIRST_MS: Final = -2_208_988_800_000
LAST_MS: Final = 10_413_791_999_999
"""The instants that ``DateTime64`` holds: 1900 to 2299."""

_SCALARS: Final[Mapping[str, Any]] = {
    "String": pyarrow.binary(),
    "Bool": pyarrow.bool_(),
    "Float64": pyarrow.float64(),
    **{f"Int{bits}": getattr(pyarrow, f"int{bits}")() for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": getattr(pyarrow, f"uint{bits}")() for bits in (8, 16, 32, 64)},
}
_INSTANT: Final = pyarrow.timestamp("ms", "UTC")
_OFFSETS: Final = frozenset({"log_offset", "letter_offset"})
"""Columns of the offset of the record that a row came in."""
_WRAPPED = re.compile(r"(LowCardinality|Nullable|Array)\((.*)\)")


class UnwritableRow(SegmaError):
    """A row holds what its table's columns cannot."""


class _Column(NamedTuple):
    name: str
    kind: Any
    nullable: bool


Values = Sequence[Any]


class _Source(NamedTuple):
    """The way to the values of some columns, of all rows at once: of the rows, of what they hold, or of the records."""

    names: tuple[str, ...]
    of: str
    read: Callable[[Values], Sequence[Values]]


class _Plan(NamedTuple):
    """How a table's rows become columns."""

    table: HistoryTable
    columns: list[_Column]
    sources: list[_Source]


class Inserts:
    """Inserts of one client. The columns of each table are what the database says they are, asked once."""

    def __init__(self, clickhouse: ClickHouse, tables: Mapping[type, HistoryTable] = TABLES) -> None:
        self._clickhouse = clickhouse
        self._types = {table.name: (kind, table) for kind, table in tables.items()}
        self._plans: dict[str, _Plan] = {}

    def insert(self, rows: Sequence[TableRow], token: str = "") -> None:
        """Insert rows of one table.

        Raises :class:`UnwritableRow` or :class:`BadRecord` where one of them cannot be written, else as the client.
        """
        plan = self._plan_of(rows[0].table)
        data = _stream(plan, rows)
        self._clickhouse.insert_arrow(plan.table.name, [column.name for column in plan.columns], data, token)

    def columns_of(self, name: str) -> list[str]:
        """Return the names of the columns of a table that are written."""
        return [column.name for column in self._plan_of(name).columns]

    def _plan_of(self, name: str) -> _Plan:
        if name not in self._plans:
            described = self._clickhouse.columns(name)
            kind, table = self._types[name]
            sources = list(_sources(described, kind, table))
            found = {each for source in sources for each in source.names}
            columns = [_Column(each, _arrow(told), told.startswith("Nullable(")) for each, told in described.items()]
            self._plans[name] = _Plan(table, [column for column in columns if column.name in found], sources)
        return self._plans[name]


def _sources(names: Iterable[str], kind: type, table: HistoryTable) -> Iterator[_Source]:
    """Yield where columns come from. A column that the row's type has not comes from nowhere."""
    left = list(names)
    for together, read in table.together.items():
        yield _Source(together, "values", read)
        left = [name for name in left if name not in together]
    fields: dict[str, str] = {}
    for name in left:
        field = table.fields.get(name)
        if callable(field):
            yield _Source((name,), "values", _mapped(field))
        elif found := field or _field(name, kind, table):
            fields[name] = found
        elif name == "version":
            yield _Source((name,), "records", lambda records: (versions(table, records),))
        elif name in _OFFSETS:
            yield _Source((name,), "records", _mapped(attrgetter("offset")))
    if fields:
        yield _Source(tuple(fields), "parts", _attributes(tuple(fields.values())))


def _mapped(read: Callable[[Any], Any]) -> Callable[[Values], Sequence[Values]]:
    return lambda values: (list(map(read, values)),)


def _attributes(names: tuple[str, ...]) -> Callable[[Values], Sequence[Values]]:
    # PERF: in turn by field, not by row: no code of ours runs for each row, and no tuple is made of it.
    reads = [attrgetter(name) for name in names]
    return lambda parts: [list(map(read, parts)) for read in reads]


def _field(name: str, kind: type, table: HistoryTable) -> str | None:
    return next((each for each in (name, f"{name}_ms") if each in fields_of(kind, table)), None)


def fields_of(kind: type, table: HistoryTable) -> frozenset[str]:
    """Return the names of the fields among which a table's columns are found."""
    return frozenset(getattr(table.holds or kind, "__struct_fields__", ()))


def _stream(plan: _Plan, rows: Sequence[TableRow]) -> bytes:
    try:
        found = _values(plan, rows)
        arrays = [_array(column, found[column.name]) for column in plan.columns]
    except BadRecord:
        raise
    except Exception as error:
        # NOTE: whatever a row holds: it is that row's trouble, and nobody else's.
        raise UnwritableRow(f"{type(error).__name__}: {error}"[:300]) from None
    batch = pyarrow.record_batch(arrays, names=[column.name for column in plan.columns])
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _values(plan: _Plan, rows: Sequence[TableRow]) -> dict[str, Values]:
    values = [row.value for row in rows]
    part = plan.table.part
    given = {
        "values": values,
        "parts": list(map(attrgetter(part), values)) if part else values,
        "records": [row.record for row in rows],
    }
    return {
        name: column
        for source in plan.sources
        for name, column in zip(source.names, source.read(given[source.of]), strict=True)
    }


def _array(column: _Column, values: Values) -> Any:
    kind = column.kind
    if kind == _INSTANT:
        return _instants([value or None for value in values] if column.nullable else values)
    if pyarrow.types.is_list(kind) and kind.value_type == _INSTANT:
        offsets = pyarrow.array([0, *_sums(values)], pyarrow.int32())
        return pyarrow.ListArray.from_arrays(offsets, _instants([each for value in values for each in value]))
    return pyarrow.array(values, kind)


def _instants(values: Sequence[int | None]) -> Any:
    numbers = pyarrow.array(values, pyarrow.int64())
    ends = pyarrow.compute.min_max(numbers)
    if ends["min"].is_valid and not FIRST_MS <= ends["min"].as_py() <= ends["max"].as_py() <= LAST_MS:
        raise OverflowError("an instant before 1900 or after 2299")
    return numbers.cast(_INSTANT)


def _sums(values: Sequence[Sequence[Any]]) -> Iterator[int]:
    total = 0
    for value in values:
        total += len(value)
        yield total


def _arrow(told: str) -> Any:
    """Arrow's type for ClickHouse's."""
    if wrapped := _WRAPPED.fullmatch(told):
        inner = _arrow(wrapped[2])
        return pyarrow.list_(inner) if wrapped[1] == "Array" else inner
    return _INSTANT if told.startswith("DateTime64(3") else _SCALARS[told]
