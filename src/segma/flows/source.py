"""Bytewax sources over the log. Positions live in the recovery store, beside the topic's id (DESIGN 7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from segma.contracts.codec import json_reader
from segma.contracts.errors import BadRecord, PositionGone
from segma.contracts.events import LogTime
from segma.contracts.log import Consumer, Log, Record
from segma.contracts.topics import BEACONS, EVENTS, group_of
from segma.flows.logic import FollowBatch

BATCH: Final = 2_000
LOOK_AGAIN: Final = timedelta(milliseconds=5)
"""Measured (DESIGN 7): polling without waiting, and looking again after 5 ms, has the best latency."""
SPREAD_MS: Final = 200
"""How far the log time moves before groups without events hear of it."""

_read_log_time: Final[Callable[[bytes], LogTime]] = json_reader(LogTime)


class Outside(NamedTuple):
    """What comes from outside the flow: ``stopping`` asks for a clean end, ``now`` wakes sources, ``pause`` waits."""

    stopping: Callable[[], bool]
    now: Callable[[], datetime]
    pause: Callable[[float], None]


class Position(NamedTuple):
    """Where a source stands. ``log_times``: of ``events``, what each partition of ``beacons`` said last."""

    topic_id: str
    offset: int
    log_times: tuple[tuple[int, int], ...] = ()


class _Partition:
    """What both sources share: a consumer of one partition, its position, and an end on demand."""

    def __init__(  # noqa: PLR0917
        self, log: Log, topic: str, name: str, partition: int, resumed: Position | None, outside: Outside
    ) -> None:
        self._topic_id = log.topic_id(topic)
        if resumed is not None and resumed.topic_id != self._topic_id:
            raise PositionGone(f"topic {topic} was made anew since this state was written: remove the recovery store")
        start = {partition: resumed.offset} if resumed is not None else {}
        ticks = topic == BEACONS
        self._consumer: Consumer = log.consumer(name, topic, [partition], start=start, ticks=ticks)
        self._partition = partition
        self._outside = outside
        self._empty = False

    def _poll(self) -> list[Record]:
        if self._outside.stopping():
            raise StopIteration
        records = self._consumer.poll(BATCH)
        self._empty = not records
        return records

    def _awake(self) -> datetime | None:
        return self._outside.now() + LOOK_AGAIN if self._empty else None

    def _offset(self) -> int:
        return self._consumer.positions()[self._partition]


class BeaconsPartition(_Partition, StatefulSourcePartition[tuple[str, list[Record]], Position]):
    """One partition of ``beacons``: each batch is one item."""

    def next_batch(self) -> list[tuple[str, list[Record]]]:
        """The next records."""
        records = self._poll()
        return [(str(self._partition), records)] if records else []

    def next_awake(self) -> datetime | None:
        """Soon, where there was nothing."""
        return self._awake()

    def snapshot(self) -> Position:
        """The next record to read."""
        return Position(self._topic_id, self._offset())

    def close(self) -> None:
        """Let the consumer go."""
        self._consumer.close()


class EventsPartition(_Partition, StatefulSourcePartition[tuple[str, FollowBatch], Position]):
    """One partition of ``events``: each batch is regrouped to one item a key group.

    Its log time is the least that the partitions of ``beacons`` have said; before each has said something it is 0.
    """

    def __init__(  # noqa: PLR0917
        self,
        log: Log,
        partition: int,
        resumed: Position | None,
        outside: Outside,
        partitions: int,
        groups: int,
    ) -> None:
        super().__init__(log, EVENTS, "follow", partition, resumed, outside)
        self._partitions, self._groups = partitions, groups
        self._times = dict.fromkeys(range(partitions), 0) | dict(resumed.log_times if resumed is not None else ())
        self._spread_ms = 0

    def next_batch(self) -> list[tuple[str, FollowBatch]]:
        """The next records, by group; every group hears of the log time now and then."""
        found: dict[int, list[tuple[Record, int]]] = {}
        now_ms = min(self._times.values())
        for record in self._poll():
            if not record.key:
                now_ms = self._heard(record, now_ms)
                continue
            found.setdefault(group_of(record.key, self._partitions, self._groups), []).append((record, now_ms))
        items = {group: FollowBatch(tuple(records), now_ms) for group, records in found.items()}
        if now_ms - self._spread_ms >= SPREAD_MS:
            self._spread_ms = now_ms
            for group in range(self._groups):
                items.setdefault(group, FollowBatch((), now_ms))
        return [(f"{self._partition}-{group}", batch) for group, batch in items.items()]

    def _heard(self, record: Record, now_ms: int) -> int:
        if record.value is None:
            return now_ms
        try:
            said = _read_log_time(record.value)
        except BadRecord:
            return now_ms  # not written by recognise: it tells no time
        if said.source in self._times:
            # A repetition after a crash may say an older time again: time never goes back.
            self._times[said.source] = max(self._times[said.source], said.log_time_ms)
        return min(self._times.values())

    def next_awake(self) -> datetime | None:
        """Soon, where there was nothing."""
        return self._awake()

    def snapshot(self) -> Position:
        """The next record to read, and the time it is."""
        return Position(self._topic_id, self._offset(), tuple(sorted(self._times.items())))

    def close(self) -> None:
        """Let the consumer go."""
        self._consumer.close()


class BeaconsSource(FixedPartitionedSource[tuple[str, list[Record]], Position]):
    """All partitions of ``beacons``."""

    def __init__(self, log: Log, partitions: int, outside: Outside) -> None:
        self._log, self._partitions, self._outside = log, partitions, outside

    def list_parts(self) -> list[str]:
        """The partitions, by number."""
        return [str(number) for number in range(self._partitions)]

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> BeaconsPartition:
        """Read one on from where it stood."""
        return BeaconsPartition(self._log, BEACONS, "recognise", int(for_part), resume_state, self._outside)


class EventsSource(FixedPartitionedSource[tuple[str, FollowBatch], Position]):
    """All partitions of ``events``."""

    def __init__(self, log: Log, partitions: int, groups: int, outside: Outside) -> None:
        self._log, self._partitions, self._groups, self._outside = log, partitions, groups, outside

    def list_parts(self) -> list[str]:
        """The partitions, by number."""
        return [str(number) for number in range(self._partitions)]

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> EventsPartition:
        """Read one on from where it stood."""
        number = int(for_part)
        return EventsPartition(self._log, number, resume_state, self._outside, self._partitions, self._groups)
