"""Reading some partitions of a Kafka topic: assigned, in batches, with ticks where it is quiet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME as BY_THE_LOG
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from prometheus_client import Counter

from contracts.errors import LogUnavailable, PositionGone, UnknownTopic
from contracts.log import Outgoing, PublishOutcome, Record
from transport.kafka.client import mapped
from transport.kafka.leases import LeaseBook
from transport.kafka.topics import KafkaTopics
from transport.kafka.writer import KafkaPublisher

TICK_AFTER_S: Final = 0.25
"""DESIGN 6: a partition quiet for that long gets a tick from whoever reads it."""
LOOK_S: Final = 1.0
"""How often a consumer looks whether its leases are still its own."""
GAUGE_S: Final = 5.0
"""How often the position is told to the group, for Kafka's own tools: a gauge, never read back."""
PATIENCE_S: Final = 15.0
gone = Counter("segma_records_gone", "Records that retention took before they were read.", ["topic"])
log_line = structlog.get_logger("transport")


class Means(NamedTuple):
    """What a consumer is made with. ``go_on``: over what retention has taken.

    ``book`` and ``publisher`` None: a reader without lease.
    """

    consumer: Consumer
    topics: KafkaTopics
    publisher: KafkaPublisher | None
    book: LeaseBook | None
    prefix: str
    go_on: bool
    elapsed_s: Callable[[], float]


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
        self._strict = strict
        self._means, self._name, self._topic, self._ticks = means, name, topic, ticks
        self._full = means.prefix + topic
        self._generations: dict[int, int] = {}
        known: dict[int, int | None] = dict.fromkeys(partitions)
        if means.book is not None:
            for partition, (generation, committed) in means.book.take(name, topic, partitions).items():
                self._generations[partition], known[partition] = generation, committed
        known |= start
        unknown = [partition for partition, position in known.items() if position is None]
        defaults = means.topics.offsets(topic, unknown, end=from_end)
        self._positions = {
            each: position if position is not None else defaults[each] for each, position in known.items()
        }
        now_s = means.elapsed_s()
        self._newest_ms = dict.fromkeys(self._positions, 0)
        self._heard_s = dict.fromkeys(self._positions, now_s)
        self._at_end: set[int] = set()
        self._ticking: set[int] = set()
        self._looked_s = self._told_s = now_s
        self._assigned = False

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        """See :meth:`contracts.log.Consumer.poll`."""
        found = self._consume(max_records, timeout_s)
        if self._means.book is None:
            return found if found or not self._strict else self._what_is_there(max_records)
        now_s = self._means.elapsed_s()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._means.book.check(self._name, self._topic, self._generations)
        if now_s - self._told_s >= GAUGE_S:
            self._told_s = now_s
            self._tell()
        if self._ticks:
            self._tick(now_s)
        return found

    def _consume(self, max_records: int, timeout_s: float) -> list[Record]:
        """The next records that are here; waits for the first, but not for an end that is told."""
        until = self._means.elapsed_s() + timeout_s
        while True:
            left = max(until - self._means.elapsed_s(), 0.0)
            messages = self._fetched(max_records, left)
            found = [record for message in messages if (record := self._taken(message)) is not None]
            if found or not messages:
                return found

    def _fetched(self, max_records: int, timeout_s: float) -> list[Any]:
        """Messages that are here; if none is, the first that comes in time and what came with it."""
        consume = self._means.consumer.consume
        try:
            if not self._assigned:
                # PERF: not before it is read, so that nothing is fetched ahead from where nobody will begin.
                self._assigned = True
                places = [TopicPartition(self._full, *place) for place in self._positions.items()]
                self._means.consumer.assign(places)
            # NOTE: `consume(n, t)` waits all of t for all of n, so the waiting is done for one.
            messages = consume(max_records, 0)
            if not messages and timeout_s > 0:
                messages = consume(1, timeout_s)
                if messages and max_records > 1:
                    messages += consume(max_records - 1, 0)
        except KafkaException as exception:
            raise mapped(exception.args[0], self._topic) from None
        return messages

    def _taken(self, message: Any) -> Record | None:
        partition, error = message.partition(), message.error()
        if error is not None:
            self._told(partition, error)
            return None
        kind, at_ms = message.timestamp()
        if kind != BY_THE_LOG:
            raise UnknownTopic(f"topic {self._topic} is not stamped by the log: message.timestamp.type=LogAppendTime")
        # NOTE: Kafka's stamp goes back where its broker's clock is set back, or another broker takes over.
        at_ms = self._newest_ms[partition] = max(at_ms, self._newest_ms[partition])
        self._positions[partition] = message.offset() + 1
        self._heard_s[partition] = self._means.elapsed_s()
        self._at_end.discard(partition)
        return Record(self._topic, partition, message.offset(), at_ms, message.key() or b"", message.value())

    def _told(self, partition: int, error: KafkaError) -> None:
        """What stands in the place of a message: the end of a partition, or a fault."""
        if error.code() == KafkaError._PARTITION_EOF:
            self._at_end.add(partition)
            return
        fault = mapped(error, f"{self._topic}/{partition}")
        if isinstance(fault, PositionGone):
            self._over_the_gap(partition)
        elif not error.retriable():
            raise fault

    def _over_the_gap(self, partition: int) -> None:
        position = self._positions[partition]
        first = self._means.topics.offsets(self._topic, [partition], end=False)[partition]
        end = self._means.topics.offsets(self._topic, [partition], end=True)[partition]
        place = f"{self._topic}/{partition}"
        if not self._means.go_on or position > end:
            raise PositionGone(f"{place}: offset {position} is gone, the log keeps {first} to {end}")
        log_line.error("records_gone", place=place, records=first - position, go_on_from=first)
        gone.labels(self._topic).inc(first - position)
        self.seek(partition, first)

    def _what_is_there(self, max_records: int) -> list[Record]:
        """A reader says "nothing" only when it has returned all that was in the log when it was asked."""
        ends = self._means.topics.offsets(self._topic, list(self._positions), end=True)
        until = self._means.elapsed_s() + PATIENCE_S
        while any(self._positions[partition] < end for partition, end in ends.items()):
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
        offsets = [TopicPartition(self._full, *place) for place in self._positions.items()]
        try:
            self._means.consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as exception:
            log_line.warning("gauge_not_told", topic=self._topic, detail=str(exception.args[0]))

    def commit(self, positions: Mapping[int, int]) -> None:
        """See :meth:`contracts.log.Consumer.commit`."""
        if self._means.book is not None:
            self._means.book.commit(self._name, self._topic, positions, self._generations)

    def positions(self) -> dict[int, int]:
        """See :meth:`contracts.log.Consumer.positions`."""
        return dict(self._positions)

    def seek(self, partition: int, offset: int) -> None:
        """See :meth:`contracts.log.Consumer.seek`."""
        self._positions[partition] = offset
        self._at_end.discard(partition)
        # NOTE: assigned anew, which drops what was fetched ahead; librdkafka's own seek fails before the first fetch.
        self._assigned = False

    def close(self) -> None:
        """See :meth:`contracts.log.Consumer.close`. A lease needs no word: the next claim outranks it."""
        self._means.consumer.close()
