"""``segma tail``: events, matches, moves and outcomes as they happen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from cli.output import err, one_line, out, print_json
from cli.up import home_option, json_option
from contracts.codec import json_reader, to_builtins
from contracts.commands import Outcome
from contracts.errors import BadRecord
from contracts.log import Consumer, Log
from contracts.plurals import counted
from contracts.rows import AuditRow, CommandRow, EventRow, MatchRow, MembershipRow, Row, RunsRow, SessionRow
from contracts.tokens import shown_device
from contracts.topics import OUTCOMES, ROWS
from transport import open_log
from transport.config import settings_at

read_row = json_reader(Row)
read_outcome = json_reader(Outcome)


def lines(log: Log, *, from_start: bool) -> Iterator[Row | Outcome]:
    """Everything that the flow and the sinks say, for ever; undecodable records are passed over."""
    readers: list[tuple[Consumer, Any]] = [
        (log.reader(ROWS, from_end=not from_start), read_row),
        (log.reader(OUTCOMES, from_end=not from_start), read_outcome),
    ]
    while True:
        for reader, decode in readers:
            for record in reader.poll(500, timeout_s=0.1):
                if record.value is None:
                    continue
                try:
                    yield decode(record.value)
                except BadRecord as error:
                    err.print(f"{record.topic}/{record.partition}@{record.offset}: {error}", markup=False)


def in_json(item: Row | Outcome) -> dict[str, Any]:
    """A row or an outcome as JSON, a device's id shortened."""
    shown: dict[str, Any] = to_builtins(item)
    if isinstance(item, EventRow):
        shown["event"]["device"] = shown_device(item.event.device)
    return shown


def in_words(item: Row | Outcome) -> str:  # noqa: PLR0911
    """Return one line about a row or an outcome."""
    match item:
        case EventRow(event=event, reason=reason):
            note = f"  [{reason}]" if reason else ""
            return f"{_at(event.occurred_at_ms)}  event    {event.subscriber}  {event.action}{note}"
        case SessionRow():
            span = (item.ended_at_ms - item.started_at_ms) / 1000
            return (
                f"{_at(item.ended_at_ms)}  session  {item.subscriber}  {counted(item.events, 'event')} in {span:.0f} s"
            )
        case MatchRow():
            note = f"  [{item.reason}]" if item.reason else ""
            return f"{_at(item.matched_at_ms)}  {item.kind:<8} {item.subscriber}  {item.listener}@{item.version}{note}"
        case CommandRow(command=command):
            lists = " → ".join(name for name in (command.from_list, command.to_list) if name) or command.tag
            return f"{_at(command.matched_at_ms)}  move     {command.subscriber}  {command.verb} {lists}"
        case MembershipRow():
            state = "in" if item.member else "not in"
            return f"{_at(item.at_ms)}  baseline {item.subscriber}  {state} {item.list_name}"
        case RunsRow():
            waiting = " ".join(f"{each.listener}@{each.version}:{each.element}={each.runs}" for each in item.counts)
            return f"{_at(item.at_ms)}  runs     {item.partition}-{item.group}  {waiting}"
        case AuditRow():
            return f"{_at(item.at_ms)}  audit    {item.user}  {item.act} {item.target or item.subscriber}".rstrip()
        case Outcome():
            note = f" ({item.reason})" if item.reason else ""
            return f"{_at(item.at_ms)}  outcome  {item.subscriber}  {item.result}{note}: {' '.join(item.changed)}"


def _at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]


_KINDS: Final[dict[type, str]] = {
    EventRow: "events",
    SessionRow: "sessions",
    MatchRow: "matches",
    CommandRow: "moves",
    MembershipRow: "baseline",
    RunsRow: "runs",
    AuditRow: "audit",
    Outcome: "outcomes",
}


def kind_of(item: Row | Outcome) -> str:
    """The word that ``--only`` takes."""
    return _KINDS[type(item)]


@click.command()
@home_option
@click.option("--from-start", is_flag=True, help="From the oldest record kept, not only what comes.")
@click.option(
    "--only", multiple=True, type=click.Choice(["events", "sessions", "matches", "moves", "outcomes", "runs", "audit"])
)
@click.option("--count", type=click.IntRange(1), help="End after this many lines.")
@json_option
def tail_command(home: Path, from_start: bool, only: tuple[str, ...], count: int | None, as_json: bool) -> None:
    """Follow live events, sessions, matches, moves and outcomes. Ctrl-C ends it."""
    log = open_log(settings_at(home))
    shown = 0
    try:
        for item in lines(log, from_start=from_start):
            if only and kind_of(item) not in only:
                continue
            if as_json:
                print_json(in_json(item))
            else:
                out.print(one_line(in_words(item)))
            shown += 1
            if count is not None and shown >= count:
                break
    except KeyboardInterrupt:
        sys.exit(0)
    finally:
        log.close()
