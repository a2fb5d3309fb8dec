"""What every log promises (contracts/log.py). Each implementation runs all of it; now there is the embedded one."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segma.contracts.errors import LogUnavailable, PositionGone, StaleConsumer, UnknownTopic
from segma.contracts.log import Consumer, Log, Outgoing, Record, Stored
from segma.contracts.topics import Topic, partition_of
from segma.transport import open_log
from segma.transport.config import Settings, wall_clock_ms

TOPIC = Topic("plain", 3)
COMPACTED = Topic("compacted", 1, compacted=True, retention_ms=0)
SRC = Path(__file__).resolve().parents[2] / "src"

Opened = Callable[..., Log]


@pytest.fixture(params=["embedded"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Opens the same log as often as asked; a clock may be given."""
    logs: list[Log] = []

    def again(clock: Callable[[], int] = wall_clock_ms) -> Log:
        log = open_log(Settings(data=tmp_path, log=request.param), clock=clock)
        log.ensure([TOPIC, COMPACTED])
        logs.append(log)
        return log

    yield again
    for log in logs:
        log.close()


def record(number: int, key: str = "k", partition: int | None = None) -> Outgoing:
    return Outgoing(TOPIC.name, key.encode(), str(number).encode(), partition)


def read_all(consumer: Consumer) -> list[Record]:
    found: list[Record] = []
    while records := consumer.poll(1_000):
        found += records
    return found


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
    records = read_all(log.reader(TOPIC.name))
    for each in records:
        assert each.partition == partition_of(each.key, TOPIC.partitions)
    for key in {each.key for each in records}:
        own = [int(each.value or b"") for each in records if each.key == key]
        assert own == sorted(own)


def test_log_time_never_goes_back_in_a_partition(opened: Opened) -> None:
    times = iter([5_000, 4_000, 6_000, 1_000, *range(7_000, 8_000)])
    log = opened(lambda: next(times))
    for number in range(4):
        log.publisher().publish([record(number, partition=0)])
    stamps = [each.log_time_ms for each in read_all(log.reader(TOPIC.name))]
    assert stamps == sorted(stamps)


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
    assert values(first.poll(4)) == [b"0", b"1", b"2", b"3"]
    first.commit({0: 3})
    first.close()
    assert values(read_all(opened().consumer("c", TOPIC.name, [0]))) == [b"3", b"4", b"5", b"6", b"7", b"8", b"9"]
    assert values(read_all(opened().consumer("c", TOPIC.name, [0], start={0: 8}))) == [b"8", b"9"]
    assert values(read_all(opened().consumer("other", TOPIC.name, [0])))[0] == b"0"


def test_reading_moves_no_position_and_seeking_does_not_commit(opened: Opened) -> None:
    log = opened()
    log.publisher().publish([record(number, partition=0) for number in range(5)])
    consumer = log.consumer("c", TOPIC.name, [0])
    read_all(consumer)
    consumer.seek(0, 2)
    assert consumer.positions() == {0: 2}
    assert values(read_all(consumer)) == [b"2", b"3", b"4"]
    assert values(read_all(log.consumer("c", TOPIC.name, [0])))[0] == b"0"


def test_a_reader_starts_at_the_oldest_or_at_the_end(opened: Opened) -> None:
    log = opened()
    log.publisher().publish([record(1)])
    late = log.reader(TOPIC.name, from_end=True)
    log.publisher().publish([record(2)])
    assert values(read_all(late)) == [b"2"]
    assert sorted(values(read_all(log.reader(TOPIC.name)))) == [b"1", b"2"]  # type: ignore[type-var]


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
    assert values(read_all(opened().consumer("c", TOPIC.name, [0]))) == []


def test_a_former_holder_writes_no_tick(opened: Opened) -> None:
    now = [1_000]
    log = opened(lambda: now[0])
    former = log.consumer("c", TOPIC.name, [0], ticks=True)
    opened().consumer("c", TOPIC.name, [0])
    now[0] += 10_000
    with pytest.raises(StaleConsumer):
        former.poll(10)


def test_a_quiet_partition_gets_a_tick_and_a_busy_one_none(opened: Opened) -> None:
    now = [1_000_000]
    log = opened(lambda: now[0])
    consumer = log.consumer("c", TOPIC.name, [0, 1], ticks=True)

    def seen() -> list[tuple[int, bool, int]]:
        records = [each for _ in range(3) for each in consumer.poll(10, timeout_s=0.3)]
        return sorted((each.partition, each.is_tick, each.log_time_ms) for each in records)

    assert seen() == [(0, True, 1_000_000), (1, True, 1_000_000)], "neither has had a record yet"
    now[0] += 249
    log.publisher().publish([record(1, partition=0)])
    assert seen() == [(0, False, 1_000_249)]
    now[0] += 1
    assert seen() == [(1, True, 1_000_250)], "one is quiet for 250 ms, the other is not"


