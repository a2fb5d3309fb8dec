"""What every log promises (contracts/log.py). Each implementation runs all of it, Kafka on a real broker.

What only one of them can be made to meet (a clock that is set, a file that is locked, a broker that dies) stands in
``test_log_embedded.py`` and ``test_log_kafka.py``.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import StaleConsumer, UnknownTopic
from contracts.log import Consumer, Log, Outgoing, Record, Stored
from contracts.topics import Topic, partition_of
from tests.broker import Broker
from transport import open_log
from transport.config import Settings

TOPIC = Topic("plain", 3)
COMPACTED = Topic("compacted", 1, compacted=True, retention_ms=0)
ROOT = Path(__file__).resolve().parents[2]


class Opened:
    """Opens the same log as often as asked."""

    def __init__(self, chosen: Settings) -> None:
        self.settings = chosen
        self._logs: list[Log] = []

    def __call__(self) -> Log:
        log = open_log(self.settings)
        log.ensure([TOPIC, COMPACTED])
        self._logs.append(log)
        return log

    def environment(self) -> dict[str, str]:
        """So that another process opens it as well."""
        names = {f"SEGMA_{name.upper()}": str(getattr(self.settings, name)) for name in self.settings.model_fields_set}
        return {**os.environ, **names, "PYTHONPATH": str(ROOT)}

    @functools.cached_property
    def shared(self) -> Log:
        """One for many examples."""
        return self()

    def close(self) -> None:
        """All of them."""
        for log in self._logs:
            log.close()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    if request.param == "kafka":
        broker: Broker = request.getfixturevalue("broker")
        made = Opened(broker.settings(tmp_path))
    else:
        made = Opened(Settings(data=tmp_path))
    yield made
    made.close()


def record(number: int, key: str = "k", partition: int | None = None) -> Outgoing:
    return Outgoing(TOPIC.name, key.encode(), str(number).encode(), partition)


def read(log: Log, consumer: Consumer, most: int, topic: str = TOPIC.name) -> list[Record]:
    """The next records, as many as asked for or as there are: a named consumer's may still be on their way."""
    found: list[Record] = []
    ends = log.end(topic)
    while len(found) < most and any(at < ends[partition] for partition, at in consumer.positions().items()):
        found += consumer.poll(most - len(found), timeout_s=5)
    return found


def read_all(log: Log, consumer: Consumer, topic: str = TOPIC.name) -> list[Record]:
    return read(log, consumer, 1_000_000, topic)


def values(records: list[Record]) -> list[bytes | None]:
    return [each.value for each in records]


def test_one_outcome_per_record_in_order_with_offsets_from_zero(opened: Opened) -> None:
    publisher = opened().publisher()
    stored = publisher.publish([record(number, partition=1) for number in range(5)])
    assert [each.offset for each in stored if isinstance(each, Stored)] == [0, 1, 2, 3, 4]
    assert publisher.publish([]) == []
    (after,) = publisher.publish([record(5, partition=1)])
    assert isinstance(after, Stored)
    assert after.offset == 5


def test_a_key_goes_to_its_partition_and_keeps_its_order(opened: Opened) -> None:
    log = opened()
    for number in range(50):
        log.publisher().publish([record(number, f"k{number % 5}")])
    records = read_all(log, log.reader(TOPIC.name))
    for each in records:
        assert each.partition == partition_of(each.key, TOPIC.partitions)
    for key in {each.key for each in records}:
        own = [int(each.value or b"") for each in records if each.key == key]
        assert own == sorted(own)


def test_a_record_that_cannot_be_placed_is_told_and_the_others_of_the_topic_wait(opened: Opened) -> None:
    publisher = opened().publisher()
    (outcome,) = publisher.publish([Outgoing("nowhere", b"k", b"v")])
    assert isinstance(outcome, UnknownTopic)
    (outcome,) = publisher.publish([record(1, partition=9)])
    assert isinstance(outcome, UnknownTopic)
    (stored,) = publisher.publish([record(1)])
    assert isinstance(stored, Stored)


def test_submit_answers_once_and_close_waits_for_it(opened: Opened) -> None:
    publisher, answers = opened().publisher(), list[int]()
    for number in range(100):
        publisher.submit([record(number)], lambda outcomes: answers.append(len(outcomes)))
    publisher.close()
    assert answers == [1] * 100


def test_a_consumer_goes_on_where_it_committed(opened: Opened) -> None:
    log = opened()
    log.publisher().publish([record(number, partition=0) for number in range(10)])
    first = log.consumer("c", TOPIC.name, [0])
    assert values(read(log, first, 4)) == [b"0", b"1", b"2", b"3"]
    first.commit({0: 3})
    first.close()
    again = opened()
    assert values(read_all(log, again.consumer("c", TOPIC.name, [0]))) == [b"3", b"4", b"5", b"6", b"7", b"8", b"9"]
    assert values(read_all(log, again.consumer("c", TOPIC.name, [0], start={0: 8}))) == [b"8", b"9"]
    assert values(read_all(log, again.consumer("other", TOPIC.name, [0])))[0] == b"0"


def test_reading_moves_no_position_and_seeking_does_not_commit(opened: Opened) -> None:
    log = opened()
    log.publisher().publish([record(number, partition=0) for number in range(5)])
    consumer = log.consumer("c", TOPIC.name, [0])
    read_all(log, consumer)
    consumer.seek(0, 2)
    assert consumer.positions() == {0: 2}
    assert values(read_all(log, consumer)) == [b"2", b"3", b"4"]
    assert values(read_all(log, log.consumer("c", TOPIC.name, [0])))[0] == b"0"


