"""Rows of the log as rows of ClickHouse's tables. Pure: which table a value belongs to, and where its columns are.

A column is written once, in the table's SQL; here it is found by its name among the fields of the row's type (the
instant ``at`` in ``at_ms``). Only what is called or made otherwise stands in a table's ``fields``. One more row is its
type in ``contracts``, its SQL, and one line of :data:`TABLES`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from contracts.codec import to_json
from contracts.commands import Command, EventRef, Outcome
from contracts.events import Event
from contracts.log import Record
from contracts.reasons import Reason
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
from contracts.tokens import anonymous_id

OFFSETS: Final = 1 << 22
"""Offsets told apart within one millisecond of log time: a partition takes fewer."""
NEVER: Final = (1 << 64) - 1
NOBODY: Final = ("", "")

PersonKey = tuple[str, str]
ColumnSource = str | Callable[[Any], Any]


class TableRow(NamedTuple):
    """One row for one table. ``value`` is what its columns are read from; ``person`` is (workspace, subscriber)."""

    table: str
    value: Any
    version: int
    offset: int
    person: PersonKey


def _itself(row: Any) -> Iterable[Any]:
    return (row,)


class HistoryTable(NamedTuple):
    """The way from rows of one type to rows of one table.

    ``part``: the field of the row that holds the columns, where it is not the row itself. ``fields``: columns that are
    called or made otherwise, each a field's name or a function of the row. ``rows``: the rows that one value makes.
    ``first_stays``: of two rows of one key the earlier one counts.
    """

    name: str
    part: str = ""
    fields: Mapping[str, ColumnSource] = {}
    rows: Callable[[Any], Iterable[Any]] = _itself
    person: Callable[[Any], PersonKey] = lambda row: (row.workspace, row.subscriber)
    first_stays: bool = False
    holds: type | None = None
    """The type of ``part``."""


class RunsEntry(NamedTuple):
    """One count of a :class:`RunsRow`."""

    row: RunsRow
    count: Any


class WithEvidence(NamedTuple):
    """A match or a command with its evidence, in the order in which it occurred: (instant, id, step, action)."""

    row: Any
    evidence: list[tuple[int, str, str, str]]


def version_of(record: Record) -> int:
    """Return a number that grows with the place in the partition, and over a topic made anew: log time, then offset."""
    return (record.log_time_ms * OFFSETS + record.offset % OFFSETS) & NEVER


def rows_of(row: Any, record: Record) -> Sequence[TableRow]:
    """Return the rows of one value of the log: one, or of the runs of a key group one a step."""
    table = TABLES[type(row)]
    version = version_of(record)
    if table.first_stays:
        version = NEVER - version
    person = table.person(row)
    return [TableRow(table.name, each, version, record.offset, person) for each in table.rows(row)]


def instant(ms: int) -> str:
    """Milliseconds as ClickHouse reads an instant in JSON: ten digits of seconds (fewer would be a date)."""
    return f"{ms // 1_000:010}.{ms % 1_000:03}"


class ClickArrival(NamedTuple):
    """The row of a click, or of a verdict on one, once more under a key of its own: the next verdict takes the place of
    the other.
    """

    event: Event
    session: str
    reason: str
    watermark_ms: int


def _event_rows(row: EventRow) -> Sequence[EventRow | ClickArrival]:
    if not (row.event.provisional or row.event.verdict) or row.reason == Reason.DUPLICATE:
        return (row,)
    return (row, ClickArrival(row.event, row.session, row.reason, row.watermark_ms))


def _copy(row: EventRow | ClickArrival) -> int:
    """0, or of a repetition a number of its own, made of where it came from: it must not replace what counts."""
    if row.reason != Reason.DUPLICATE and isinstance(row, EventRow):
        return 0
    verdict = f"/{row.event.verdict}" if row.event.verdict else ""
    place = f"{row.event.partition}/{row.event.offset}{verdict}".encode()
    return int.from_bytes(hashlib.sha256(place).digest()[:8], "big") | 1


def _device(row: EventRow) -> str:
    """A hash of the device's id, the one that its events go under before anybody is known: who reads the history cannot
    act as the device.
    """
    return anonymous_id(row.event.workspace, row.event.device) if row.event.device else ""


def _property(name: str) -> Callable[[EventRow], str]:
    """A property that has a column, as text; another type stands in ``properties`` alone."""

    def read(row: EventRow) -> str:
        value = row.event.properties.get(name)
        return value if isinstance(value, str) else ""

    return read


def _value(row: EventRow) -> float | None:
    value = row.event.properties.get("value")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


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
            "copy": _copy,
            "device": _device,
            "session": lambda row: row.session,
            "reason": lambda row: row.reason,
            "watermark": lambda row: row.watermark_ms or row.event.log_time_ms,
            "order_no": "order",
            "path": _property("path"),
            "campaign": _property("campaign"),
            "sku": _property("sku"),
            "category": _property("category"),
            "value": _value,
            "properties": lambda row: to_json(row.event.properties),
            "logged_at": "log_time_ms",
            "source_partition": "partition",
            "source_offset": "offset",
        },
        rows=_event_rows,
        person=lambda row: (row.event.workspace, row.event.subscriber),
        holds=Event,
    ),
    SessionRow: HistoryTable("session_rows"),
    MatchRow: HistoryTable(
        "match_rows", "row", _EVIDENCE, lambda row: _with_evidence(row, row.evidence), holds=MatchRow
    ),
    CommandRow: HistoryTable(
        "command_rows",
        "row",
        _EVIDENCE,
        lambda row: _with_evidence(row.command, row.command.evidence),
        lambda row: (row.command.workspace, row.command.subscriber),
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