def test_retention_takes_the_oldest_and_says_so(opened: Opened) -> None:
    now = [10 * TOPIC.retention_ms]
    log = opened(lambda: now[0])
    log.publisher().publish([record(number, partition=0) for number in range(3)])
    now[0] += TOPIC.retention_ms + 1
    for number in range(3, 5):
        log.publisher().publish([record(number, partition=0)])
        now[0] += 61_000
    assert values(read_all(log.consumer("new", TOPIC.name, [0]))) == [b"3", b"4"]
    with pytest.raises(PositionGone):
        log.consumer("old", TOPIC.name, [0], start={0: 1}).poll(10)


def test_compaction_keeps_the_newest_of_each_key(opened: Opened) -> None:
    log = opened()
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None), (b"a", b"3")):
        log.publisher().publish([Outgoing(COMPACTED.name, key, value)])
    kept = read_all(log.reader(COMPACTED.name))
    assert [(each.key, each.value) for each in kept] == [(b"b", None), (b"a", b"3")]


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


def test_a_log_that_cannot_be_written_says_so_and_recovers(opened: Opened, tmp_path: Path) -> None:
    publisher = opened().publisher()
    publisher.publish([record(0, partition=0)])
    other = sqlite3.connect(tmp_path / "log" / f"{TOPIC.name}.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes = publisher.publish([record(1, partition=0), Outgoing(COMPACTED.name, b"k", b"v")])
    assert isinstance(outcomes[0], LogUnavailable)
    assert isinstance(outcomes[1], Stored), "another topic has nothing to do with it"
    other.execute("ROLLBACK")
    other.close()
    (outcome,) = publisher.publish([record(2, partition=0)])
    assert isinstance(outcome, Stored)
    assert values(read_all(opened().reader(TOPIC.name))) == [b"0", b"2"]


FULL = """
import resource, signal, sys
from pathlib import Path
from segma.contracts.errors import LogUnavailable
from segma.contracts.log import Outgoing, Stored
from segma.contracts.topics import Topic
from segma.transport import open_log
from segma.transport.config import Settings
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = open_log(Settings(data=Path(sys.argv[1])))
log.ensure([Topic("plain", 3)])
publisher = log.publisher()
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
acknowledged = refused = 0
for number in range(60):
    (outcome,) = publisher.publish([Outgoing("plain", b"k", b"x" * 20_000)])
    acknowledged += isinstance(outcome, Stored)
    refused += isinstance(outcome, LogUnavailable)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
(outcome,) = publisher.publish([Outgoing("plain", b"k", b"after")])
print(acknowledged, refused, isinstance(outcome, Stored), flush=True)
log.close()
"""


def test_a_full_disk_refuses_and_loses_nothing_that_was_acknowledged(opened: Opened, tmp_path: Path) -> None:
    # A limit on the size of files is to SQLite what a full disk is: the write fails.
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    acknowledged, refused, recovered = done.stdout.split()
    assert int(refused) > 0
    assert recovered == "True"
    assert len(read_all(opened().reader(TOPIC.name))) == int(acknowledged) + 1


WRITING = """
import sys
from pathlib import Path
from segma.contracts.log import Outgoing, Stored
from segma.transport import open_log
from segma.transport.config import Settings
publisher = open_log(Settings(data=Path(sys.argv[1]))).publisher()
number = 0
while True:
    records = [Outgoing("plain", sys.argv[2].encode(), f"{sys.argv[2]}:{number + each}".encode()) for each in range(7)]
    if all(isinstance(outcome, Stored) for outcome in publisher.publish(records)):
        number += 7
        print(number, flush=True)
"""


@pytest.mark.slow
def test_what_four_writers_were_told_is_there_though_they_are_killed(opened: Opened, tmp_path: Path) -> None:
    log = opened()
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITING, str(tmp_path), f"w{number}"], env=environment, stdout=subprocess.PIPE
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
    records = read_all(log.reader(TOPIC.name))
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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_partition_behaves_as_a_list(opened: Opened, steps: list[tuple[str, object]]) -> None:
    log, name = opened(), f"c{time.monotonic_ns()}"
    log.ensure([Topic(name, 1)])
    model: list[bytes] = []
    position = committed = 0
    consumer = log.consumer("c", name)
    for verb, argument in steps:
        if verb == "publish" and isinstance(argument, list):
            log.publisher().publish([Outgoing(name, b"k", each.encode()) for each in argument])
            model += [each.encode() for each in argument]
        elif verb == "poll" and isinstance(argument, int):
            found = values(consumer.poll(argument))
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
