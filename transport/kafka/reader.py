"""Reading some partitions of a Kafka topic: assigned, in batches, with ticks where it is quiet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME as BY_THE_LOG
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from prometheus_client import Counter

from contracts.errors import LogUnavailable, PositionGone, UnknownTopic
from contracts.log import Bookmark, Outgoing, PublishOutcome, Record
from transport.kafka.client import mapped
from transport.kafka.leases import LeaseBook
from transport.kafka.topics import KafkaTopics
from transport.kafka.writer import WRITTEN_AT, KafkaPublisher

TICK_AFTER_S: Final = 0.25
"""DESIGN 6: a partition quiet for that long gets a tick from whoever reads it."""
LOOK_S: Final = 1.0
"""How often a consumer looks whether its leases are still its own."""
GAUGE_S: Final = 5.0
"""How often the position is told to the group, for Kafka's own tools: a gauge, never read back."""
PATIENCE_S: Final = 15.0
CLOCK_LOOK_MS: Final = 1_000
"""How far a stamp goes ahead of the one before it until it is held against its writer's clock."""
bounded = Counter("segma_log_time_bounded", "Records whose broker's clock was not believed: too far ahead.", ["topic"])
gone = Counter("segma_records_gone", "Records that retention took before they were read.", ["topic"])
log_line = structlog.get_logger("transport")


class Means(NamedTuple):
    """The parts of a consumer. ``go_on``: whether it passes over records that retention has taken.

    ``book`` and ``publisher`` None: a reader without lease.
    """

    consumer: Consumer
    topics: KafkaTopics
    publisher: KafkaPublisher | None
    book: LeaseBook | None
    prefix: str
    go_on: bool
    elapsed_s: Callable[[], float]
    clock_ms: int
    """How far a stamp may be ahead of the clock of the record's writer."""


