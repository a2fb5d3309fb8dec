"""Three brokers: leaders that go, are away, and come back without what they had confirmed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from contracts.errors import LogUnavailable, PositionGone
from contracts.log import Consumer, Log, Outgoing, Record, Stored
from contracts.reading import unread
from contracts.topics import Topic
from tests.broker import START_S, Broker, Cluster
from transport import open_log
from transport.config import Settings
from transport.kafka.log import KafkaLog

pytestmark = pytest.mark.slow
ONE = Topic("one", 1)
BY_THE_LOG = {"message.timestamp.type": "LogAppendTime"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[Cluster]:
    # NOTE: the shared broker is asked for because it is skipped, or refused in CI, where this machine can have none.
    assert broker.port
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def settings(cluster: Cluster, tmp_path: Path) -> Settings:
    return cluster.settings(tmp_path)


@pytest.fixture
def log(settings: Settings) -> Iterator[Log]:
    made = open_log(settings)
    yield made
    made.close()


def make(settings: Settings, replicas: list[int], **config: str) -> str:
    """The topic ``one`` on these nodes, the first of them its leader; its full name."""
    admin, full = AdminClient({"bootstrap.servers": settings.kafka_servers}), settings.kafka_prefix + ONE.name
    given = {name.replace("_", "."): value for name, value in config.items()}
    topic = NewTopic(full, 1, replica_assignment=[replicas], config=BY_THE_LOG | given)
    admin.create_topics([topic])[full].result(START_S)
    return full


def written(log: Log, numbers: range) -> None:
    """Publish, until each is stored."""
    waiting = [Outgoing(ONE.name, b"k", b"%d" % number) for number in numbers]
    publisher, until = log.publisher(), time.monotonic() + START_S
    while waiting:
        outcomes = publisher.publish(waiting)
        waiting = [each for each, outcome in zip(waiting, outcomes, strict=True) if not isinstance(outcome, Stored)]
        assert time.monotonic() < until


def numbers(records: list[Record]) -> list[int]:
    return [int(each.value or b"-1") for each in records]


def read(consumer: Consumer, count: int) -> list[int]:
    """So many records, however long they take."""
    found, until = list[Record](), time.monotonic() + START_S
    while len(found) < count:
        found += consumer.poll(count - len(found), timeout_s=0.5)
        assert time.monotonic() < until, f"{len(found)} of {count}"
    return numbers(found)


def poll_on(consumer: Consumer) -> None:
    """Poll until something is raised; it must not be records."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert not consumer.poll(10, timeout_s=0.5), "records of another history"


def test_two_of_three_copies_confirm_where_the_cluster_chose_how_many_there_are(settings: Settings) -> None:
    with closing(open_log(settings.model_copy(update={"kafka_replication": -1}))) as log:
        assert isinstance(log, KafkaLog)
        log.ensure([ONE])
        until = time.monotonic() + START_S
        # NOTE: the question goes to any broker, and each learns of a topic's settings at its own time.
        while (found := log.kafka_topics.described([ONE.name])[ONE.name]).settings["min.insync.replicas"] != "2":
            assert time.monotonic() < until, found
        assert found.copies == 3


def test_two_brokers_die_and_nothing_confirmed_is_lost(cluster: Cluster, log: Log) -> None:
    log.ensure([ONE])
    written(log, range(100))
    for node in cluster.nodes[1:]:
        node.kill()
    outcomes = log.publisher().publish([Outgoing(ONE.name, b"k", b"100")])
    assert isinstance(outcomes[0], LogUnavailable), "two copies must confirm, and one is left"
    for node in cluster.nodes[1:]:
        node.launch()
    for node in cluster.nodes[1:]:
        node.await_ready()
    written(log, range(100, 110))
    # NOTE: what was not confirmed may be there all the same, and its repetition as well.
    assert sorted(set(numbers(list(unread(log.reader(ONE.name)))))) == list(range(110))


def test_a_strict_reader_never_says_nothing_while_the_leader_is_away(
    cluster: Cluster, settings: Settings, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.kafka.topics.REQUEST_S", 4.0)
    full = make(settings, [2])
    written(log, range(1_000))
    known = log.reader(ONE.name)
    assert len(list(unread(known))) == 1_000
    known.seek(0, 0)
    cluster.nodes[1].kill()
    cluster.await_leader(full, -1)
    read: list[Record] = []
    with pytest.raises(LogUnavailable):
        read.extend(unread(known))
    fresh = open_log(settings)
    with pytest.raises(LogUnavailable):
        fresh.reader(ONE.name)
    for each in (log, fresh):
        with pytest.raises(LogUnavailable):
            each.end(ONE.name)
    cluster.nodes[1].start()
    cluster.await_leader(full, 2)
    assert numbers([*read, *unread(known)]) == list(range(1_000))
    assert numbers(list(unread(fresh.reader(ONE.name)))) == list(range(1_000))
    fresh.close()


def test_a_log_that_lost_its_end_and_grew_again_is_told_and_not_read_on(
    cluster: Cluster, settings: Settings, log: Log
) -> None:
    full = make(settings, [2, 3], min_insync_replicas="1", unclean_leader_election_enable="true")
    written(log, range(23))
    cluster.nodes[2].kill()
    written(log, range(23, 48))  # on the second node alone
    reading, committing = log.consumer("reads", ONE.name), log.consumer("commits", ONE.name)
    end = log.end(ONE.name)[0]
    for consumer in (reading, committing):
        assert set(read(consumer, end)) == set(range(48))
    mark = reading.bookmark(0)
    committing.commit({0: end})
    committing.close()
    cluster.nodes[1].kill()
    cluster.await_leader(full, -1)
    cluster.nodes[2].start()
    cluster.await_leader(full, 3)
    with pytest.raises(PositionGone):
        poll_on(reading)
    again = open_log(settings.model_copy(update={"kafka_go_on": True}))
    written(again, range(1_000, 1_160))
    assert again.end(ONE.name)[0] > end, "the new history is longer than what was read of the lost one"
    for resumed in (again.consumer("commits", ONE.name), again.consumer("new", ONE.name)):
        if resumed.bookmark(0).offset == 0:
            resumed.seek(0, *mark)
        with pytest.raises(PositionGone, match="has grown anew"):
            poll_on(resumed)
    again.close()
    cluster.nodes[1].start()
