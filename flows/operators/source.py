"""Bytewax sources over the log. Positions live in the recovery store, beside the topic's id (DESIGN 7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, NamedTuple, TypeGuard

import structlog
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from contracts.codec import Value, msgpack_reader, replaced, to_msgpack, written
from contracts.errors import LogUnavailable, PositionGone
from contracts.log import Consumer, Log, Record
from contracts.topics import BEACONS, EVENTS
from flows.operators.logic import FollowBatch
from flows.operators.meters import watch_lag
from flows.operators.regroup import Regroup
from flows.operators.watermark import Clock

BATCH: Final = 2_000
LOOK_AGAIN: Final = timedelta(milliseconds=5)
"""Measured (DESIGN 7): polling without waiting, and looking again after 5 ms, has the best latency."""
PATIENCE: Final = timedelta(seconds=60)
"""How long a log that cannot be read now is asked again before the process ends with its words."""
SPREAD_MS: Final = 200
"""How far the log time moves before groups without events hear of it."""

log_line = structlog.get_logger("flows")


class ProcessContext(NamedTuple):
    """What the process gives the flow: ``stopping`` asks for a clean end, ``now`` wakes sources, ``pause`` waits.

    ``share``: this process is the first of ``(0, n)``, the second, … of ``n`` that own the partitions in turn.
    ``settle_ms``: how long what a gap in log time may have kept back is awaited.
    """

    stopping: Callable[[], bool]
    now: Callable[[], datetime]
    pause: Callable[[float], None]
    share: tuple[int, int] = (0, 1)
    settle_ms: int = 10_000

    def owned(self, partitions: int) -> list[str]:
        """The partitions that belong to this process, as Bytewax names them."""
        index, of = self.share
        return [str(number) for number in range(partitions) if number % of == index]


SourceItem = tuple[str, list[Record] | FollowBatch]
"""Of ``beacons``: a partition and its records; of ``events``: a group and what came to it."""


class Position(NamedTuple):
    """The position in a partition, with the clocks of ``beacons``' partitions (of ``beacons`` itself: its own)."""

    topic_id: str
    offset: int
    clocks: tuple[tuple[int, Clock], ...] = ()
    epoch: int = -1
    """Of the leader that wrote what was read last; a store of an older release has none."""


class Positions(Value, frozen=True):
    """The position of each partition of a process, as the recovery store has them."""

    SCHEMA: ClassVar[int] = 1

    by_lane: dict[str, Position]
    schema: int = written(1)


_read_positions: Final = msgpack_reader(Positions)


def positions_in(state: bytes | dict[str, Position] | None) -> dict[str, Position]:
    """The position of each lane (``0.N``: partition N of ``beacons``; ``1.N``: of ``events``) in a kept state.

    Raises :class:`BadRecord` for positions of a newer release.
    """
    # NOTE: a mapping is what older releases kept, pickled by Bytewax with the classes' names.
    return _read_positions(state).by_lane if isinstance(state, bytes) else state or {}


class Opened:
    """The consumers of this process's partitions of a topic, all open before the first record is read.

    They are opened before the dataflow runs, so that a log which cannot be read ends the start and not a batch.
    """

    def __init__(self, log: Log, topic: str, name: str, partitions: int, context: ProcessContext) -> None:
        self.topic, self.context, self.partitions = topic, context, partitions
        self.topic_id = log.topic_id(topic)
        self.parts = context.owned(partitions)
        self._consumers = {part: log.consumer(name, topic, [int(part)], ticks=topic == BEACONS) for part in self.parts}

    def consumer(self, part: str, resumed: Position | None) -> Consumer:
        """The consumer of a partition, where its state left off. Raises :class:`PositionGone`."""
        consumer = self._consumers.pop(part)
        if resumed is None:
            return consumer
        if resumed.topic_id != self.topic_id:
            raise PositionGone(f"topic {self.topic} was made anew since this state was written: remove the store")
        consumer.seek(int(part), resumed.offset, resumed.epoch)
        return consumer


