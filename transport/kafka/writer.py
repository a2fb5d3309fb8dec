"""Writing to Kafka: idempotent producers, renewed where one is lost, and the thread that hears their confirmations."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from prometheus_client import Counter

from contracts.errors import LogError, LogUnavailable, UnknownTopic
from contracts.log import OnPublished, Outgoing, PublishOutcome, Stored
from contracts.topics import BEACONS, partition_of
from transport.kafka.client import write_fault

FULL_WAIT_S: Final = 0.01
"""How long to wait for room in librdkafka's queue before looking again."""
CLOSE_S: Final = 10.0
RENEW_S: Final = 1.0
"""How long a producer that was lost stays so before a new one is made: a fault that lasts makes no storm of them."""
PURGE_LOOKS: Final = 100
WRITTEN_AT: Final = "at"
"""The header that carries its writer's clock, in decimal milliseconds (of beacons and ticks: the log's time)."""
_LOST: Final = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT, KafkaError._FATAL}
renewed = Counter("segma_kafka_producers_renewed", "Producers that were lost for good and made anew.")
log_line = structlog.get_logger("transport")

RecordHeaders = list[tuple[str, str | bytes | None]]
Delivered = Callable[[KafkaError | None, Message], None]
"""librdkafka's word about one record."""


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


class _Lane:
    """One producer. A fatal error, which ends librdkafka's for good, is told and followed by a new one."""

    def __init__(self, config: dict[str, Any], *, fed_by_its_hearer: bool = False) -> None:
        """``fed_by_its_hearer``: records come from the thread that hears the confirmations, which alone make room."""
        self._config, self._fed_by_its_hearer = config, fed_by_its_hearer
        self._producer = Producer(config)
        self.fault: LogError | None = None
        """Why nothing can be written now; None: it can."""
        self._closed = threading.Event()

    def produce(
        self, topic: str, record: Outgoing, partition: int, headers: RecordHeaders | None, heard: Delivered
    ) -> None:
        """Queue a record; waits where the queue is full. Raises :class:`LogError` where it cannot be taken."""
        while self.fault is None:
            producer = self._producer
            try:
                if headers is None:
                    producer.produce(topic, record.value, record.key, partition, on_delivery=heard)
                else:
                    producer.produce(topic, record.value, record.key, partition, on_delivery=heard, headers=headers)
            except BufferError:
                self._await_room()
            except KafkaException as exception:
                raise write_fault(exception.args[0], record.topic) from None
            else:
                return
        raise self.fault

    def _await_room(self) -> None:
        if self._fed_by_its_hearer:
            self.poll(FULL_WAIT_S)
        else:
            threading.Event().wait(FULL_WAIT_S)

    def poll(self, timeout_s: float) -> None:
        """Hear confirmations; makes a new producer where this one is lost."""
        try:
            self._producer.poll(timeout_s)
        except KafkaException as exception:
            # NOTE: confluent-kafka raises a fatal error here, and gives it to no callback.
            self._renew(exception.args[0])

    def _renew(self, error: KafkaError) -> None:
        broken = self._producer
        self.fault = write_fault(error, "the producer is lost")
        renewed.inc()
        log_line.error("kafka_producer_lost", error=error.name(), detail=error.str(), waiting=len(broken))
        broken.purge()
        for _ in range(PURGE_LOOKS):
            with contextlib.suppress(KafkaException):  # the same one again
                if not broken.flush(FULL_WAIT_S):
                    break
        self._closed.wait(RENEW_S)
        self._producer = Producer(self._config)
        self.fault = None

    def close(self) -> None:
        """Wait for what was queued, but not for a producer that is lost."""
        self._closed.set()
        with contextlib.suppress(KafkaException):
            self._producer.flush(CLOSE_S)


class KafkaWriter:
    """The producers of a process. Safe to share between threads."""

    def __init__(
        self,
        config: dict[str, Any],
        prefix: str,
        count_of: Callable[[str], int],
        suspect: Callable[[str], None],
        now_ms: Callable[[], int],
    ) -> None:
        """``count_of``: a topic's partitions, or :class:`UnknownTopic`. ``suspect``: told of one that may be gone."""
        self._prefix, self._count_of, self._suspect, self._now_ms = prefix, count_of, suspect, now_ms
        self._lane = _Lane(config)
        self._alone_config = config | {"batch.num.messages": 1}
        self._alone: _Lane | None = None
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
            settle = partial(request.settle, index)
            try:
                self._produce(self._lane, record, partial(self._delivered, record, settle))
            except LogError as error:
                settle(error)

    def _produce(self, lane: _Lane, record: Outgoing, heard: Delivered) -> None:
        count = self._count_of(record.topic)
        partition = partition_of(record.key, count) if record.partition is None else record.partition
        if not 0 <= partition < count:
            raise UnknownTopic(f"topic {record.topic} has no partition {partition}")
        tells_time = record.topic == BEACONS or not (record.key or record.value)
        headers: RecordHeaders | None = [(WRITTEN_AT, b"%d" % self._now_ms())] if tells_time else None
        lane.produce(self._prefix + record.topic, record, partition, headers, heard)

    def _delivered(
        self,
        record: Outgoing,
        settle: Callable[[PublishOutcome], None],
        error: KafkaError | None,
        message: Message,
        *,
        alone: bool = False,
    ) -> None:
        if error is None:
            settle(Stored(message.partition() or 0, message.offset() or 0, message.timestamp()[1]))
            return
        code = error.code()
        if code == KafkaError.MSG_SIZE_TOO_LARGE and not alone:
            # NOTE: the broker holds the whole batch against the topic's limit, and refuses all that is in it.
            self._again_alone(record, settle)
            return
        lane = self._alone if alone and self._alone is not None else self._lane
        fault = lane.fault if code in _LOST and lane.fault is not None else write_fault(error, record.topic)
        if isinstance(fault, LogUnavailable):
            # NOTE: of a topic that was deleted librdkafka says no more than that the record's time has run out.
            self._suspect(record.topic)
        settle(fault)

    def _again_alone(self, record: Outgoing, settle: Callable[[PublishOutcome], None]) -> None:
        """Send a record by itself, so that the answer is about it alone. On the thread that hears the confirmations."""
        if self._alone is None:
            self._alone = _Lane(self._alone_config, fed_by_its_hearer=True)
        try:
            self._produce(self._alone, record, partial(self._delivered, record, settle, alone=True))
        except LogError as error:
            settle(error)

    def _listen(self) -> None:
        while self._open:
            self._lane.poll(0.1)
            if self._alone is not None:
                self._alone.poll(0)

    def close(self) -> None:
        """End the thread, and wait for what was submitted."""
        self._open = False
        self._thread.join()
        # In this order: what the first hears now may be sent alone.
        self._lane.close()
        if self._alone is not None:
            self._alone.close()


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
