"""Leases and positions of consumers, in a compacted topic of their own, decided by the log's order.

A claim is a record; its offset is the claim's *generation*, so the newest claim on a partition outranks the others
without anybody having to count. A position is a record with the generation of its writer: it counts where that
generation is the newest at that place of the log. Who commits reads the topic up to its own record and so learns
whether it still holds the lease. Nothing times out, and a killed holder leaves nothing behind.

Before a position stands, in a record of its own, to which history of the topic it belongs: the leader's epoch and the
topic's id. Its key begins as a claim's does and names no consumer, so a release that does not know it passes it over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from contracts.errors import LogError, LogUnavailable, PositionGone, StaleConsumer
from contracts.log import Bookmark, Outgoing, Stored
from contracts.topics import Topic
from transport.kafka.client import mapped
from transport.kafka.topics import KafkaTopics
from transport.kafka.writer import KafkaPublisher

LEASES: Final = Topic("leases", 1, compacted=True, retention_ms=0)
PATIENCE_S: Final = 15.0
HISTORY: Final = "|"
"""In front of the name in the key of a history: no consumer's name begins so."""

Lease = tuple[str, str, int]
"""Consumer's name, topic, partition."""


class LeaseBook:
    """The leases, as far as they were read. Safe to share between threads."""

    def __init__(
        self,
        consumer: Consumer,
        publisher: KafkaPublisher,
        topics: KafkaTopics,
        prefix: str,
        elapsed_s: Callable[[], float],
    ) -> None:
        topics.ensure([LEASES])
        self._consumer, self._publisher, self._elapsed = consumer, publisher, elapsed_s
        self._next = topics.offsets(LEASES.name, [0], end=False)[0]
        consumer.assign([TopicPartition(prefix + LEASES.name, 0, self._next)])
        self._lock = threading.Lock()
        self._holders: dict[str, int] = {}
        self._positions: dict[str, int] = {}
        self._histories: dict[str, tuple[int, str]] = {}

    def take(
        self, name: str, topic: str, partitions: Sequence[int], topic_id: str
    ) -> dict[int, tuple[int, Bookmark | None]]:
        """Claim partitions: the generation and the committed position of each.

        Raises :class:`PositionGone` where a position belongs to another topic of that name.
        """
        keys = {partition: _key(name, topic, partition) for partition in partitions}
        offsets = self._write([(f"c|{key}", b"1") for key in keys.values()])
        generations = dict(zip(partitions, offsets, strict=True))
        with self._lock:
            self._read_to(max(offsets))
            committed = {partition: self._committed(key, topic_id) for partition, key in keys.items()}
        # Carried over under the new generation: so compaction never has to keep what an older one wrote.
        carried = [
            record
            for partition, mark in committed.items()
            if mark is not None
            for record in _records(f"{keys[partition]}|{generations[partition]}", mark, topic_id)
        ]
        if carried:
            self._write(carried)
        return {partition: (generations[partition], committed[partition]) for partition in partitions}

    def _committed(self, key: str, topic_id: str) -> Bookmark | None:
        position = self._positions.get(key)
        if position is None:
            return None
        epoch, of_topic = self._histories.get(key, (-1, topic_id))
        if of_topic != topic_id:
            raise PositionGone(f"{key}: the topic was made anew since offset {position} was committed")
        return Bookmark(position, epoch)

    def commit(
        self,
        name: str,
        topic: str,
        marks: Mapping[int, Bookmark],
        generations: Mapping[int, int],
        topic_id: str,
    ) -> None:
        """Remember positions. Raises :class:`StaleConsumer` where a lease is another's; then that one is not moved."""
        records = [
            record
            for partition, mark in marks.items()
            for record in _records(f"{_key(name, topic, partition)}|{generations[partition]}", mark, topic_id)
        ]
        if not records:
            return
        offsets = self._write(records)
        with self._lock:
            self._read_to(max(offsets))
        self._check(name, topic, {partition: generations[partition] for partition in marks})

    def check(self, name: str, topic: str, generations: Mapping[int, int]) -> None:
        """Raise :class:`StaleConsumer` where a lease is another's, as far as has been heard; it costs no waiting."""
        with self._lock:
            while self._take_in(self._consumer.consume(1_000, 0)):
                pass
        self._check(name, topic, generations)

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def _check(self, name: str, topic: str, generations: Mapping[int, int]) -> None:
        for partition, generation in generations.items():
            if self._holders.get(_key(name, topic, partition), generation) > generation:
                raise StaleConsumer(f"{name} on {topic}/{partition}: somebody else holds the lease")

    def _write(self, records: Sequence[tuple[str, bytes]]) -> list[int]:
        outcomes = self._publisher.publish([Outgoing(LEASES.name, key.encode(), value, 0) for key, value in records])
        for outcome in outcomes:
            if isinstance(outcome, LogError):
                raise outcome
        return [outcome.offset for outcome in outcomes if isinstance(outcome, Stored)]

    def _read_to(self, offset: int) -> None:
        until = self._elapsed() + PATIENCE_S
        while self._next <= offset:
            # NOTE: `consume(n, t)` waits all of t for all of n.
            self._take_in(self._consumer.consume(1_000, 0) or self._consumer.consume(1, 0.1))
            if self._elapsed() > until:
                raise LogUnavailable("the leases cannot be read now")

    def _take_in(self, messages: Sequence[Any]) -> bool:
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise mapped(error, LEASES.name)
                continue
            self._next = message.offset() + 1
            self._take_one(message.key().decode(), message.value(), message.offset())
        return any(message.error() is None for message in messages)

    def _take_one(self, record_key: str, value: bytes, offset: int) -> None:
        kind, _, rest = record_key.partition("|")
        of_history = rest.startswith(HISTORY)
        if kind == "c" and not of_history:
            self._holders[rest] = offset
            return
        key, _, generation = rest.removeprefix(HISTORY).rpartition("|")
        if self._holders.get(key) != int(generation):
            return
        if of_history:
            epoch, _, topic_id = value.decode().partition(" ")
            self._histories[key] = int(epoch), topic_id
        else:
            self._positions[key] = int(value)


def _records(key: str, mark: Bookmark, topic_id: str) -> list[tuple[str, bytes]]:
    """A position's records: first its history, so that no crash leaves a new position with an old one."""
    return [(f"c|{HISTORY}{key}", f"{mark.epoch} {topic_id}".encode()), (f"p|{key}", b"%d" % mark.offset)]


def _key(name: str, topic: str, partition: int) -> str:
    return f"{name}|{topic}|{partition}"