class _Partition:
    """A consumer of one partition with its position, which ends on demand: the part that both sources share."""

    def __init__(self, opened: Opened, part: str, resumed: Position | None) -> None:
        self._consumer = opened.consumer(part, resumed)
        self._topic_id, self._context = opened.topic_id, opened.context
        self._partition = int(part)
        self._empty = False
        self._away_since: datetime | None = None
        self._clocks = dict(resumed.clocks) if resumed is not None else {}

    def _poll(self) -> list[Record]:
        """The next records; none while the log cannot be read. Raises :class:`LogUnavailable` where that goes on."""
        if self._context.stopping():
            raise StopIteration
        try:
            records = self._consumer.poll(BATCH)
            self._away_since = None
        except LogUnavailable as error:
            records = self._await_log(error)
        self._empty = not records
        return records

    def _await_log(self, error: LogUnavailable) -> list[Record]:
        now = self._context.now()
        if self._away_since is None:
            self._away_since = now
            log_line.warning("log_unavailable", detail=str(error))
        if now - self._away_since > PATIENCE:
            raise error
        return []

    def _awake(self) -> datetime | None:
        return self._context.now() + LOOK_AGAIN if self._empty else None

    def snapshot(self) -> Position:
        """The next record to read, and the time it is."""
        mark = self._consumer.bookmark(self._partition)
        return Position(self._topic_id, mark.offset, tuple(sorted(self._clocks.items())), mark.epoch)


class BeaconsPartition(_Partition, StatefulSourcePartition[tuple[str, list[Record]], Position]):
    """One partition of ``beacons``: each batch is one item."""

    def next_batch(self) -> list[tuple[str, list[Record]]]:
        """The next records."""
        records = self._poll()
        if not records:
            return []
        # NOTE: of one partition time never goes back, whatever a broker's clock does, nor over a restart.
        newest_ms = self._clocks.get(self._partition, Clock()).newest_ms
        for number, record in enumerate(records):
            if record.log_time_ms < newest_ms:
                records[number] = replaced(record, log_time_ms=newest_ms)
            else:
                newest_ms = record.log_time_ms
        self._clocks[self._partition] = Clock(newest_ms)
        return [(str(self._partition), records)]

    def next_awake(self) -> datetime | None:
        """Soon, where there was nothing."""
        return self._awake()

    def close(self) -> None:
        """Let the consumer go."""
        self._consumer.close()


class EventsPartition(_Partition, StatefulSourcePartition[tuple[str, FollowBatch], Position]):
    """One partition of ``events``: each batch is regrouped to one item a key group (:mod:`flows.operators.regroup`)."""

    def __init__(self, opened: Opened, part: str, resumed: Position | None, groups: int) -> None:
        super().__init__(opened, part, resumed)
        self._groups = groups
        self._regroup = Regroup(opened.partitions, groups, opened.context.settle_ms, self._clocks)
        self._clocks = self._regroup.clocks
        self._spread_ms = 0
        watch_lag(self._partition, lambda: self._context.now().timestamp() - self._regroup.now_ms / 1_000)

    def next_batch(self) -> list[tuple[str, FollowBatch]]:
        """The next records, by group; every group hears of the log time now and then."""
        found = self._regroup.split(self._poll())
        now_ms = self._regroup.now_ms
        part = self._partition
        items = {group: FollowBatch(tuple(records), now_ms, (part, group)) for group, records in found.items()}
        if now_ms - self._spread_ms >= SPREAD_MS:
            self._spread_ms = now_ms
            for group in range(self._groups):
                items.setdefault(group, FollowBatch((), now_ms, (part, group)))
        return [(f"{part}-{group}", batch) for group, batch in items.items()]

    def next_awake(self) -> datetime | None:
        """Soon, where there was nothing."""
        return self._awake()

    def close(self) -> None:
        """Let the consumer go."""
        self._consumer.close()


