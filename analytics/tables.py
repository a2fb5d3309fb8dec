"""Rows of the log as rows of ClickHouse's tables. Pure: which table a value belongs to, and where its columns are.

A column is written once, in the table's SQL; here it is found by its name among the fields of the row's type (the
instant ``at`` in ``at_ms``). Only what is called or made otherwise stands in a table's ``fields``. One more row is its
type in ``contracts``, its SQL, and one line of :data:`TABLES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, Final, NamedTuple

from analytics.event_rows import PROPERTY_COLUMNS, LoadedEventRow, click_arrivals, copies, devices, property_columns
from contracts.codec import Packed
from contracts.commands import Command, EventRef, Outcome
from contracts.events import Event
from contracts.log import Record
from contracts.rows import (
    AuditRow,
    CommandRow,
    DeadLetter,
    EventRow,
    MatchRow,
    MembershipRow,
    RunCount,
    RunsRow,
    SessionRow,
)

OFFSETS: Final = 1 << 22
"""Offsets told apart within one millisecond of log time: a partition takes fewer."""
NEVER: Final = (1 << 64) - 1
NOBODY: Final = ("", "")

PersonKey = tuple[str, str]
ColumnSource = str | Callable[[Any], Any]


class HistoryTable(NamedTuple):
    """The way from rows of one type to rows of one table.

    ``part``: the field of the row that holds the columns, where it is not the row itself. ``fields``: columns that are
    called or made otherwise, each a field's name or a function of the row. ``together``: columns that are made of all
    rows at once. ``rows``: the rows that one value makes, where it is not one itself; ``beside``: what it makes beside
    itself. ``first_stays``: of two rows of one key the earlier one counts.
    """

    name: str
    part: str = ""
    fields: Mapping[str, ColumnSource] = {}
    together: Mapping[tuple[str, ...], Callable[[Sequence[Any]], Sequence[Sequence[Any]]]] = {}
    rows: Callable[[Any], Sequence[Any]] | None = None
    beside: Callable[[Any], Sequence[Any]] | None = None
    person: Callable[[Any], PersonKey] = lambda row: (row.workspace, row.subscriber)
    first_stays: bool = False
    holds: type | None = None
    """The type of ``part``."""


class TableRow(Packed, frozen=True):
    """One row for one table: what its columns are read from, and the record that it came in."""

    source: HistoryTable
    value: Any
    record: Record

    @property
    def table(self) -> str:
        """The table's name."""
        return self.source.name

    @property
    def person(self) -> PersonKey:
        """Whose it is: (workspace, subscriber)."""
        return self.source.person(self.value)

    @property
    def version(self) -> int:
        """Of two rows of one key the one with the greater number stays."""
        (found,) = versions(self.source, (self.record,))
        return found


class RunsEntry(NamedTuple):
    """One count of a :class:`RunsRow`."""

    row: RunsRow
    count: Any


class WithEvidence(NamedTuple):
    """A match or a command with its evidence, in the order in which it occurred: (instant, id, step, action)."""

    row: Any
    evidence: list[tuple[int, str, str, str]]


def versions(table: HistoryTable, records: Sequence[Record]) -> list[int]:
    """Return of each record a number that grows with its place in the partition, and over a topic made anew: log time,
    then offset. Where the first row stays it falls.
    """
    found = [(record.log_time_ms * OFFSETS + record.offset % OFFSETS) & NEVER for record in records]
    return [NEVER - version for version in found] if table.first_stays else found


def rows_of(row: Any, record: Record) -> Sequence[TableRow]:
    """Return the rows of one value of the log: one, or of the runs of a key group one a step."""
    return rows_of_all(type(row), [row], [record])


def rows_of_all(kind: type, rows: Sequence[Any], records: Sequence[Record]) -> list[TableRow]:
    """Return the rows of values of one type, each with the record that it came in; those beside them stand last."""
    table = TABLES[EventRow if kind is LoadedEventRow else kind]
    if table.rows is not None:
        return [TableRow(table, each, at) for row, at in zip(rows, records, strict=True) for each in table.rows(row)]
    found = list(map(TableRow, repeat(table), rows, records))
    if table.beside is not None:
        beside = table.beside
        found += [TableRow(table, each, at) for row, at in zip(rows, records, strict=True) for each in beside(row)]
    return found


