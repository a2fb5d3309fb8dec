"""Random installations with a past: several listeners in versions that come and go, several people, events that come
late, twice, on trial and with verdicts; what the flow writes of them, and the history that comes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NamedTuple

from analytics.clickhouse import ClickHouse
from analytics.columns import Inserts
from analytics.event_rows import copies
from analytics.recorded import Arrival
from analytics.tables import TableRow, rows_of
from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Command
from contracts.errors import ListenerError
from contracts.events import Event
from contracts.log import Outgoing, Record
from contracts.rows import EventRow, MatchRow, Row
from contracts.topics import EVENTS, ROWS
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.operators.logic import FollowBatch, FollowLogic, Shared
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_changelog import unsynced
from tests.properties.generate import GAP_MS, listener_data, parsed, stream
from tests.properties.test_moves_as_events import by_others, hearing, opener, short
from tests.properties.test_profiles import facts, with_profile

WORKSPACE = "w"
NOON = 1_792_843_200_000
"""When it all begins: a history keeps nothing that is very old."""
_read_row = json_reader(Row)
_read_command = json_reader(Command)
THEN = parse_listeners(
    [
        (
            "then.yaml",
            b"listener: then\nholdout: 20%\nvariants: {a: 50%, b: 50%}\nsequence: [{action: page_viewed}]\nthen:\n"
            b"  - move: {from: n, to: 'x-{variant}', at: mailbox}\n  - add: {to: only-b, at: mailbox}\n    only: b\n"
            b"  - tag: {add: warm, at: mailbox}\n",
        )
    ],
    known_actions={"page_viewed"},
)[0]


class Installation(NamedTuple):
    """Versions, terms, and arrivals with the log time believed at each; ``until_ms``: the log time at the end."""

    deployed: list[Deployed]
    terms: Terms
    arrivals: list[tuple[Event, int]]
    until_ms: int


def installation(random: Random) -> Installation:
    """A random one. In some of them one listener asks for lists too: of others' moves a back-test knows nothing."""
    asks = random.random() < 0.3
    names = range(1 if asks else random.randint(1, 3))
    deployed = [each for number in names for each in _versions(random, f"l{number}", asks=asks)]
    times = random.choice((3_000, 8_000)), GAP_MS, random.choice((20_000, 60_000)), random.choice((0, 500))
    cap = random.choice(((0, 0), (1, 60_000), (1, 60_000), (2, 60_000)))
    terms = Terms(*times, "UTC", *cap)
    found: list[tuple[Event, int]] = []
    for who in ("s_one", "s_two", "a_nobody"):
        found += _arrivals(random, who)
    found.sort(key=lambda each: each[1])
    until_ms = found[-1][1] + random.choice((0, 4_000, 30_000))
    believed = _believed(random, found)
    pauses = random.random() < 0.5
    return Installation([_paused(random, each) if pauses else each for each in deployed], terms, believed, until_ms)


def _paused(random: Random, one: Deployed) -> Deployed:
    """A version that was paused while it was live."""
    if one.live_from_ms is None:
        return one
    from_ms = max(one.live_from_ms, NOON) + random.choice((0, 2_000, 5_000))
    return one._replace(pauses=((from_ms, random.choice((None, from_ms + 1_000, from_ms + 4_000))),))


def _versions(random: Random, name: str, *, asks: bool) -> Iterator[Deployed]:
    at_ms = random.choice((0, 0, NOON + 4_000))
    for version in range(1, random.choice((1, 1, 2, 3)) + 1):
        listener = replace(_listener(random, asks=asks), name=name, version=version)
        if not asks and random.random() < 0.7:
            listener = replace(listener, then=THEN.then, variants=THEN.variants, holdout=THEN.holdout)
        live_ms = None if random.random() < 0.2 else at_ms and at_ms + random.choice((0, 3_000))
        until_ms = max(at_ms, NOON) + random.choice((6_000, 12_000))
        yield Deployed(listener, at_ms, live_ms, until_ms if random.random() < 0.7 else None)
        at_ms = until_ms


def _listener(random: Random, *, asks: bool) -> Listener:
    while True:
        data = random.choice((listener_data, short, opener))(random) if asks else listener_data(random)
        data = with_profile(random, data) if random.random() < 0.3 else data
        data = {**hearing(random, data), "then": [moved(random)]} if asks else data
        try:
            return parsed(data)
        except ListenerError:
            continue


def moved(random: Random) -> dict[str, dict[str, str]]:
    """A line of ``then``."""
    return random.choice(
        (
            {"add": {"to": "h", "at": "mail"}},
            {"move": {"from": "h", "to": "g", "at": "mail"}},
            {"tag": {"add": "warm", "at": "mail"}},
        )
    )


