"""How far the log's time is behind the clock, read from the log itself: for ``segma doctor``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contracts.codec import json_reader
from contracts.errors import BadRecord
from contracts.events import LogTime
from contracts.log import Log
from contracts.reading import unread
from contracts.topics import EVENTS

LOOKED_AT: Final = 2_000
"""Records at the end of each partition of ``events`` in which every source is expected to have said its time."""

_read: Final[Callable[[bytes], LogTime]] = json_reader(LogTime)


def log_times(log: Log) -> dict[int, int]:
    """Partition of ``beacons`` → the log time to which ``recognise`` has come. Raises :class:`LogError`.

    It is what was passed on last, not the greatest: after a crash events are sent again, and their times with them.
    """
    reader, oldest = log.reader(EVENTS, from_end=True), log.start(EVENTS)
    last: dict[tuple[int, int], int] = {}
    try:
        for partition, end in reader.positions().items():
            reader.seek(partition, max(end - LOOKED_AT, oldest[partition]))
        for record in unread(reader):
            if record.key or record.value is None:
                continue
            try:
                said = _read(record.value)
            except BadRecord:
                continue
            last[said.source, record.partition] = said.log_time_ms
    finally:
        reader.close()
    found: dict[int, int] = {}
    for (source, _), time_ms in last.items():
        # Each partition is told: the one that heard least is as far as all of them are.
        found[source] = min(time_ms, found.get(source, time_ms))
    return found