class BeaconsSource(FixedPartitionedSource[tuple[str, list[Record]], Position]):
    """The partitions of ``beacons`` that belong to this process."""

    def __init__(self, log: Log, partitions: int, context: ProcessContext) -> None:
        self._opened = Opened(log, BEACONS, "recognise", partitions, context)

    def list_parts(self) -> list[str]:
        """Those of this process, by number."""
        return self._opened.parts

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> BeaconsPartition:
        """Read one on from where it stood."""
        return BeaconsPartition(self._opened, for_part, resume_state)


class EventsSource(FixedPartitionedSource[tuple[str, FollowBatch], Position]):
    """The partitions of ``events`` that belong to this process."""

    def __init__(self, log: Log, partitions: int, groups: int, context: ProcessContext) -> None:
        self._opened, self._groups = Opened(log, EVENTS, "follow", partitions, context), groups

    def list_parts(self) -> list[str]:
        """Those of this process, by number."""
        return self._opened.parts

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> EventsPartition:
        """Read one on from where it stood."""
        return EventsPartition(self._opened, for_part, resume_state, self._groups)


class MergedSource(FixedPartitionedSource[SourceItem, bytes]):
    """All partitions of several sources as one partition of Bytewax's.

    NOTE: Bytewax counts the epochs of each of its partitions by themselves, from when that one last ended an epoch, and
    lets none go on in an epoch that another has not reached. Their distance walks at random, up to a whole epoch; the
    one ahead stands still that long in each, and the worker spins meanwhile (ADR 0009). One partition waits for nobody.
    """

    def __init__(self, *sources: FixedPartitionedSource[Any, Position]) -> None:
        self._sources = sources

    def list_parts(self) -> list[str]:
        """The one."""
        return ["log"]

    def build_part(
        self, step_id: str, for_part: str, resume_state: bytes | dict[str, Position] | None
    ) -> MergedPartition:
        """Read all on from where they stood. Raises :class:`BadRecord` for positions of a newer release."""
        stood = positions_in(resume_state)
        lanes: dict[str, StatefulSourcePartition[Any, Position]] = {}
        for number, source in enumerate(self._sources):
            for part in source.list_parts():
                name = f"{number}.{part}"
                lanes[name] = source.build_part(step_id, part, stood.get(name))
        return MergedPartition(lanes)


def is_of_beacons(item: SourceItem) -> TypeGuard[tuple[str, list[Record]]]:
    """Whether an item came from ``beacons``; the others came from ``events``."""
    return isinstance(item[1], list)


class MergedPartition(StatefulSourcePartition[SourceItem, bytes]):
    """Partitions that are read in turn, by name."""

    def __init__(self, lanes: dict[str, StatefulSourcePartition[Any, Position]]) -> None:
        self._lanes = lanes

    def next_batch(self) -> list[SourceItem]:
        """The next of each. Raises ``StopIteration`` where one has ended; never with something in hand."""
        found: list[SourceItem] = []
        for lane in self._lanes.values():
            try:
                found += lane.next_batch()
            except StopIteration:
                # What was taken is behind the positions already: it goes out first. Who asked for the end asks again.
                if found:
                    return found
                raise
        return found

    def next_awake(self) -> datetime | None:
        """As soon as the first of them."""
        awake = [lane.next_awake() for lane in self._lanes.values()]
        due = [each for each in awake if each is not None]
        return min(due) if len(due) == len(awake) else None

    def snapshot(self) -> bytes:
        """:class:`Positions` (MessagePack): of bytes no pickle names a class that may be called otherwise one day."""
        return to_msgpack(Positions({name: lane.snapshot() for name, lane in self._lanes.items()}))

    def close(self) -> None:
        """Let all go."""
        for lane in self._lanes.values():
            lane.close()