def test_a_reader_starts_at_the_oldest_or_at_the_end(opened: Opened) -> None:
    log = opened()
    log.publisher().publish([record(1)])
    late = log.reader(TOPIC.name, from_end=True)
    log.publisher().publish([record(2)])
    assert values(late.poll(10)) == [b"2"]
    assert sorted(values(read_all(log, log.reader(TOPIC.name)))) == [b"1", b"2"]  # type: ignore[type-var]


def test_a_readers_nothing_means_that_there_is_nothing(opened: Opened) -> None:
    # The ledger, the directory and `segma doctor` rest on it: they ask without waiting.
    log = opened()
    reader, publisher = log.reader(TOPIC.name), log.publisher()
    assert reader.poll(10) == []
    for number in range(20):
        publisher.publish([record(number, f"k{number}"), record(number, f"l{number}")])
        found: list[Record] = []
        while records := reader.poll(1):
            found += records
        assert len(found) == 2


def test_whoever_takes_over_outranks_the_former_holder(opened: Opened) -> None:
    log = opened()
    log.publisher().publish([record(1, partition=0)])
    former = log.consumer("c", TOPIC.name)
    former.commit({0: 0})
    heir = opened().consumer("c", TOPIC.name, [0])
    with pytest.raises(StaleConsumer):
        former.commit({0: 1})
    former.commit({1: 0})  # the other partitions are still its own
    heir.commit({0: 1})
    assert values(read_all(log, opened().consumer("c", TOPIC.name, [0]))) == []


def test_a_topics_shape_is_frozen(opened: Opened) -> None:
    log = opened()
    with pytest.raises(UnknownTopic):
        log.ensure([Topic(TOPIC.name, 4)])
    with pytest.raises(UnknownTopic):
        log.reader("nowhere")
    assert {each.name for each in log.topics()} == {TOPIC.name, COMPACTED.name}
    assert log.topic_id(TOPIC.name) == opened().topic_id(TOPIC.name)
    assert log.topic_id(TOPIC.name) != log.topic_id(COMPACTED.name)
    assert log.end(TOPIC.name) == {0: 0, 1: 0, 2: 0}


def test_a_waiting_reader_is_woken(opened: Opened) -> None:
    log, found = opened(), list[Record]()
    reader = log.reader(TOPIC.name)
    waiting = threading.Thread(target=lambda: found.extend(reader.poll(1, timeout_s=30)))
    began = time.monotonic()
    waiting.start()
    opened().publisher().publish([record(7)])
    waiting.join(30)
    assert values(found) == [b"7"]
    assert time.monotonic() - began < 20


WRITING = """
import sys
from contracts.log import Outgoing, Stored
from transport import open_log
from transport.config import Settings
publisher, number, name = open_log(Settings()).publisher(), 0, sys.argv[1]
while True:
    records = [Outgoing("plain", name.encode(), f"{name}:{number + each}".encode()) for each in range(7)]
    if all(isinstance(outcome, Stored) for outcome in publisher.publish(records)):
        number += 7
        print(number, flush=True)
"""


@pytest.mark.slow
def test_what_four_writers_were_told_is_there_though_they_are_killed(opened: Opened) -> None:
    log = opened()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITING, f"w{number}"], env=opened.environment(), stdout=subprocess.PIPE
        )
        for number in range(4)
    ]
    told = {}
    for number, writer in enumerate(writers):
        assert writer.stdout is not None
        for _ in range(30 + 10 * number):
            last = writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split(b"\n")
        told[f"w{number}"] = int(max([last.strip(), *rest[:-1]], key=int))
        writer.stdout.close()
        writer.wait()
    records = read_all(log, log.reader(TOPIC.name))
    for name, count in told.items():
        own = [each.value for each in records if each.key == name.encode()]
        assert own[:count] == [f"{name}:{number}".encode() for number in range(count)]
    offsets: dict[int, list[int]] = {}
    for each in records:
        offsets.setdefault(each.partition, []).append(each.offset)
    assert all(found == list(range(len(found))) for found in offsets.values())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.lists(st.sampled_from(["a", "b", "c"]), max_size=4)),
        st.tuples(st.just("poll"), st.integers(1, 5)),
        st.tuples(st.just("commit"), st.just(0)),
        st.tuples(st.just("seek"), st.integers(0, 6)),
        st.tuples(st.just("reopen"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_partition_behaves_as_a_list(opened: Opened, steps: list[tuple[str, object]]) -> None:
    log, name = opened.shared, f"c{time.monotonic_ns()}"
    log.ensure([Topic(name, 1)])
    model: list[bytes] = []
    position = committed = 0
    consumer = log.consumer("c", name)
    for verb, argument in steps:
        if verb == "publish" and isinstance(argument, list):
            log.publisher().publish([Outgoing(name, b"k", each.encode()) for each in argument])
            model += [each.encode() for each in argument]
        elif verb == "poll" and isinstance(argument, int):
            found = values(read(log, consumer, argument, name))
            assert found == model[position : position + argument]
            position += len(found)
        elif verb == "commit":
            consumer.commit({0: position})
            committed = position
        elif verb == "seek" and isinstance(argument, int):
            position = min(argument, len(model))
            consumer.seek(0, position)
        else:
            consumer.close()
            consumer, position = log.consumer("c", name), committed
    consumer.close()
