"""What a broker takes by itself: records of a bare producer, handed on twice by bare consumers."""

from __future__ import annotations

import itertools
import multiprocessing
import time
import uuid
from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

BYTES = 400
"""Of a record, as those of the topic ``events`` have."""
PARTITIONS = 8


def _consumer(servers: str, topic: str) -> Consumer:
    made = Consumer({"bootstrap.servers": servers, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    made.subscribe([topic])
    return made


def _handed_on(servers: str, source: str, target: str, count: int) -> None:
    """Read what comes and write it to the next topic, each batch at once."""
    consumer, producer = _consumer(servers, source), _producer(servers)
    seen = 0
    while seen < count:
        for message in consumer.consume(1_000, timeout=0.005):
            producer.produce(target, message.value())
            seen += 1
        producer.poll(0)
    producer.flush()
    consumer.close()


def _producer(servers: str) -> Producer:
    return Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 0, "log_level": 3})


def floor(servers: str, per_s: float, warm_s: float, seconds: float) -> list[int]:
    """Milliseconds from when each record was to be sent until the third topic has it; what warms up left out.

    Three topics and two hops between them are a beacon's way to its move. Raises :class:`queue.Empty` where records do
    not come through.
    """
    names = [f"floor-{uuid.uuid4().hex[:8]}-{number}" for number in range(3)]
    admin = AdminClient({"bootstrap.servers": servers})
    stamped = {"message.timestamp.type": "LogAppendTime"}
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1, config=stamped) for name in names]).values():
        future.result(30)
    count, apart = int(per_s * (warm_s + seconds)), multiprocessing.get_context("fork")
    answers: Any = apart.Queue()
    # Each in a process of its own, as Python's threads would wait for each other.
    for source, target in itertools.pairwise(names):
        apart.Process(target=_handed_on, args=(servers, source, target, count), daemon=True).start()
    apart.Process(target=_read, args=(servers, names[-1], count, answers), daemon=True).start()
    producer, began = _producer(servers), time.time() + 1
    for number in range(count):
        at = began + number / per_s
        time.sleep(max(at - time.time(), 0))
        producer.produce(names[0], f"{at:.6f}".encode().ljust(BYTES))
        producer.poll(0)
    producer.flush()
    found: list[tuple[float, int]] = answers.get(timeout=60)
    return [max(logged_ms - round(1_000 * at), 0) for at, logged_ms in found if at >= began + warm_s]


def _read(servers: str, topic: str, count: int, answers: Any) -> None:
    """Tell when each record was to be sent, in seconds, and when the topic had it, in milliseconds."""
    consumer, found = _consumer(servers, topic), list[tuple[float, int]]()
    while len(found) < count:
        found += [(float(each.value() or b"0"), each.timestamp()[1]) for each in consumer.consume(1_000, timeout=0.1)]
    answers.put(found)
    consumer.close()