class KafkaConsumer:
    """The :class:`~contracts.log.Consumer` of Kafka."""

    def __init__(
        self,
        means: Means,
        name: str,
        topic: str,
        partitions: Sequence[int],
        *,
        start: Mapping[int, int],
        from_end: bool = False,
        strict: bool = False,
        ticks: bool = False,
    ) -> None:
        for meter in (gone, bounded):
            meter.labels(topic)  # from 0 on: an alert sees the first of them only where there was none before
        self._strict = strict
        self._means, self._name, self._topic, self._ticks = means, name, topic, ticks
        self._full = means.prefix + topic
        self._topic_id = means.topics.identity(topic)
        self._generations: dict[int, int] = {}
        known: dict[int, Bookmark | None] = dict.fromkeys(partitions)
        if means.book is not None:
            for partition, (generation, committed) in means.book.take(name, topic, partitions, self._topic_id).items():
                self._generations[partition], known[partition] = generation, committed
        known |= {partition: Bookmark(offset) for partition, offset in start.items()}
        unknown = [partition for partition, mark in known.items() if mark is None]
        defaults = means.topics.offsets(topic, unknown, end=from_end)
        self._marks = {each: mark or Bookmark(defaults[each]) for each, mark in known.items()}
        self._reached = {each: mark.offset for each, mark in self._marks.items()}
        now_s = means.elapsed_s()
        self._newest_ms = dict.fromkeys(self._marks, 0)
        self._heard_s = dict.fromkeys(self._marks, now_s)
        self._at_end: set[int] = set()
        self._ticking: set[int] = set()
        self._looked_s = self._told_s = now_s
        self._assigned = False

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        """See :meth:`contracts.log.Consumer.poll`."""
        found = self._consume(max_records, timeout_s)
        now_s = self._means.elapsed_s()
        looks = now_s - self._looked_s >= LOOK_S
        if looks:
            self._looked_s = now_s
            self._check_topic()
        if self._means.book is None:
            return found if found or not self._strict else self._what_is_there(max_records)
        if looks:
            self._means.book.check(self._name, self._topic, self._generations)
        if now_s - self._told_s >= GAUGE_S:
            self._told_s = now_s
            self._tell()
        if self._ticks:
            self._tick(now_s)
        return found

    def _check_topic(self) -> None:
        if self._means.topics.made_anew(self._topic, self._topic_id):
            raise PositionGone(f"topic {self._topic} was made anew: what was read of it stood in another one")

    def _consume(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return the next records that are here; waits for the first, but not once the partitions' ends are reached."""
        until = self._means.elapsed_s() + timeout_s
        while True:
            left = max(until - self._means.elapsed_s(), 0.0)
            messages = self._fetched(max_records, left)
            found = [record for message in messages if (record := self._taken(message)) is not None]
            if found or not messages:
                return found

    def _fetched(self, max_records: int, timeout_s: float) -> list[Any]:
        """Return the messages that are here; where there are none, the first that comes in time and those beside it."""
        consume = self._means.consumer.consume
        try:
            if not self._assigned:
                # PERF: not before it is read, so that nothing is fetched ahead from where nobody will begin.
                self._assigned = True
                self._means.consumer.assign([self._place(partition) for partition in self._marks])
            # NOTE: `consume(n, t)` waits all of t for all of n, so the waiting is done for one.
            messages = consume(max_records, 0)
            if not messages and timeout_s > 0:
                messages = consume(1, timeout_s)
                if messages and max_records > 1:
                    messages += consume(max_records - 1, 0)
        except KafkaException as exception:
            raise mapped(exception.args[0], self._topic) from None
        return messages

    def _place(self, partition: int) -> TopicPartition:
        """Return the place to go on from. By the epoch librdkafka asks the leader whether its log still has it."""
        offset, epoch = self._marks[partition]
        if epoch < 0:
            return TopicPartition(self._full, partition, offset)
        return TopicPartition(self._full, partition, offset, leader_epoch=epoch)

    def _taken(self, message: Any) -> Record | None:
        partition, error = message.partition(), message.error()
        if error is not None:
            self._told(partition, error, message.offset())
            return None
        kind, at_ms = message.timestamp()
        if kind != BY_THE_LOG:
            raise UnknownTopic(f"topic {self._topic} is not stamped by the log: message.timestamp.type=LogAppendTime")
        newest_ms = self._newest_ms[partition]
        if at_ms - newest_ms > CLOCK_LOOK_MS:
            at_ms = self._believed_ms(at_ms, message.headers())
        # NOTE: Kafka's stamp goes back where its broker's clock is set back, or another broker takes over.
        at_ms = self._newest_ms[partition] = max(at_ms, newest_ms)
        epoch = message.leader_epoch()
        self._marks[partition] = Bookmark(message.offset() + 1, -1 if epoch is None else epoch)
        self._reached[partition] = message.offset() + 1
        self._heard_s[partition] = self._means.elapsed_s()
        self._at_end.discard(partition)
        return Record(self._topic, partition, message.offset(), at_ms, message.key() or b"", message.value())

    def _believed_ms(self, at_ms: int, headers: Sequence[tuple[str, bytes]] | None) -> int:
        """A stamp, held against the clock of the record's writer; a record of an older release has none."""
        written = dict(headers or ()).get(WRITTEN_AT)
        if written is None:
            return at_ms
        most_ms = int(written) + self._means.clock_ms
        if at_ms > most_ms:
            bounded.labels(self._topic).inc()
        return min(at_ms, most_ms)

    def _told(self, partition: int, error: KafkaError, offset: int | None) -> None:
        """Handle an error in the place of a message: the end of a partition, a gap, or a fault, which it raises."""
        if error.code() == KafkaError._PARTITION_EOF:
            # NOTE: the end is beyond the last record where a transaction's marker, or a gap, stands there.
            self._reached[partition] = max(self._reached[partition], offset or 0)
            self._at_end.add(partition)
            return
        fault = mapped(error, f"{self._topic}/{partition}")
        if isinstance(fault, PositionGone):
            self._over_the_gap(partition)
        elif not error.retriable():
            raise fault

    def _over_the_gap(self, partition: int) -> None:
        position = self._marks[partition].offset
        first = self._means.topics.offsets(self._topic, [partition], end=False)[partition]
        end = self._means.topics.offsets(self._topic, [partition], end=True)[partition]
        place = f"{self._topic}/{partition}"
        if first <= position <= end:
            raise PositionGone(
                f"{place}: the log lost its end and has grown anew: offset {position} belongs to records that are gone"
            )
        if not self._means.go_on or position > end:
            raise PositionGone(f"{place}: offset {position} is gone, the log keeps {first} to {end}")
        log_line.error("records_gone", place=place, records=first - position, go_on_from=first)
        gone.labels(self._topic).inc(first - position)
        self.seek(partition, first)

    def _what_is_there(self, max_records: int) -> list[Record]:
        """A reader says "nothing" only when it has returned all that was in the log when it was asked."""
        ends = self._means.topics.offsets(self._topic, list(self._reached), end=True)
        until = self._means.elapsed_s() + PATIENCE_S
        while any(self._reached[partition] < end for partition, end in ends.items()):
            if found := self._consume(max_records, 0.1):
                return found
            if self._means.elapsed_s() > until:
                raise LogUnavailable(f"{self._topic} cannot be read now")
        return []

    def _tick(self, now_s: float) -> None:
        """Send a tick into each quiet partition of ours that was read to its end, without waiting for it."""
        quiet = [each for each in self._at_end - self._ticking if now_s - self._heard_s[each] >= TICK_AFTER_S]
        if not quiet or self._means.book is None or self._means.publisher is None:
            return
        self._means.book.check(self._name, self._topic, self._generations)
        self._ticking.update(quiet)

        def sent(_: list[PublishOutcome]) -> None:
            # Stored or not, the next one is due after the usual time.
            self._heard_s.update(dict.fromkeys(quiet, self._means.elapsed_s()))
            self._ticking.difference_update(quiet)

        self._means.publisher.submit([Outgoing(self._topic, b"", None, partition) for partition in quiet], sent)

    def _tell(self) -> None:
        offsets = [TopicPartition(self._full, *place) for place in self._reached.items()]
        try:
            self._means.consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as exception:
            log_line.warning("gauge_not_told", topic=self._topic, detail=str(exception.args[0]))

    def commit(self, positions: Mapping[int, int]) -> None:
        """See :meth:`contracts.log.Consumer.commit`."""
        if self._means.book is not None:
            marks = {each: self._mark_at(each, offset) for each, offset in positions.items()}
            self._means.book.commit(self._name, self._topic, marks, self._generations, self._topic_id)

    def _mark_at(self, partition: int, offset: int) -> Bookmark:
        """A position with its epoch: what was read last has the newest, and no older position has a later one."""
        mark = self._marks[partition]
        return Bookmark(offset, mark.epoch if offset <= mark.offset else -1)

    def positions(self) -> dict[int, int]:
        """See :meth:`contracts.log.Consumer.positions`."""
        return dict(self._reached)

    def bookmark(self, partition: int) -> Bookmark:
        """See :meth:`contracts.log.Consumer.bookmark`."""
        return self._marks[partition]

    def seek(self, partition: int, offset: int, epoch: int = -1) -> None:
        """See :meth:`contracts.log.Consumer.seek`."""
        self._marks[partition] = Bookmark(offset, epoch)
        self._reached[partition] = offset
        self._at_end.discard(partition)
        # NOTE: assigned anew, which drops what was fetched ahead; librdkafka's own seek fails before the first fetch.
        self._assigned = False

    def close(self) -> None:
        """See :meth:`contracts.log.Consumer.close`. A lease needs no word: the next claim outranks it."""
        self._means.consumer.close()
