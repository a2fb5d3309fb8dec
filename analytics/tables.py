"""Rows of the log as rows of ClickHouse's tables. Pure: a contract's value and its place in, one JSON object out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from contracts.codec import to_json
from contracts.commands import EventRef, Outcome
from contracts.log import Record
from contracts.reasons import Reason
from contracts.rows import CommandRow, DeadLetter, EventRow, MatchRow, MembershipRow, Row, RunsRow, SessionRow

EVENTS: Final = "event_rows"
SESSIONS: Final = "session_rows"
MATCHES: Final = "match_rows"
COMMANDS: Final = "command_rows"
OUTCOMES: Final = "outcome_rows"
MEMBERSHIPS: Final = "membership_rows"
RUNS: Final = "run_rows"
DEAD_LETTERS: Final = "dead_letter_rows"
OF_A_PERSON: Final = (EVENTS, SESSIONS, MATCHES, COMMANDS, OUTCOMES, MEMBERSHIPS)
"""The tables with a subscriber."""
TABLES: Final = (*OF_A_PERSON, RUNS, DEAD_LETTERS)

OFFSETS: Final = 1 << 22
"""Offsets told apart within one millisecond of log time: a partition takes fewer."""
NEVER: Final = (1 << 64) - 1
NOBODY: Final = ("", "")


class Line(NamedTuple):
    """One row for one table. ``person`` is (workspace, subscriber), empty texts where there is none."""

    table: str
    data: bytes
    person: tuple[str, str]


def version_of(record: Record) -> int:
    """Grows with the place in the partition, and over a topic made anew: log time first, then the offset."""
    return (record.log_time_ms * OFFSETS + record.offset % OFFSETS) & NEVER


def lines_of(row: Row | Outcome | DeadLetter, record: Record) -> Sequence[Line]:
    """The lines of one row of the log: one, or of the runs of a key group one a step."""
    version = version_of(record)
    return _runs(row, version) if isinstance(row, RunsRow) else (_line_of(row, record, version),)


def _runs(row: RunsRow, version: int) -> list[Line]:
    told = {"at": instant(row.at_ms), "log_partition": row.partition, "key_group": row.group}
    return [
        _line(
            RUNS,
            row.workspace,
            None,
            {
                **told,
                "listener": each.listener,
                "listener_version": each.version,
                "element": each.element,
                "elements": each.elements,
                "step": each.step,
                "waits_for": each.name,
                "runs": each.runs,
                "subscribers": each.subscribers,
            },
            version,
        )
        for each in row.counts
    ]


Single = EventRow | SessionRow | MatchRow | CommandRow | MembershipRow | Outcome | DeadLetter


def _line_of(row: Single, record: Record, version: int) -> Line:  # noqa: PLR0911
    match row:
        case EventRow():
            return _line(EVENTS, row.event.workspace, row.event.subscriber, _event(row), version)
        case SessionRow():
            return _line(SESSIONS, row.workspace, row.subscriber, _session(row), version)
        case MatchRow():
            return _line(MATCHES, row.workspace, row.subscriber, _match(row), version)
        case CommandRow(command=command):
            return _line(COMMANDS, command.workspace, command.subscriber, _command(row), version)
        case MembershipRow():
            fields = {"account": row.account, "list": row.list_name, "at": instant(row.at_ms), "member": row.member}
            return _line(MEMBERSHIPS, row.workspace, row.subscriber, fields, version)
        case Outcome():
            fields = {**_outcome(row), "log_offset": record.offset}
            # NOTE: the first outcome of a command is the one that was carried out, so earlier is greater.
            return _line(OUTCOMES, row.workspace, row.subscriber, fields, NEVER - version)
        case DeadLetter():
            fields = {**_letter(row), "letter_offset": record.offset}
            data = to_json({"workspace": row.workspace, **fields, "version": version})
            return Line(DEAD_LETTERS, data, _person_of(row.key))


def instant(ms: int) -> str:
    """Milliseconds as ClickHouse reads an instant in JSON: ten digits of seconds (fewer would be a date)."""
    return f"{ms // 1_000:010}.{ms % 1_000:03}"


def _line(table: str, workspace: str, subscriber: str | None, fields: Mapping[str, Any], version: int) -> Line:
    whose = {} if subscriber is None else {"subscriber": subscriber}
    data = to_json({"workspace": workspace, **whose, **fields, "version": version})
    return Line(table, data, (workspace, subscriber) if subscriber is not None else NOBODY)


def _event(row: EventRow) -> dict[str, Any]:
    event = row.event
    properties = event.properties
    return {
        "event_id": event.event_id,
        "copy": _copy(row),
        "action": event.action,
        "occurred_at": instant(event.occurred_at_ms),
        "order_no": event.order,
        "session": row.session,
        "reason": row.reason,
        "trust": str(event.trust),
        "stitched": event.stitched,
        "provisional": event.provisional,
        "verdict": event.verdict,
        "new_device": event.new_device,
        "site": event.site,
        "device": event.device,
        "path": _text(properties.get("path")),
        "campaign": _text(properties.get("campaign")),
        "sku": _text(properties.get("sku")),
        "category": _text(properties.get("category")),
        "value": _number(properties.get("value")),
        "properties": to_json(properties).decode(),
        "received_at": instant(event.received_at_ms),
        "logged_at": instant(event.log_time_ms),
        "source_partition": event.partition,
        "source_offset": event.offset,
    }


def _copy(row: EventRow) -> int:
    """0, or of a repetition a number of its own, made of where it came from: it must not replace what counts."""
    if row.reason != Reason.DUPLICATE:
        return 0
    place = f"{row.event.partition}/{row.event.offset}".encode()
    return int.from_bytes(hashlib.sha256(place).digest()[:8], "big") | 1


def _text(value: object) -> str:
    """A property that has a column, as text; another type stands in ``properties`` alone."""
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _session(row: SessionRow) -> dict[str, Any]:
    return {
        "session": row.session,
        "started_at": instant(row.started_at_ms),
        "ended_at": instant(row.ended_at_ms),
        "events": row.events,
        "landing_path": row.landing_path,
        "campaign": row.campaign,
        "joined": row.joined,
    }


def _match(row: MatchRow) -> dict[str, Any]:
    return {
        "listener": row.listener,
        "listener_version": row.version,
        "match_id": row.match_id,
        "kind": row.kind,
        "matched_at": instant(row.matched_at_ms),
        "replaces": row.replaces,
        "reason": row.reason,
        **_evidence(row.evidence),
        "logged_at": instant(row.log_time_ms),
    }


def _command(row: CommandRow) -> dict[str, Any]:
    command = row.command
    return {
        "command_id": command.command_id,
        "account": command.account,
        "verb": str(command.verb),
        "to_list": command.to_list,
        "from_list": command.from_list,
        "tag": command.tag,
        "url": command.url,
        "undoes": command.undoes,
        "listener": command.listener,
        "listener_version": command.version,
        "match_id": command.match_id,
        "position": command.position,
        "matched_at": instant(command.matched_at_ms),
        "received_at": instant(command.received_at_ms) if command.received_at_ms else None,
        **_evidence(command.evidence),
        "logged_at": instant(command.log_time_ms),
    }


def _evidence(evidence: Mapping[str, tuple[EventRef, ...]]) -> dict[str, Any]:
    """Step by step, in the order in which it occurred."""
    found = [(ref.occurred_at_ms, ref.event_id, step, ref.action) for step, refs in evidence.items() for ref in refs]
    found.sort()
    return {
        "evidence_step": [step for _, _, step, _ in found],
        "evidence_event_id": [event_id for _, event_id, _, _ in found],
        "evidence_action": [action for _, _, _, action in found],
        "evidence_at": [instant(at) for at, _, _, _ in found],
    }


def _outcome(row: Outcome) -> dict[str, Any]:
    return {
        "command_id": row.command_id,
        "account": row.account,
        "result": str(row.result),
        "at": instant(row.at_ms),
        "reason": row.reason,
        "answer": row.answer,
        "changed": row.changed,
        "calls": row.calls,
        "listener": row.listener,
        "match_id": row.match_id,
        "verb": row.verb,
        "to_list": row.to_list,
        "from_list": row.from_list,
        "received_at": instant(row.received_at_ms) if row.received_at_ms else None,
        "matched_at": instant(row.matched_at_ms),
    }


def _letter(row: DeadLetter) -> dict[str, Any]:
    return {
        "site": row.site,
        "reason": row.reason,
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.offset,
        "at": instant(row.at_ms),
        "detail": row.detail,
        "key": row.key.decode("utf-8", "backslashreplace"),
        "sample": row.value.decode("utf-8", "backslashreplace"),
        "size": row.size,
    }


def _person_of(key: bytes) -> tuple[str, str]:
    workspace, slash, subscriber = key.decode("utf-8", "replace").partition("/")
    return (workspace, subscriber) if slash else NOBODY
