"""What a real broker does that an embedded log cannot: die, stamp by its own clock, keep a group's offset."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer as Tool
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from contracts.errors import (
    ConfigError,
    LogError,
    LogUnavailable,
    PositionGone,
    RecordRefused,
    StaleConsumer,
    UnknownTopic,
)
from contracts.log import Consumer, Log, Outgoing, Record, Stored
from contracts.reading import CompactedTable, unread
from contracts.topics import Topic
from tests.broker import Broker
from tests.conformance.test_log import COMPACTED, TOPIC, read, read_all, record, values
from transport import open_log
from transport.config import Settings, settings_of
from transport.kafka.client import consumer_config, producer_config
from transport.kafka.reader import gone
from transport.kafka.topic_settings import MAX_RECORD_BYTES
from transport.kafka.writer import renewed
from transport.spool import Spool

PATIENCE_S = 120.0


@pytest.fixture
def settings(broker: Broker, tmp_path: Path) -> Settings:
    return broker.settings(tmp_path)


@pytest.fixture
def log(settings: Settings) -> Iterator[Log]:
    made = open_log(settings)
    made.ensure([TOPIC, COMPACTED])
    yield made
    made.close()


def poll_on(consumer: Consumer) -> None:
    """Poll until something is raised; give up some time."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        consumer.poll(10, timeout_s=0.05)


