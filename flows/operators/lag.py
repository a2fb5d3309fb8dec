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
    """Partition of ``beacons`` → the newest log time that ``recognise`` has passed on. Raises :class:`LogError`."""
    reader, oldest = log.reader(EVENTS, from_end=True), log.start(EVENTS)
    found: dict[int, int] = {}
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
            found[said.source] = max(said.log_time_ms, found.get(said.source, 0))
    finally:
        reader.close()
    return found
