"""Records of a partition of ``events``, by key group; and the log time that they tell. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from contracts.codec import json_reader
from contracts.errors import BadRecord
from contracts.events import LogTime
from contracts.log import Record
from flows.operators.watermark import Clock

_read_log_time: Final[Callable[[bytes], LogTime]] = json_reader(LogTime)
Timed = tuple[Record, int]
"""A record, and the log time at it."""


class Regroup:
    """What one partition of ``events`` says, in order.

    ``now_ms``: the log time, the least that is believed of the partitions of ``beacons``
    (:mod:`flows.operators.watermark`); before each has said something it is 0.
    """

    def __init__(self, partitions: int, groups: int, settle_ms: int, clocks: Mapping[int, Clock]) -> None:
        """``clocks``: what is known of the partitions of ``beacons``. ``groups``: of each partition."""
        self._partitions, self._groups, self._settle_ms = partitions, groups, settle_ms
        self.clocks: dict[int, Clock] = dict.fromkeys(range(partitions), Clock()) | dict(clocks)
        self.now_ms = self._watermark_ms()

    def _watermark_ms(self) -> int:
        return min([clock.watermark_ms for clock in self.clocks.values()])

    def split(self, records: Sequence[Record]) -> dict[int, list[Timed]]:
        """The next records, by the key group that :func:`contracts.topics.group_of` names."""
        found: dict[int, list[Timed]] = {}
        partitions, groups, crc32 = self._partitions, self._groups, zlib.crc32
        for record in records:
            key = record.key
            if not key:
                self._note_time(record.value)
                continue
            # PERF: `group_of`, without the call.
            group = crc32(key) // partitions % groups
            own = found.get(group)
            if own is None:
                found[group] = [(record, self.now_ms)]
            else:
                own.append((record, self.now_ms))
        return found

    def _note_time(self, value: bytes | None) -> None:
        """Take in what ``recognise`` says of the time."""
        if value is None:
            return
        try:
            said = _read_log_time(value)
        except BadRecord:
            return  # not written by recognise: it tells no time
        clock = self.clocks.get(said.source)
        if clock is not None:
            self.clocks[said.source] = clock.hear(said.log_time_ms, self._settle_ms)
            self.now_ms = self._watermark_ms()