def forget(settings: Settings, partition: int, before: int) -> None:
    """What retention does, at once."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_servers})
    place = TopicPartition(settings.kafka_prefix + TOPIC.name, partition, before)
    for future in admin.delete_records([place]).values():
        future.result(30)


def test_the_broker_stamps_and_time_never_goes_back(log: Log) -> None:
    before_ms = time.time_ns() // 1_000_000
    for number in range(5):
        log.publisher().publish([record(number, partition=0)])
    found = [each.log_time_ms for each in read_all(log, log.reader(TOPIC.name))]
    assert found == sorted(found)
    assert before_ms - 1_000 < found[0] < before_ms + 60_000


def test_a_quiet_partition_gets_ticks_and_they_are_in_the_log(log: Log) -> None:
    consumer = log.consumer("c", TOPIC.name, [0, 1], ticks=True)
    found: list[Record] = []
    until = time.monotonic() + PATIENCE_S
    while {each.partition for each in found} != {0, 1} and time.monotonic() < until:
        found += consumer.poll(10, timeout_s=0.05)
    assert {each.partition for each in found} == {0, 1}
    assert all(each.is_tick and each.log_time_ms > 0 for each in found)
    assert log.end(TOPIC.name)[2] == 0, "a partition of somebody else's got a tick"
    while len(found) < 6 and time.monotonic() < until:
        found += consumer.poll(10, timeout_s=0.05)
    times = [each.log_time_ms for each in found if each.partition == 0]
    assert all(later - earlier >= 200 for earlier, later in itertools.pairwise(times)), times


def test_a_former_holder_writes_no_tick_and_hears_that_it_is_one(log: Log, settings: Settings) -> None:
    former = log.consumer("c", TOPIC.name, [0], ticks=True)
    other = open_log(settings)
    other.consumer("c", TOPIC.name, [0])
    with pytest.raises(StaleConsumer):
        poll_on(former)
    other.close()


def test_what_retention_took_is_told(log: Log, settings: Settings) -> None:
    log.publisher().publish([record(number, partition=0) for number in range(10)])
    forget(settings, 0, 6)
    assert values(read(log, log.consumer("new", TOPIC.name, [0]), 10)) == [b"6", b"7", b"8", b"9"]
    old = log.consumer("old", TOPIC.name, [0], start={0: 2})
    with pytest.raises(PositionGone, match="offset 2 is gone, the log keeps 6 to 10"):
        poll_on(old)


def test_with_leave_it_goes_on_from_the_oldest_and_counts_what_is_gone(log: Log, settings: Settings) -> None:
    log.publisher().publish([record(number, partition=0) for number in range(10)])
    forget(settings, 0, 6)
    before = gone.labels(TOPIC.name)._value.get()
    lenient = open_log(settings.model_copy(update={"kafka_go_on": True}))
    consumer = lenient.consumer("old", TOPIC.name, [0], start={0: 2})
    found: list[Record] = []
    until = time.monotonic() + PATIENCE_S
    while len(found) < 4 and time.monotonic() < until:
        found += consumer.poll(10, timeout_s=0.05)
    assert values(found) == [b"6", b"7", b"8", b"9"]
    assert gone.labels(TOPIC.name)._value.get() - before == 4
    lenient.close()


def test_a_position_beyond_the_end_is_never_gone_on_from(log: Log, settings: Settings) -> None:
    # A topic made anew and shorter: what stood there is another history.
    log.publisher().publish([record(0, partition=0)])
    lenient = open_log(settings.model_copy(update={"kafka_go_on": True}))
    consumer = lenient.consumer("c", TOPIC.name, [0], start={0: 50})
    with pytest.raises(PositionGone):
        poll_on(consumer)
    lenient.close()


def test_the_groups_offset_is_a_gauge_and_nothing_more(
    log: Log, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.kafka.reader.GAUGE_S", 0.5)
    log.publisher().publish([record(number, partition=0) for number in range(3)])
    consumer = log.consumer("c", TOPIC.name, [0])
    read_all(log, consumer)
    group = f"{settings.kafka_prefix}c"
    place = TopicPartition(settings.kafka_prefix + TOPIC.name, 0)
    tool = Tool(consumer_config(settings, group))
    until = time.monotonic() + PATIENCE_S
    offset = -1
    while offset != 3 and time.monotonic() < until:
        consumer.poll(10, timeout_s=0.05)
        with contextlib.suppress(KafkaException):  # the first to ask makes the broker choose a coordinator
            offset = tool.committed([place], timeout=5)[0].offset
    tool.close()
    assert offset == 3
    assert values(read_all(log, log.consumer("c", TOPIC.name, [0]))) == [b"0", b"1", b"2"]


def test_a_topic_stamped_by_its_producers_is_refused(log: Log, settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka_servers})
    for future in admin.create_topics([NewTopic(f"{settings.kafka_prefix}foreign", 1)]).values():
        future.result(30)
    with pytest.raises(UnknownTopic, match="must be LogAppendTime"):
        log.ensure([Topic("foreign", 1)])


def test_compaction_keeps_the_newest_of_each_key(log: Log) -> None:
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None), (b"a", b"3")):
        log.publisher().publish([Outgoing(COMPACTED.name, key, value)])
    # When Kafka compacts is its own affair: whoever reads such a topic takes the newest.
    kept = {each.key: each.value for each in read_all(log, log.reader(COMPACTED.name), COMPACTED.name)}
    assert kept == {b"a": b"3", b"b": None}


def made_anew(settings: Settings, records: int) -> Log:
    """The topic deleted, made anew and filled by another process."""
    admin, full = AdminClient({"bootstrap.servers": settings.kafka_servers}), settings.kafka_prefix + TOPIC.name
    admin.delete_topics([full])[full].result(30)
    until = time.monotonic() + PATIENCE_S
    while full in admin.list_topics(timeout=30).topics:
        assert time.monotonic() < until
    other = open_log(settings)
    other.ensure([TOPIC])
    other.publisher().publish([record(number, partition=0) for number in range(records)])
    return other


def test_a_topic_made_anew_and_longer_is_told_to_whoever_read_the_former(log: Log, settings: Settings) -> None:
    log.publisher().publish([record(number, partition=0) for number in range(10)])
    running, resting = log.consumer("runs", TOPIC.name, [0]), log.consumer("rests", TOPIC.name, [0])
    for consumer in (running, resting):
        assert len(read(log, consumer, 10)) == 10
    resting.commit({0: 10})
    resting.close()
    other = made_anew(settings, 30)
    with pytest.raises(PositionGone, match="made anew"):
        other.consumer("rests", TOPIC.name, [0])
    with pytest.raises(LogError):
        poll_on(running)
    other.close()


def test_a_transactions_marker_at_the_end_is_passed(log: Log, settings: Settings) -> None:
    full = settings.kafka_prefix + COMPACTED.name
    foreign = Producer({"bootstrap.servers": settings.kafka_servers, "transactional.id": settings.kafka_prefix})
    foreign.init_transactions(PATIENCE_S)
    for number in range(3):
        foreign.begin_transaction()
        foreign.produce(full, b"%d" % number, b"k", 0)
        foreign.commit_transaction(PATIENCE_S)
    until = time.monotonic() + PATIENCE_S
    while log.end(COMPACTED.name) != {0: 6}:  # each transaction takes an offset more than its records, soon after
        assert time.monotonic() < until
    reader = log.reader(COMPACTED.name)
    assert values(list(unread(reader))) == [b"0", b"1", b"2"]
    assert reader.positions() == {0: 6}
    table = CompactedTable(log, COMPACTED.name, bytes.decode, strict=False)
    assert table.values == {b"k": "2"}
    consumer = log.consumer("c", COMPACTED.name)
    read_all(log, consumer, COMPACTED.name)
    assert consumer.bookmark(0).offset == 5, "a position is behind a record, whose epoch is known"
    assert consumer.positions() == {0: 6}, "nothing is lacking: it lags by nothing"
    log.publisher().publish([Outgoing(COMPACTED.name, b"k", b"3")])
    assert values(list(unread(reader))) == [b"3"]


def test_a_record_that_is_refused_for_good_is_told_and_the_others_of_its_batch_are_stored(
    log: Log, settings: Settings
) -> None:
    entry = ConfigEntry("max.message.bytes", "20000", incremental_operation=AlterConfigOpType.SET)
    topic = settings.kafka_prefix + TOPIC.name
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": settings.kafka_servers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)
    noise = random.Random(7)
    sent = [Outgoing(TOPIC.name, b"k", noise.randbytes(9_000), 0) for _ in range(10)]  # each fits, no two of them do
    sent.insert(5, Outgoing(TOPIC.name, b"k", noise.randbytes(50_000), 0))
    outcomes = log.publisher().publish(sent)
    assert [type(each) for each in outcomes] == [Stored] * 5 + [RecordRefused] + [Stored] * 5
    too_large = Outgoing(TOPIC.name, b"k", bytes(MAX_RECORD_BYTES + 1), 0)
    (outcome,) = log.publisher().publish([too_large])
    assert isinstance(outcome, RecordRefused)
    stored = [each.value for each in read_all(log, log.reader(TOPIC.name))]
    assert sorted(filter(None, stored)) == sorted(each.value or b"" for each in sent if len(each.value or b"") < 10_000)


def test_a_spool_sets_aside_what_the_broker_refuses_and_publishes_the_rest_once(
    log: Log, settings: Settings, tmp_path: Path
) -> None:
    admin, full = AdminClient({"bootstrap.servers": settings.kafka_servers}), settings.kafka_prefix + COMPACTED.name
    publisher = log.publisher()
    publisher.publish([Outgoing(COMPACTED.name, b"k", b"there")])
    admin.delete_topics([full])[full].result(30)
    spool = Spool(tmp_path / "spool", 1_000_000)
    for number in range(20):
        spool.append([record(number, partition=0)])
        if number in {3, 11}:
            spool.append([Outgoing(COMPACTED.name, b"gone", b"%d" % number)])
    until = time.monotonic() + PATIENCE_S
    while not spool.is_empty:
        spool.drain(publisher)
        assert time.monotonic() < until
    assert spool.set_aside_records == 2
    assert values(read_all(log, log.reader(TOPIC.name))) == [b"%d" % number for number in range(20)], "each once"
    spool.close()
    log.ensure([COMPACTED])
    again = Spool(tmp_path / "spool", 1_000_000)
    while not again.is_empty:
        again.drain(publisher)
        assert time.monotonic() < until
    assert again.set_aside_records == 0
    assert values(list(unread(log.reader(COMPACTED.name)))) == [b"3", b"11"]
    again.close()


@pytest.mark.slow
def test_a_producer_whose_broker_lost_its_last_seconds_is_renewed(tmp_path: Path, broker: Broker) -> None:
    assert broker.port
    own = Broker(tmp_path / "broker")
    own.start()
    settings = own.settings(tmp_path)
    log = open_log(settings)
    log.ensure([TOPIC])
    publisher, place = log.publisher(), f"{settings.kafka_prefix}{TOPIC.name}-0"
    for number in range(5):
        publisher.publish([record(number, partition=0)])
    own.kill()
    shutil.copytree(own.home / "data" / place, tmp_path / "saved")
    own.start()
    until = time.monotonic() + 2 * PATIENCE_S
    for number in range(5, 15):
        while not isinstance(publisher.publish([record(number, partition=0)])[0], Stored):
            assert time.monotonic() < until
    own.kill()
    shutil.rmtree(own.home / "data" / place)
    shutil.copytree(tmp_path / "saved", own.home / "data" / place)
    own.start()
    lost = renewed._value.get()
    outcome: object = None
    while not isinstance(outcome, Stored):
        (outcome,) = publisher.publish([record(15, partition=0)])
        assert time.monotonic() < until, "publishing hangs or fails for ever"
    assert renewed._value.get() > lost, "the producer was not lost: this shows nothing"
    log.close()
    own.stop()


@pytest.mark.slow
def test_a_broker_that_dies_is_told_as_away_and_everything_goes_on_when_it_is_back(
    tmp_path: Path, broker: Broker
) -> None:
    own = Broker(tmp_path / "broker")
    own.start()
    chosen = own.settings(tmp_path).model_copy(update={"kafka_timeout_ms": 3_000})
    log = open_log(chosen)
    log.ensure([TOPIC])
    publisher, consumer = log.publisher(), log.consumer("c", TOPIC.name, [0])
    publisher.publish([record(0, partition=0)])
    assert values(read_all(log, consumer)) == [b"0"]
    own.kill()
    outcomes = publisher.publish([record(number, partition=0) for number in range(1, 4)])
    assert all(isinstance(each, LogUnavailable) for each in outcomes)
    assert consumer.poll(10, timeout_s=0.2) == [], "an outage is waited out"
    with pytest.raises(LogUnavailable):
        log.end(TOPIC.name)
    own.start()
    until = time.monotonic() + PATIENCE_S
    found: list[Record] = []
    while not any(each.value == b"9" for each in found) and time.monotonic() < until:
        publisher.publish([record(9, partition=0)])
        found += consumer.poll(10, timeout_s=0.5)
    (stored,) = publisher.publish([record(10, partition=0)])
    assert isinstance(stored, Stored)
    assert [each.offset for each in found] == list(range(1, 1 + len(found))), "records were skipped"
    log.close()
    own.stop()


def test_a_cluster_that_is_not_there_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transport.kafka.topics.BOOT_S", 1.0)
    log = open_log(Settings(data=tmp_path, log="kafka", kafka_servers="127.0.0.1:1"))
    with pytest.raises(LogUnavailable, match=r"Kafka at 127\.0\.0\.1:1"):
        log.ensure([TOPIC])


def test_tls_and_sasl_reach_librdkafka_and_the_password_stays_out_of_errors(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret-of-kafka\n")
    chosen = Settings(
        data=tmp_path,
        log="kafka",
        kafka_security="sasl_ssl",
        kafka_username="segma",
        kafka_password_file=password,
        kafka_ca_file=tmp_path / "ca.pem",
    )
    for config in (producer_config(chosen), consumer_config(chosen, "g")):
        assert config["security.protocol"] == "sasl_ssl"
        assert (config["sasl.mechanism"], config["sasl.username"]) == ("SCRAM-SHA-512", "segma")
        assert config["sasl.password"] == "s3cret-of-kafka"
        assert config["ssl.ca.location"] == str(tmp_path / "ca.pem")
    assert "s3cret" not in repr(chosen)
    password.write_text("")
    with pytest.raises(ConfigError, match="holds no password"):
        producer_config(chosen)


@pytest.mark.parametrize(
    "names", [{"SEGMA_KAFKA_SECURITY": "sasl_ssl"}, {"SEGMA_KAFKA_KEY_FILE": "key.pem"}, {"SEGMA_KAFKA_PREFIX": "a b"}]
)
def test_half_of_a_setting_is_refused(names: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in names.items():
        monkeypatch.setitem(os.environ, name, value)
    with pytest.raises(ConfigError, match="SEGMA_"):
        settings_of(Settings)
