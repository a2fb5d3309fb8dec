"""What the embedded log's surroundings can be made to do: a clock that is set, a file that is locked, a full disk."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.errors import LogUnavailable, PositionGone, StaleConsumer
from contracts.log import Consumer, Log, Outgoing, Record, Stored
from tests.conformance.test_log import COMPACTED, ROOT, TOPIC, record, values
from transport import open_log
from transport.config import Settings, wall_clock_ms
from transport.embedded.store import Store

pytestmark = pytest.mark.slow

Opened = Callable[..., Log]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Opens the same log as often as asked; a clock may be given."""
    logs: list[Log] = []

    def again(clock: Callable[[], int] = wall_clock_ms) -> Log:
        log = open_log(Settings(data=tmp_path), clock=clock)
        log.ensure([TOPIC, COMPACTED])
        logs.append(log)
        return log

    yield again
    for log in logs:
        log.close()


def read_all(consumer: Consumer) -> list[Record]:
    found: list[Record] = []
    while records := consumer.poll(1_000):
        found += records
    return found


def test_log_time_never_goes_back_in_a_partition(opened: Opened) -> None:
    times = iter([5_000, 4_000, 6_000, 1_000, *range(7_000, 8_000)])
    log = opened(lambda: next(times))
    for number in range(4):
        log.publisher().publish([record(number, partition=0)])
    stamps = [each.log_time_ms for each in read_all(log.reader(TOPIC.name))]
    assert stamps == sorted(stamps)


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


def test_a_read_that_fails_midway_is_read_again_whole(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened()
    log.publisher().publish([record(number, partition=number) for number in range(3)])
    reader = log.reader(TOPIC.name)
    read, asked = Store.read, list[int]()

    def locked_once(
        store: Store, partition: int, offset: int, limit: int
    ) -> list[tuple[int, int, bytes, bytes | None]]:
        asked.append(partition)
        if len(asked) == 2:
            raise LogUnavailable("database is locked")
        return read(store, partition, offset, limit)

    monkeypatch.setattr(Store, "read", locked_once)
    with pytest.raises(LogUnavailable):
        reader.poll(1_000)
    assert set(values(read_all(reader))) == {b"0", b"1", b"2"}


FULL = """
import resource, signal, sys
from pathlib import Path
from contracts.errors import LogUnavailable
from contracts.log import Outgoing, Stored
from contracts.topics import Topic
from transport import open_log
from transport.config import Settings
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
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    acknowledged, refused, recovered = done.stdout.split()
    assert int(refused) > 0
    assert recovered == "True"
    assert len(read_all(opened().reader(TOPIC.name))) == int(acknowledged) + 1
