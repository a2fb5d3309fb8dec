"""A small history made by hand: four people, two lists, one listener, and what came of it.

``python -m tests.analytics.story HOME`` lays it into a home in which ``segma up`` runs, as the analyst's tutorial does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analytics.clickhouse import ClickHouse
from analytics.columns import Inserts
from analytics.config import analytics_settings_at, connect
from analytics.named_queries import named_queries
from analytics.tables import TableRow, rows_of
from contracts.commands import Command, EventRef, Outcome, Result, Verb
from contracts.events import Event, Trust
from contracts.log import Record
from contracts.rows import (
    CommandRow,
    DeadLetter,
    EventRow,
    MatchRow,
    MembershipRow,
    Row,
    RunCount,
    RunsRow,
    SessionRow,
)

NOON = 1_792_843_200_000
"""2026-10-24 12:00:00 UTC."""
DAY = 86_400_000
Written = Row | Outcome | DeadLetter


def at(day: int, ms: int = 0) -> int:
    """Noon of a day of the story, and some milliseconds."""
    return NOON + day * DAY + ms


def when(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1_000, UTC).replace(tzinfo=None)


def event(person: str, number: int, action: str, at_ms: int, reason: str = "", **properties: Any) -> EventRow:
    told = Event(
        workspace="demo",
        subscriber=person,
        event_id=f"{person}{number}",
        action=action,
        occurred_at_ms=at_ms,
        properties=properties,
        trust=Trust.TOKEN,
        site="shop",
        device=f"d-{person}",
        received_at_ms=at_ms + 20,
        log_time_ms=at_ms + 25,
        offset=number,
    )
    return EventRow(told, "" if reason else f"s-{person}", reason)


def ref(row: EventRow) -> EventRef:
    return EventRef(row.event.event_id, row.event.action, row.event.occurred_at_ms)


def moved(
    person: str, steps: Sequence[EventRow], *, answered_ms: int, from_list: str = "newsletter", to_list: str = "hot"
) -> list[Written]:
    """A match of the listener ``keen``, its command and its outcome."""
    last, match = steps[-1].event, _matched(person, steps)
    command = Command(
        command_id=f"c-{person}",
        workspace="demo",
        account="mailbox",
        subscriber=person,
        verb=Verb.MOVE,
        listener="keen",
        version=2,
        match_id=match.match_id,
        position=0,
        matched_at_ms=match.matched_at_ms,
        to_list=to_list,
        from_list=from_list,
        evidence=match.evidence,
        log_time_ms=match.log_time_ms,
        received_at_ms=last.received_at_ms,
    )
    return [match, CommandRow(command), _applied(command, last.occurred_at_ms + answered_ms)]


def _matched(person: str, steps: Sequence[EventRow]) -> MatchRow:
    at_ms = steps[-1].event.occurred_at_ms
    return MatchRow(
        kind="match",
        workspace="demo",
        subscriber=person,
        listener="keen",
        version=2,
        match_id=f"m-{person}",
        matched_at_ms=at_ms,
        evidence={f"step{number}": (ref(row),) for number, row in enumerate(steps, start=1)},
        log_time_ms=at_ms + 30,
    )


def _applied(command: Command, at_ms: int) -> Outcome:
    return Outcome(
        command_id=command.command_id,
        workspace="demo",
        account="mailbox",
        subscriber=command.subscriber,
        result=Result.APPLIED,
        at_ms=at_ms,
        answer="200 moved",
        changed=(f"+{command.to_list}", f"-{command.from_list}"),
        listener=command.listener,
        match_id=command.match_id,
        verb="move",
        to_list=command.to_list,
        from_list=command.from_list,
        received_at_ms=command.received_at_ms,
        matched_at_ms=command.matched_at_ms,
    )


def baseline(person: str, list_name: str, at_ms: int, *, member: bool = True) -> MembershipRow:
    return MembershipRow("demo", "mailbox", list_name, person, member, at_ms)


def session(person: str, at_ms: int, events: int, campaign: str, length_ms: int, **more: Any) -> SessionRow:
    return SessionRow("demo", person, f"s-{person}", at_ms, at_ms + length_ms, events, "/", campaign, **more)


def the_story() -> list[Written]:
    """Ann and Ben click, look and are moved to ``hot``; Ann buys two days later. Cleo looks and buys nothing; she stays
    in the newsletter. Dan is in no list, looks, and buys.
    """
    ann = [
        event("ann", 1, "email_clicked", at(0), campaign="spring"),
        event("ann", 2, "page_viewed", at(0, 10_000), path="/shoes", sku="runner", value=89.5),
        event("ann", 3, "product_bought", at(2), sku="runner", value=89),
        event("ann", 4, "page_viewed", at(0, 12_000), reason="late"),
    ]
    ben = [event("ben", 1, "email_clicked", at(1)), event("ben", 2, "page_viewed", at(1, 30_000))]
    cleo = [event("cleo", 1, "page_viewed", at(0)), event("cleo", 2, "page_viewed", at(1))]
    dan = [event("dan", 1, "page_viewed", at(0)), event("dan", 2, "product_bought", at(3))]
    letters = [
        DeadLetter("unknown_action", "beacons", 0, 7, at(1), "zapped", "demo", "shop", b"demo/x", b'{"a":1}', 7),
        DeadLetter("unknown_action", "beacons", 1, 9, at(2), "zipped", "demo", "shop", b"demo/y", b"\xff\x00", 2),
        DeadLetter("not_json", "http", -1, -1, at(2), "line 1", "demo", "shop", b"", b"{", 1),
    ]
    return [
        *(baseline(person, "newsletter", at(-1)) for person in ("ann", "ben", "cleo")),
        *(ann + ben + cleo + dan),
        *moved("ann", ann[:2], answered_ms=200),
        *moved("ben", ben, answered_ms=400),
        session("ann", at(0), 2, "spring", 10_000),
        session("ben", at(1), 2, "spring", 30_000),
        session("cleo", at(0), 1, "", 0),
        *letters,
    ]


def matched(person: str, at_ms: int, *, version: int = 2, reason: str = "", kind: str = "match") -> MatchRow:
    """A match of ``keen`` that tells nothing but when, and what it was marked as."""
    return MatchRow(kind, "demo", person, "keen", version, f"m-{person}", at_ms, reason=reason, log_time_ms=at_ms)


def the_trial() -> list[Written]:
    """Version 2 of ``keen`` holds some out. On day 0 and 1 it matches Ann, Ben, Eve, Cleo and Dan (the last two held
    out), on day 9 Fay; version 1 had matched Gus, Hal's match was taken back, Ivy's
    completed in a pause. Who buys: Ann on day 2, Ben on day 9, Dan
    on day 3, Eve before she matched, Gus.
    """
    held = "held_out"
    return [
        matched("ann", at(0)),
        matched("cleo", at(0), reason=held),
        matched("ben", at(0, 5)),
        matched("dan", at(1), reason=held),
        matched("eve", at(1)),
        matched("fay", at(9)),
        matched("gus", at(0), version=1),
        matched("hal", at(0)),
        matched("hal", at(0), kind="retraction"),
        matched("a_nobody", at(0), reason="no_identity"),
        matched("ivy", at(0), reason="listener_paused"),
        event("ann", 1, "product_bought", at(2)),
        event("ben", 1, "product_bought", at(9)),
        event("dan", 1, "product_bought", at(3)),
        event("eve", 1, "product_bought", at(0)),
        event("gus", 1, "product_bought", at(1)),
    ]


def runs(group: int, at_ms: int, *counts: tuple[int, int, int]) -> RunsRow:
    """A row of the listener ``keen``, of three elements. ``counts``: element, runs, people."""
    names = {2: ("step2", "page_viewed"), 3: ("3", "no product_bought until the deadline")}
    told = tuple(RunCount("keen", 2, each[0], 3, *names[each[0]], *each[1:]) for each in counts)
    return RunsRow("demo", group % 2, group, at_ms, told)


def the_runs() -> list[Written]:
    """Two key groups. In one three runs of two people wait for a view a minute after noon, one of them at ten past, and
    none two minutes after the next noon; in the other five wait for a view from two past noon on, and two, of one
    person, for their deadline. At midnight both say all that waits.
    """
    midnight = DAY // 2
    return [
        runs(1, at(0, 60_000), (2, 3, 2)),
        runs(1, at(0, 600_000), (2, 1, 1)),
        runs(1, at(0, midnight), (2, 1, 1)),
        runs(1, at(1, 120_000), (2, 0, 0)),
        runs(4, at(0, 120_000), (2, 5, 5), (3, 2, 1)),
        runs(4, at(0, midnight), (2, 5, 5), (3, 2, 1)),
    ]


def put(history: ClickHouse, rows: Iterable[Written], *, first_offset: int = 0) -> None:
    """Write rows as the loader does, each as the record of a log."""
    tables: dict[str, list[TableRow]] = {}
    for number, row in enumerate(rows, start=first_offset):
        for each in rows_of(row, Record("rows", 0, number, NOON + number, b"k", b"")):
            tables.setdefault(each.table, []).append(each)
    inserts = Inserts(history)
    for some in tables.values():
        inserts.insert(some)


def ask(history: ClickHouse, name: str, now_ms: int = at(30), **given: str) -> list[tuple[Any, ...]]:
    """A named query's rows."""
    query = named_queries()[name]
    return history.rows(query.sql, query.bound(given, workspace="demo", now_ms=now_ms))


def main() -> None:
    """Lay the story into the history of the home that the command line names."""
    home = Path(sys.argv[1])
    put(connect(analytics_settings_at(home)), the_story())
    sys.stdout.write(f"the story is in the history of {home}\n")


if __name__ == "__main__":
    main()