def instant(ms: int) -> str:
    """Milliseconds as ClickHouse reads an instant in JSON: ten digits of seconds (fewer would be a date)."""
    return f"{ms // 1_000:010}.{ms % 1_000:03}"


def _with_evidence(part: Any, evidence: Mapping[str, tuple[EventRef, ...]]) -> tuple[WithEvidence]:
    found = [(ref.occurred_at_ms, ref.event_id, step, ref.action) for step, refs in evidence.items() for ref in refs]
    return (WithEvidence(part, sorted(found)),)


def _person_of(key: bytes) -> PersonKey:
    workspace, slash, subscriber = key.decode("utf-8", "replace").partition("/")
    return (workspace, subscriber) if slash else NOBODY


_EVIDENCE: Final[Mapping[str, ColumnSource]] = {
    "listener_version": lambda pair: pair.row.version,
    "evidence_step": lambda pair: [step for _, _, step, _ in pair.evidence],
    "evidence_event_id": lambda pair: [event_id for _, event_id, _, _ in pair.evidence],
    "evidence_action": lambda pair: [action for _, _, _, action in pair.evidence],
    "evidence_at": lambda pair: [at for at, _, _, _ in pair.evidence],
    "logged_at": lambda pair: pair.row.log_time_ms,
}
TABLES: Final[Mapping[type, HistoryTable]] = {
    EventRow: HistoryTable(
        "event_rows",
        part="event",
        fields={
            "session": attrgetter("session"),
            "reason": attrgetter("reason"),
            "watermark": lambda row: row.watermark_ms or row.event.log_time_ms,
            "order_no": "order",
            "logged_at": "log_time_ms",
            "source_partition": "partition",
            "source_offset": "offset",
        },
        together={
            ("copy",): copies,
            ("device",): devices,
            (*PROPERTY_COLUMNS, "properties"): property_columns,
        },
        beside=click_arrivals,
        person=lambda row: (row.event.workspace, row.event.subscriber),
        holds=Event,
    ),
    SessionRow: HistoryTable("session_rows"),
    MatchRow: HistoryTable(
        "match_rows",
        "row",
        _EVIDENCE,
        rows=lambda row: _with_evidence(row, row.evidence),
        person=lambda pair: (pair.row.workspace, pair.row.subscriber),
        holds=MatchRow,
    ),
    CommandRow: HistoryTable(
        "command_rows",
        "row",
        _EVIDENCE,
        rows=lambda row: _with_evidence(row.command, row.command.evidence),
        person=lambda pair: (pair.row.workspace, pair.row.subscriber),
        holds=Command,
    ),
    # NOTE: the first outcome of a command is the one that was carried out.
    Outcome: HistoryTable("outcome_rows", first_stays=True),
    MembershipRow: HistoryTable("membership_rows", fields={"list": "list_name"}),
    RunsRow: HistoryTable(
        "run_rows",
        part="count",
        fields={
            "workspace": lambda entry: entry.row.workspace,
            "listener_version": "version",
            "waits_for": "name",
            "log_partition": lambda entry: entry.row.partition,
            "key_group": lambda entry: entry.row.group,
            "at": lambda entry: entry.row.at_ms,
        },
        rows=lambda row: [RunsEntry(row, each) for each in row.counts],
        person=lambda _: NOBODY,
        holds=RunCount,
    ),
    AuditRow: HistoryTable("audit_rows", person=lambda _: NOBODY),
    DeadLetter: HistoryTable(
        "dead_letter_rows",
        fields={
            "key": lambda row: row.key.decode("utf-8", "backslashreplace"),
            "sample": lambda row: row.value.decode("utf-8", "backslashreplace"),
        },
        person=lambda row: _person_of(row.key),
    ),
}
"""The table of each type of row. ``version``, ``log_offset`` and ``letter_offset`` come from the record."""
DEAD_LETTERS: Final = TABLES[DeadLetter].name
OF_A_PERSON: Final = tuple(TABLES[kind].name for kind in TABLES if kind not in {RunsRow, AuditRow, DeadLetter})
"""The tables of what people did and what came of it. The trail of the console's users is not: it tells what users did,
and outlives whom they looked up, whose opaque id it holds."""
