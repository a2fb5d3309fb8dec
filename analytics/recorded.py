"""The recorded arrivals of events: who has done what a listener can start on, and what they did, as the flow got it.

ClickHouse picks the people and the actions, and puts each person's rows into the order in which the flow wrote them: a
row's ``version`` is the log time and the offset of its record, and a person's records stand in one partition. What a
row cannot tell is the order of late events that waited to be put in their places together: they are told in that of
their places, at the time at which they were.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from analytics.clickhouse import ClickHouse
from analytics.tables import OFFSETS
from contracts.actions import PROFILE_CHANGED
from contracts.codec import json_reader
from contracts.events import Event, Trust

Starts = Mapping[str, Sequence[Sequence[tuple[str, Sequence[str], Sequence[str]]]]]
"""Action → the ways in which an event of it may start a listener. One of them holds: each of its properties is one of
the texts, or begins with one of the others; a way that asks for nothing fits any.
"""
_COLUMNS: Final = frozenset({"path", "campaign", "sku", "category"})
"""Properties that have a column."""
_TRUSTS: Final = {str(trust): trust for trust in Trust}
_read_properties = json_reader(dict[str, Any])


class Asked(NamedTuple):
    """What a listener asks of the history: rows that the log took up to ``until_ms``.

    ``starts`` None: whatever anybody does may start it. ``actions``: whose events it needs, ``heard``: whose
    properties; None: of all.
    """

    workspace: str
    until_ms: int
    starts: Starts | None
    actions: frozenset[str] | None
    heard: frozenset[str] | None


class Arrival(NamedTuple):
    """An event as it came to the flow. ``reason``: why it was not matched; empty where it was."""

    event: Event
    watermark_ms: int
    reason: str


class Range(NamedTuple):
    """People from ``first`` on and before ``end`` (None: to the last one)."""

    first: str
    end: str | None


class Reach(NamedTuple):
    """How far the history goes. ``until_ms``: the newest log time of any row; 0: it is empty. ``gaps``: days without
    any event between the first and the last one that was not late: of what came too late nothing is asked.
    """

    until_ms: int
    events: int
    gaps: tuple[date, ...]


def reach(clickhouse: ClickHouse, workspace: str) -> Reach:
    """Return how far a workspace's history goes."""
    newest = " UNION ALL ".join(
        f"SELECT max(version) AS version FROM {table} WHERE workspace = {{workspace:String}}"  # noqa: S608
        for table in ("event_rows", "match_rows", "session_rows", "run_rows")
    )
    given = {"workspace": workspace}
    (version,) = clickhouse.rows(f"SELECT max(version) FROM ({newest})", given)[0]  # noqa: S608
    days = clickhouse.rows(
        "SELECT toDate(occurred_at) AS day, count() FROM event_rows WHERE workspace = {workspace:String}"
        " AND NOT startsWith(action, 'profile_') AND reason != 'late' GROUP BY day ORDER BY day",
        given,
    )
    known = [day for day, _ in days]
    gaps = tuple(
        date.fromordinal(number)
        for one, other in itertools.pairwise(known)
        for number in range(one.toordinal() + 1, other.toordinal())
    )
    return Reach(version // OFFSETS, sum(count for _, count in days), gaps)


def unheard(clickhouse: ClickHouse, asked: Asked) -> list[str]:
    """Return those of the actions asked for that the history does not hold."""
    names = sorted({*(asked.starts or {}), *(asked.heard or ())} - {PROFILE_CHANGED})
    found = clickhouse.rows(
        "SELECT DISTINCT action FROM event_rows"
        " WHERE workspace = {workspace:String} AND action IN {names:Array(String)}",
        {"workspace": asked.workspace, "names": names},
    )
    return sorted(set(names) - {action for (action,) in found})


def ranges(clickhouse: ClickHouse, asked: Asked, size: int) -> list[Range]:
    """Return the people who may start, in ranges of about ``size`` rows of theirs (and of one person at least)."""
    where, given = _heard(asked)
    starters, more = _starters(asked)
    counted = f"SELECT subscriber, count() AS rows FROM event_rows WHERE {where} AND subscriber IN ({starters})"  # noqa: S608
    part = f"intDiv(sum(rows) OVER (ORDER BY subscriber) - 1, {size:d}) AS part"
    parted = f"SELECT subscriber, {part} FROM ({counted} GROUP BY subscriber)"  # noqa: S608
    sql = f"SELECT min(subscriber) FROM ({parted}) GROUP BY part ORDER BY 1"  # noqa: S608
    firsts = clickhouse.rows(sql, given | more)
    names = [name for (name,) in firsts]
    return [Range(first, end) for first, end in zip(names, [*names[1:], None], strict=False)]


def arrivals(clickhouse: ClickHouse, asked: Asked, people: Range) -> Iterator[list[Arrival]]:
    """Yield what each person of a range did, in the order in which it came to the flow."""
    where, given = _heard(asked)
    starters, more = _starters(asked)
    within, bounds = _within(people)
    bounds["heard"] = sorted(asked.heard or ())
    columns = (
        "subscriber, event_id, action, toUnixTimestamp64Milli(occurred_at), order_no,"
        f" {_properties(asked)}, toString(trust), stitched, provisional, toString(verdict),"
        " toUnixTimestamp64Milli(received_at), toUnixTimestamp64Milli(logged_at), toUnixTimestamp64Milli(watermark),"
        " toString(reason)"
    )
    which = f"{where} AND {within} AND subscriber IN ({starters} AND {within})"
    order = "ORDER BY subscriber, version LIMIT 1 BY subscriber, version"
    sql = f"SELECT {columns} FROM event_rows FINAL WHERE {which} {order}"  # noqa: S608
    own: list[Arrival] = []
    for row in clickhouse.stream(sql, given | more | bounds):
        arrival = _arrival(asked.workspace, row)
        if own and own[0].event.subscriber != arrival.event.subscriber:
            yield own
            own = []
        own.append(arrival)
    if own:
        yield own


def capped(clickhouse: ClickHouse, workspace: str, listener: str, people: Range) -> dict[str, list[tuple[int, str]]]:
    """Return by subscriber which matches of a listener found no place under the cap, in order: log time, match id."""
    within, bounds = _within(people)
    sql = (
        "SELECT subscriber, toUnixTimestamp64Milli(logged_at) AS at, match_id FROM match_rows FINAL"  # noqa: S608
        " WHERE workspace = {workspace:String} AND listener = {listener:String} AND reason = 'capped'"
        f" AND {within} ORDER BY subscriber, at, match_id"
    )
    found: dict[str, list[tuple[int, str]]] = {}
    for subscriber, at_ms, match_id in clickhouse.stream(sql, bounds | {"workspace": workspace, "listener": listener}):
        found.setdefault(subscriber, []).append((at_ms, match_id))
    return found


def members(clickhouse: ClickHouse, workspace: str, until_ms: int) -> Iterator[tuple[str, str, str]]:
    """Yield who was in which list of which account at an instant, by subscriber."""
    found = clickhouse.stream(
        "SELECT subscriber, account, list FROM memberships WHERE workspace = {workspace:String}"
        " AND valid_from <= {at:DateTime64(3, 'UTC')} AND (valid_to IS NULL OR valid_to > {at:DateTime64(3, 'UTC')})"
        " ORDER BY subscriber, account, list",
        {"workspace": workspace, "at": datetime.fromtimestamp(until_ms / 1_000, UTC)},
    )
    yield from ((subscriber, account, name) for subscriber, account, name in found)


def moves_an_hour(clickhouse: ClickHouse, workspace: str, account: str, until_ms: int) -> list[int]:
    """Return how many commands an account got in each hour of the last week, the oldest first."""
    found = clickhouse.rows(
        "SELECT intDiv({until:Int64} - toUnixTimestamp64Milli(logged_at), 3600000) AS ago, count()"
        " FROM command_rows FINAL"
        " WHERE workspace = {workspace:String} AND account = {account:String}"
        " AND toUnixTimestamp64Milli(logged_at) <= {until:Int64} AND ago < 168 GROUP BY ago",
        {"workspace": workspace, "account": account, "until": until_ms},
    )
    by_hour = dict(found)
    return [by_hour.get(ago, 0) for ago in reversed(range(168))]


def erased(clickhouse: ClickHouse, workspace: str) -> frozenset[str]:
    """Return who was forgotten and not brought back since."""
    found = clickhouse.rows(
        "SELECT subscriber FROM erasures FINAL WHERE workspace = {workspace:String} AND until > erased_at",
        {"workspace": workspace},
    )
    return frozenset(name for (name,) in found)


def _arrival(workspace: str, row: Sequence[Any]) -> Arrival:
    event = Event(
        workspace=workspace,
        subscriber=row[0],
        event_id=row[1],
        action=row[2],
        occurred_at_ms=row[3],
        order=row[4],
        properties=_read_properties(row[5].encode()),
        trust=_TRUSTS[row[6]],
        stitched=row[7],
        provisional=row[8],
        verdict=row[9],
        received_at_ms=row[10],
        log_time_ms=row[11],
    )
    return Arrival(event, row[12], row[13])


def _heard(asked: Asked) -> tuple[str, dict[str, Any]]:
    where = "workspace = {workspace:String} AND version < {end:UInt64}"
    given: dict[str, Any] = {"workspace": asked.workspace, "end": (asked.until_ms + 1) * OFFSETS}
    if asked.actions is None:
        return where, given
    return f"{where} AND action IN {{actions:Array(String)}}", given | {"actions": sorted(asked.actions)}


def _properties(asked: Asked) -> str:
    """Return the column of the properties; of what is not heard only the time is needed."""
    return "properties" if asked.heard is None else "if(action IN {heard:Array(String)}, properties, '{}')"


def _starters(asked: Asked) -> tuple[str, dict[str, Any]]:
    """Return a query of everybody who has done what may start a listener, open for more conditions."""
    sql = "SELECT subscriber FROM event_rows WHERE workspace = {workspace:String} AND version < {end:UInt64}"
    if asked.starts is None:
        return sql, {}
    given: dict[str, Any] = {}
    told = []
    for action, ways in sorted(asked.starts.items()):
        any_of = [" AND ".join(_fits(each, given) for each in way) for way in ways]
        more = f" AND ({' OR '.join(f'({each})' for each in any_of)})" if all(any_of) else ""
        told.append(f"(action = {_parameter(action, 'String', given)}{more})")
    return f"{sql} AND ({' OR '.join(told) or 'false'})", given


def _fits(asked: tuple[str, Sequence[str], Sequence[str]], given: dict[str, Any]) -> str:
    """Return the condition of one property, its parameters added to ``given``."""
    name, exact, prefixes = asked
    column = name if name in _COLUMNS else f"JSONExtractString(properties, {_parameter(name, 'String', given)})"
    one_of = [f"{column} IN {_parameter(list(exact), 'Array(String)', given)}"] if exact else []
    one_of += [f"startsWith({column}, {_parameter(each, 'String', given)})" for each in prefixes]
    return f"({' OR '.join(one_of)})"


def _parameter(value: Any, kind: str, given: dict[str, Any]) -> str:
    name = f"start{len(given)}"
    given[name] = value
    return f"{{{name}:{kind}}}"


def _within(people: Range) -> tuple[str, dict[str, Any]]:
    if people.end is None:
        return "subscriber >= {first:String}", {"first": people.first}
    return "subscriber >= {first:String} AND subscriber < {last:String}", {"first": people.first, "last": people.end}
