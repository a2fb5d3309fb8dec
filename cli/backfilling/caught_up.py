"""Whether the history holds all that came before an instant: the flow is past it, and the loader behind the flow."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from analytics.clickhouse import ClickHouse
from analytics.recorded import erased
from contracts.codec import json_reader
from contracts.errors import BadRecord, SegmaError
from contracts.events import Event
from contracts.log import Log, Record
from contracts.plurals import counted
from contracts.reading import unread
from contracts.topics import BEACONS, EVENTS
from flows.derived.profile import takes_everything_away
from flows.operators.lag import LOOKED_AT, log_times

PATIENCE_S: Final = 60.0
"""Without anything moving."""
LOOK_EVERY_S: Final = 0.5
AT_WORK_MS: Final = 30_000
"""How far behind the clock a flow may be that counts as at work."""
ASKED_AT_ONCE: Final = 200
"""Ids of events: they stand in the address of what is asked."""
Newest = dict[str, list[str]]
"""Subscriber → ids of events, of which the history must hold one."""
_read_event: Final[Callable[[bytes], Event]] = json_reader(Event)


class HistoryBehind(SegmaError):
    """The flow, or the history, does not come to an instant; the text says which."""


def check_at_work(log: Log, now_ms: int) -> None:
    """Raise :class:`HistoryBehind` where the flow is not at work, so that nobody waits for it in vain."""
    times = log_times(log)
    if len(times) < len(log.end(BEACONS)) or min(times.values()) < now_ms - AT_WORK_MS:
        raise HistoryBehind("the flow is not at work, so nothing would become live: start it (`segma up`)")


def await_history(
    log: Log,
    clickhouse: ClickHouse,
    workspace: str,
    at_ms: int,
    *,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until everything that the log took before ``at_ms`` stands in the history.

    Raises :class:`HistoryBehind` where nothing moves for a minute.
    """
    since, behind = clock(), ""
    while now_behind := _behind(log, clickhouse, workspace, at_ms):
        if now_behind != behind:
            since, behind = clock(), now_behind
        if clock() - since > PATIENCE_S:
            raise HistoryBehind(f"{behind}; what is done stays, and the same command goes on there")
        pause(LOOK_EVERY_S)


def _behind(log: Log, clickhouse: ClickHouse, workspace: str, at_ms: int) -> str:
    """What is still awaited, in words; empty: nothing."""
    times = log_times(log)
    late = len(log.end(BEACONS)) - sum(time_ms >= at_ms for time_ms in times.values())
    if late > 0:
        where = counted(late, "partition")
        return f"the flow has not come to the instant in {where} (`segma doctor` says how far it is)"
    missing = [each for each in _newest_events(log, workspace, at_ms) if _lacks_any(clickhouse, workspace, each)]
    where = counted(len(missing), "partition")
    return f"the history lacks the newest events of {where} (is the loader at work?)" if missing else ""


def _lacks_any(clickhouse: ClickHouse, workspace: str, newest: Newest) -> bool:
    """Whether the history holds none of somebody's events: what came to them before was written before these.

    NOTE: that holds of one person alone. The flow writes what came at once by key groups, so of two people the one
    whose event came first may be written last; a flow that is killed in between writes the rest when it is back.
    """
    sql = "SELECT DISTINCT subscriber, event_id FROM event_rows WHERE workspace = {workspace:String}"
    every, found = [each for ids in newest.values() for each in ids], set[tuple[str, str]]()
    for first in range(0, len(every), ASKED_AT_ONCE):
        given = {"workspace": workspace, "ids": every[first : first + ASKED_AT_ONCE]}
        found |= {(who, each) for who, each in clickhouse.rows(f"{sql} AND event_id IN {{ids:Array(String)}}", given)}
    lacking = {who for who, ids in newest.items() if found.isdisjoint((who, each) for each in ids)}
    return bool(lacking) and not lacking <= erased(clickhouse, workspace)


def _newest_events(log: Log, workspace: str, at_ms: int) -> list[Newest]:
    """Return, of each partition, everybody's last event before an instant and theirs behind it; of whom none is near,
    nothing.

    Before or behind is an event by its own log time. A flow that was killed sends events again, behind the instant as
    well, and of those the history may hold one from before, and lack what came between them: they are passed over.
    """
    reader, oldest = log.reader(EVENTS, from_end=True), log.start(EVENTS)
    found: dict[int, Newest] = {}
    seen: set[tuple[str, str]] = set()
    try:
        for partition, end in reader.positions().items():
            reader.seek(partition, max(end - LOOKED_AT, oldest[partition]))
        for record in unread(reader):
            event = _event_of(record, workspace)
            if event is None or (event.subscriber, event.event_id) in seen:
                continue
            seen.add((event.subscriber, event.event_id))
            own = found.setdefault(record.partition, {})
            if event.log_time_ms < at_ms:
                own[event.subscriber] = [event.event_id]
            elif event.subscriber in own:
                own[event.subscriber].append(event.event_id)
    finally:
        reader.close()
    return list(found.values())


def _event_of(record: Record, workspace: str) -> Event | None:
    """The event of a record; None where it is none, or of another workspace, or makes no row of its own."""
    if record.value is None or not record.key.startswith(f"{workspace}/".encode()):
        return None
    try:
        event = _read_event(record.value)
    except BadRecord:
        return None
    return None if takes_everything_away(event) else event
