"""Writing to Kafka: one idempotent producer a process, and the thread that hears its confirmations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from contracts.errors import LogError, LogUnavailable, UnknownTopic
from contracts.log import OnPublished, Outgoing, PublishOutcome, Stored
from contracts.topics import partition_of
from transport.kafka.client import mapped

FULL_WAIT_S: Final = 0.01
"""How long to wait for room in librdkafka's queue before looking again."""
CLOSE_S: Final = 10.0


class _Confirmations:
    """Records submitted together: answered once, when the last of them has its outcome."""

    def __init__(self, size: int, done: OnPublished) -> None:
        self._outcomes: list[Any] = [None] * size
        self._left, self._done = size, done
        self._lock = threading.Lock()

    def settle(self, index: int, outcome: PublishOutcome) -> None:
        """One record's outcome."""
        with self._lock:
            self._outcomes[index] = outcome
            self._left -= 1
            finished = not self._left
        if finished:
            self._done(self._outcomes)

    def delivered(self, index: int, error: KafkaError | None, message: Message) -> None:
        """The producer's word about one record."""
        if error is not None:
            # NOTE: the topic was there when the record was taken; if the broker now says otherwise it is starting.
            self.settle(index, LogUnavailable(f"{message.topic()}: {error.str()}"))
            return
        partition, offset = message.partition(), message.offset()
        self.settle(index, Stored(partition or 0, offset or 0, message.timestamp()[1]))


class KafkaWriter:
    """The producer. Safe to share between threads. ``count_of``: a topic's partitions, or :class:`UnknownTopic`."""

    def __init__(self, config: dict[str, Any], prefix: str, count_of: Callable[[str], int]) -> None:
        self._config, self._prefix, self._count_of = config, prefix, count_of
        self._producer = Producer(config)
        self._lock = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._listen, name="segma-kafka-writer", daemon=True)
        self._thread.start()

    def submit(self, records: Sequence[Outgoing], done: OnPublished) -> None:
        """See :meth:`contracts.log.Publisher.submit`."""
        if not records:
            done([])
            return
        request = _Confirmations(len(records), done)
        for index, record in enumerate(records):
            try:
                self._produce(record, partial(request.delivered, index))
            except LogError as error:
                request.settle(index, error)

    def _produce(self, record: Outgoing, delivered: Callable[[KafkaError | None, Message], None]) -> None:
        count = self._count_of(record.topic)
        partition = partition_of(record.key, count) if record.partition is None else record.partition
        if not 0 <= partition < count:
            raise UnknownTopic(f"topic {record.topic} has no partition {partition}")
        while True:
            producer = self._producer
            try:
                producer.produce(
                    self._prefix + record.topic, record.value, record.key, partition, on_delivery=delivered
                )
            except BufferError:
                threading.Event().wait(FULL_WAIT_S)
            except KafkaException as exception:
                error = exception.args[0]
                if not error.fatal():
                    raise mapped(error, record.topic) from None
                self._renew(producer)
            else:
                return

    def _renew(self, broken: Producer) -> None:
        """Put a new producer in the place of one that has lost its way for good; what it held is told as failed."""
        with self._lock:
            if self._producer is broken:
                broken.purge()
                broken.flush(FULL_WAIT_S)
                self._producer = Producer(self._config)

    def _listen(self) -> None:
        while self._open:
            self._producer.poll(0.1)

    def close(self) -> None:
        """Wait for what was submitted, then end the thread."""
        self._producer.flush(CLOSE_S)
        self._open = False
        self._thread.join()


class KafkaPublisher:
    """The :class:`~contracts.log.Publisher` of Kafka; all publishers of a log share its producer."""

    def __init__(self, writer: KafkaWriter) -> None:
        self._writer = writer
        self._pending = 0
        self._idle = threading.Condition()

    def submit(self, records: Sequence[Outgoing], done: OnPublished) -> None:
        """See :meth:`contracts.log.Publisher.submit`."""
        with self._idle:
            self._pending += 1

        def answered(outcomes: list[PublishOutcome]) -> None:
            try:
                done(outcomes)
            finally:
                with self._idle:
                    self._pending -= 1
                    self._idle.notify_all()

        self._writer.submit(records, answered)

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        """See :meth:`contracts.log.Publisher.publish`."""
        outcomes: list[PublishOutcome] = []
        stored = threading.Event()

        def done(result: list[PublishOutcome]) -> None:
            outcomes.extend(result)
            stored.set()

        self._writer.submit(records, done)
        stored.wait()
        return outcomes

    def close(self) -> None:
        """See :meth:`contracts.log.Publisher.close`."""
        with self._idle:
            self._idle.wait_for(lambda: not self._pending)
