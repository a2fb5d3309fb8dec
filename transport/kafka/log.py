"""Apache Kafka as the log, through confluent-kafka (ADR 0004)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer

from contracts.topics import Topic
from transport.config import Settings, Surroundings
from transport.kafka.client import consumer_config, producer_config
from transport.kafka.leases import LEASES, LeaseBook
from transport.kafka.reader import KafkaConsumer, Means
from transport.kafka.topics import KafkaTopics
from transport.kafka.writer import KafkaPublisher, KafkaWriter


class KafkaLog:
    """The :class:`~contracts.log.Log` of a Kafka cluster."""

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._settings, self._around = settings, around
        self.kafka_topics = KafkaTopics(settings, around.elapsed_s)
        """Beyond the seam: what ``segma topics`` looks at."""
        self._writer: KafkaWriter | None = None
        self._book: LeaseBook | None = None
        self._lock = threading.RLock()

    def ensure(self, topics: Sequence[Topic]) -> None:
        """See :meth:`contracts.log.Log.ensure`."""
        self.kafka_topics.ensure(topics)

    def topics(self) -> list[Topic]:
        """See :meth:`contracts.log.Log.topics`."""
        return [topic for topic in self.kafka_topics.all() if topic.name != LEASES.name]

    def topic_id(self, topic: str) -> str:
        """See :meth:`contracts.log.Log.topic_id`."""
        return self.kafka_topics.identity(topic)

    def publisher(self) -> KafkaPublisher:
        """See :meth:`contracts.log.Log.publisher`."""
        with self._lock:
            if self._writer is None:
                config = producer_config(self._settings)
                topics = self.kafka_topics
                prefix, now_ms = self._settings.kafka_prefix, self._around.now_ms
                self._writer = KafkaWriter(config, prefix, topics.count, topics.suspect, now_ms)
        return KafkaPublisher(self._writer)

    def consumer(
        self,
        name: str,
        topic: str,
        partitions: Sequence[int] | None = None,
        *,
        start: Mapping[int, int] | None = None,
        ticks: bool = False,
    ) -> KafkaConsumer:
        """See :meth:`contracts.log.Log.consumer`."""
        count = self.kafka_topics.count(topic)
        means = self._means(self._settings.kafka_prefix + name, self._leases())
        chosen = range(count) if partitions is None else partitions
        return KafkaConsumer(means, name, topic, chosen, start=start or {}, ticks=ticks)

    def reader(self, topic: str, *, from_end: bool = False, strict: bool = True) -> KafkaConsumer:
        """See :meth:`contracts.log.Log.reader`."""
        partitions = range(self.kafka_topics.count(topic))
        means = self._means("reader", None)
        return KafkaConsumer(means, "", topic, partitions, start={}, from_end=from_end, strict=strict)

    def start(self, topic: str) -> dict[int, int]:
        """See :meth:`contracts.log.Log.start`."""
        return self.kafka_topics.offsets(topic, range(self.kafka_topics.count(topic)), end=False)

    def end(self, topic: str) -> dict[int, int]:
        """See :meth:`contracts.log.Log.end`."""
        return self.kafka_topics.offsets(topic, range(self.kafka_topics.count(topic)), end=True)

    def close(self) -> None:
        """See :meth:`contracts.log.Log.close`."""
        with self._lock:
            if self._book is not None:
                self._book.close()
                self._book = None
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _leases(self) -> LeaseBook:
        with self._lock:
            if self._book is None:
                consumer = Consumer(consumer_config(self._settings, "leases"))
                self._book = LeaseBook(
                    consumer, self.publisher(), self.kafka_topics, self._settings.kafka_prefix, self._around.elapsed_s
                )
            return self._book

    def _means(self, group: str, book: LeaseBook | None) -> Means:
        return Means(
            Consumer(consumer_config(self._settings, group)),
            self.kafka_topics,
            None if book is None else self.publisher(),
            book,
            self._settings.kafka_prefix,
            self._settings.kafka_go_on,
            self._around.elapsed_s,
            self._settings.kafka_clock_ms,
        )
