"""Whether the history holds all that came before an instant: the flow is past it, and the loader behind the flow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from analytics.clickhouse import ClickHouse
from contracts.codec import json_reader
from contracts.errors import BadRecord, SegmaError
from contracts.events import Event
from contracts.log import Log, Record
from contracts.plurals import counted
from contracts.reading import unread
from contracts.topics import BEACONS, EVENTS
from flows.operators.lag import LOOKED_AT, log_times

PATIENCE_S: Final = 60.0
"""Without anything moving."""
LOOK_EVERY_S: Final = 0.5
AT_WORK_MS: Final = 30_000
"""How far behind the clock a flow may be that counts as at work."""
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
    missing = sum(not _holds_one(clickhouse, workspace, each) for each in _newest_events(log, workspace, at_ms))
    where = counted(missing, "partition")
    return f"the history lacks the newest events of {where} (is the loader at work?)" if missing else ""


def _holds_one(clickhouse: ClickHouse, workspace: str, events: list[Event]) -> bool:
    """Whether the history holds any of these: what came before the first of them was written before it."""
    given = {"workspace": workspace, "ids": [each.event_id for each in events]}
    sql = "SELECT DISTINCT subscriber, event_id FROM event_rows WHERE workspace = {workspace:String}"
    found = clickhouse.rows(f"{sql} AND event_id IN {{ids:Array(String)}}", given)
    return not events or bool({(each.subscriber, each.event_id) for each in events} & set(map(tuple, found)))


def _newest_events(log: Log, workspace: str, at_ms: int) -> Iterator[list[Event]]:
    """Yield, of each partition, the last event before an instant and all behind it; nothing where none is near."""
    reader, oldest = log.reader(EVENTS, from_end=True), log.start(EVENTS)
    try:
        for partition, end in reader.positions().items():
            reader.seek(partition, max(end - LOOKED_AT, oldest[partition]))
        found: dict[int, list[Event]] = {}
        for record in unread(reader):
            event = _event_of(record, workspace)
            if event is not None and record.log_time_ms < at_ms:
                found[record.partition] = [event]
            elif event is not None:
                found.setdefault(record.partition, []).append(event)
    finally:
        reader.close()
    yield from found.values()


def _event_of(record: Record, workspace: str) -> Event | None:
    if record.value is None or not record.key.startswith(f"{workspace}/".encode()):
        return None
    try:
        return _read_event(record.value)
    except BadRecord:
        return None