def _arrivals(random: Random, who: str) -> Iterator[tuple[Event, int]]:
    """A person's events with the log time of each; clicks on trial get their verdicts later, under the same id."""
    events = stream(random)
    told = [*facts(random, events), *by_others(random, events)] if random.random() < 0.6 else []
    for event in (*events, *told):
        at_ms = NOON + event.occurred_at_ms
        taken_ms = at_ms + random.choice((0, 0, 0, 200, 2_000, 6_000, 15_000))
        own = replaced(event, workspace=WORKSPACE, subscriber=who, provisional=False, verdict="")
        own = replaced(
            own, occurred_at_ms=at_ms, log_time_ms=taken_ms, received_at_ms=taken_ms, offset=random.randrange(10**6)
        )
        if event in events and random.random() < 0.25:
            click = replaced(own, action="email_clicked", event_id=f"c-{own.event_id}", provisional=True)
            yield click, taken_ms
            verdict = random.choice(("confirmed:quarantine", "confirmed:landed", "machine:burst"))
            judged = replaced(click, provisional=False, verdict=verdict)
            yield judged, taken_ms + random.choice((500, 3_000, 15_000))
            if random.random() < 0.4:
                yield replaced(judged, verdict="machine:reported"), taken_ms + random.choice((4_000, 30_000))
        else:
            yield own, taken_ms
        if random.random() < 0.1:
            yield own, taken_ms + random.choice((0, 1_000, 9_000))


def _believed(random: Random, found: Sequence[tuple[Event, int]]) -> list[tuple[Event, int]]:
    """The arrivals with the log time that was believed at each: it never goes back, and lags."""
    believed_ms, told = 0, []
    for event, at_ms in found:
        believed_ms = max(believed_ms, at_ms - random.choice((0, 100, 100, 2_500)))
        told.append((event, believed_ms))
    return told


def live(made: Installation, states: Path) -> list[tuple[Record, Row | Command]]:
    """What the flow writes, in order, each with its record."""
    engine = WorkspaceEngine(WORKSPACE, terms=made.terms)
    engine.deploy(made.deployed)
    logic = FollowLogic(Shared({}, {WORKSPACE: engine}, 1), Changelog(states, sync=unsynced), None)
    out: list[tuple[int, Outgoing]] = []
    for offset, (event, believed_ms) in enumerate(made.arrivals):
        key = f"{WORKSPACE}/{event.subscriber}".encode()
        record = Record(EVENTS, 0, offset, believed_ms, key, to_json(event))
        written = logic.on_batch([FollowBatch(((record, believed_ms),), believed_ms)])[0]
        out += ((believed_ms, each) for each in written)
    out += ((made.until_ms, each) for each in logic.on_batch([FollowBatch((), made.until_ms)])[0])
    return [
        (Record(each.topic, 0, number, at_ms, each.key, each.value), _read(each))
        for number, (at_ms, each) in enumerate(out)
        if each.topic == ROWS or each.topic.startswith("moves")
    ]


def _read(each: Outgoing) -> Row | Command:
    found: Row | Command = (_read_row if each.topic == ROWS else _read_command)(each.value or b"")
    return found


def recorded(written: Iterable[tuple[Record, Row | Command]]) -> list[TableRow]:
    """The event rows that the history keeps: one a key, the newest; in the order in which the flow wrote them."""
    kept: dict[tuple[object, ...], TableRow] = {}
    for record, row in written:
        if isinstance(row, EventRow):
            for each in rows_of(row, record):
                kept[_key(each)] = each
    return sorted(kept.values(), key=lambda each: each.version)


def _key(row: TableRow) -> tuple[object, ...]:
    event = row.value.event
    ((copy,),) = copies([row.value])
    return (event.subscriber, event.occurred_at_ms, event.event_id, copy)


def arrivals_of(
    rows: Iterable[TableRow], actions: frozenset[str] | None, heard: frozenset[str] | None
) -> Mapping[str, list[Arrival]]:
    """By subscriber, what :func:`analytics.recorded.arrivals` makes of such rows."""
    found: dict[str, list[Arrival]] = {}
    seen = set[tuple[str, int]]()
    for row in rows:
        event = row.value.event
        if (actions is None or event.action in actions) and (event.subscriber, row.version) not in seen:
            seen.add((event.subscriber, row.version))
            if heard is not None and event.action not in heard:
                event = replaced(event, properties={})
            arrival = Arrival(event, row.value.watermark_ms, row.value.reason)
            found.setdefault(event.subscriber, []).append(arrival)
    return found


def emitted(
    written: Iterable[tuple[Record, Row | Command]], listener: str, subscriber: str
) -> tuple[list[MatchRow], list[Command]]:
    """What the flow wrote of one listener and person."""
    own = [row for _, row in written if not isinstance(row, EventRow)]
    rows = [
        row for row in own if isinstance(row, MatchRow) and (row.listener, row.subscriber) == (listener, subscriber)
    ]
    commands = [
        row for row in own if isinstance(row, Command) and (row.listener, row.subscriber) == (listener, subscriber)
    ]
    return rows, commands


def put_into(history: ClickHouse, written: Iterable[tuple[Record, Row | Command]]) -> None:
    """Write the rows into a real history, as the loader does."""
    tables: dict[str, list[TableRow]] = {}
    for record, row in written:
        if not isinstance(row, Command):
            for each in rows_of(row, record):
                tables.setdefault(each.table, []).append(each)
    inserts = Inserts(history)
    for some in tables.values():
        inserts.insert(some)
