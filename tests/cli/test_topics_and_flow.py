"""``segma topics``, ``segma flow`` and what ``segma doctor`` says of the log's time, on both logs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from cli.doctor import spool_findings, time_finding
from contracts.codec import to_json
from contracts.events import LogTime
from contracts.log import Outgoing
from contracts.topics import EVENTS
from flows.operators.lag import log_times
from tests.broker import Broker
from transport import open_log
from transport.config import environment_of, settings_at
from transport.spool import Spool

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
token_keys: {file: keys}
workspaces:
  demo:
    secret: {file: secret}
    sites: {shop: {key: shop-key}}
    accounts: {mailbox: {sink: file}}
partitions: 2
retention: RETENTION
"""
LISTENER = """
listener: slow
sequence: [{action: page_viewed}, {action: product_added, within: 2h}, {not: product_bought, for: 1h}]
then: [{add: {to: slow, at: mailbox}}]
"""
PATIENCE_S = 120.0


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "segma.yaml").write_text(CONFIG.replace("RETENTION", "30d"))
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    (tmp_path / "listeners").mkdir()
    (tmp_path / "listeners" / "slow.yaml").write_text(LISTENER)
    if request.param == "kafka":
        broker: Broker = request.getfixturevalue("broker")
        lines = environment_of(broker.settings(tmp_path / "data"))
        (tmp_path / "segma.env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    return tmp_path


def segma(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SEGMA_ROOT": str(ROOT), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli", *words, "--home", str(home)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def states(home: Path) -> dict[str, list[str]]:
    """Topic → what is wrong with it."""
    done = segma(home, "topics", "check", "--json")
    found = {state["topic"]: state["problems"] for state in json.loads(done.stdout)}
    assert done.returncode == (1 if any(found.values()) else 0), done.stderr
    return found


def test_topics_are_made_once_and_are_then_as_they_must_be(home: Path) -> None:
    before = states(home)
    assert {"beacons", "events", "moves.demo.mailbox", "subscribers"} <= set(before)
    assert all("absent" in problems[0] for problems in before.values())
    made = segma(home, "topics", "create", "--json")
    assert made.returncode == 0, made.stderr
    assert set(json.loads(made.stdout)["made"]) == set(before)
    assert not any(states(home).values())
    again = segma(home, "topics", "create")
    assert again.stdout.startswith("made 0 topics of ")


def test_a_log_shorter_than_a_listener_looks_back_is_refused(home: Path) -> None:
    config = home / "segma.yaml"
    config.write_text(CONFIG.replace("RETENTION", "3h"))
    done = segma(home, "topics", "create")
    assert done.returncode == 2
    assert "demo/slow looks 3 hours back, 3 hours are kept" in done.stderr
    config.write_text(CONFIG.replace("RETENTION", "4h"))
    assert segma(home, "topics", "create").returncode == 0
    (home / "listeners" / "slow.yaml").write_text(LISTENER.replace("1h", "3h"))
    assert any("looks 5 hours back" in text for text in states(home)["events"])
    done = segma(home, "flow")
    assert done.returncode == 2
    assert "keep the log for longer, or shorten the listener" in done.stderr


@pytest.mark.parametrize("home", ["kafka"], indirect=True)
def test_what_cannot_be_mended_is_told_and_the_retention_can(home: Path) -> None:
    environment = dict(line.split("=", 1) for line in (home / "segma.env").read_text().splitlines())
    prefix = environment["SEGMA_KAFKA_PREFIX"]
    admin = AdminClient({"bootstrap.servers": environment["SEGMA_KAFKA_SERVERS"]})
    strange = [
        NewTopic(f"{prefix}beacons", 3, config={"message.timestamp.type": "LogAppendTime"}),
        NewTopic(f"{prefix}rows", 2),
        NewTopic(f"{prefix}events", 2, config={"message.timestamp.type": "LogAppendTime", "retention.ms": "60000"}),
    ]
    for future in admin.create_topics(strange).values():
        future.result(30)
    found = states(home)
    assert found["beacons"][0] == "3 partitions, segma.yaml says 2: they are frozen"
    assert any("message.timestamp.type is CreateTime" in text for text in found["rows"])
    assert any("wanted 30" in text for text in found["events"])
    refused = segma(home, "topics", "create")
    assert refused.returncode == 3
    assert "they are frozen" in refused.stderr


@pytest.mark.parametrize("home", ["kafka"], indirect=True)
def test_each_setting_is_checked_and_mended_by_itself(home: Path) -> None:
    environment = dict(line.split("=", 1) for line in (home / "segma.env").read_text().splitlines())
    prefix = environment["SEGMA_KAFKA_PREFIX"]
    admin = AdminClient({"bootstrap.servers": environment["SEGMA_KAFKA_SERVERS"]})
    by_the_log = {"message.timestamp.type": "LogAppendTime"}
    wrong = {
        "subscribers": {"cleanup.policy": "compact,delete", "retention.ms": "3600000", "max.message.bytes": "9000000"},
        "beacons": {"retention.bytes": "1000000", "retention.ms": "2592000000", "flush.messages": "7"},
        "outcomes": {
            "max.message.bytes": "1000",
            "retention.ms": "7776000000",
            "unclean.leader.election.enable": "true",
        },
    }
    partitions = {"subscribers": 1, "beacons": 2, "outcomes": 1}
    topics = [NewTopic(f"{prefix}{name}", partitions[name], config=given | by_the_log) for name, given in wrong.items()]
    for future in admin.create_topics(topics).values():
        future.result(30)
    found = states(home)
    assert any("cleanup.policy is compact,delete, wanted compact" in text for text in found["subscribers"])
    assert any("retention.bytes is 1000000, wanted -1" in text for text in found["beacons"])
    assert any("max.message.bytes is 1000," in text for text in found["outcomes"])
    assert any("unclean.leader.election.enable is true" in text for text in found["outcomes"])
    assert found["leases"] == ["absent: `segma topics create`"]
    made = segma(home, "topics", "create", "--json")
    assert made.returncode == 0, made.stderr
    assert {"subscribers", "beacons", "outcomes"} == set(json.loads(made.stdout)["mended"])
    assert not any(states(home).values())
    kept = [ConfigResource(ResourceType.TOPIC, f"{prefix}{name}") for name in ("beacons", "subscribers")]
    beacons, subscribers = (future.result(30) for future in admin.describe_configs(kept).values())
    assert beacons["flush.messages"].value == "7", "a setting that nobody asked about was reset"
    assert subscribers["max.message.bytes"].value == "9000000", "what will do is left as it is"


@pytest.mark.parametrize("home", ["kafka"], indirect=True)
def test_doctor_reads_the_logs_time_where_retention_left_few_records(home: Path) -> None:
    environment = dict(line.split("=", 1) for line in (home / "segma.env").read_text().splitlines())
    assert segma(home, "topics", "create").returncode == 0
    log = open_log(settings_at(home))
    now_ms = time.time_ns() // 1_000_000
    said = [Outgoing(EVENTS, b"", to_json(LogTime(source, now_ms)), 0) for source in (0, 1, 0, 1)]
    log.publisher().publish(said)
    admin = AdminClient({"bootstrap.servers": environment["SEGMA_KAFKA_SERVERS"]})
    place = TopicPartition(f"{environment['SEGMA_KAFKA_PREFIX']}{EVENTS}", 0, 2)
    admin.delete_records([place])[place].result(30)
    assert log_times(log) == {0: now_ms, 1: now_ms}
    log.close()


def test_a_log_ahead_of_the_clock_is_told() -> None:
    behind = time_finding({0: 10_000, 1: 12_000}, 13_000, running=True)
    assert (behind.ok, behind.found) == (True, "3.0 s behind")
    ahead = time_finding({0: 10_000, 1: 103_000}, 13_000, running=True)
    assert (ahead.ok, ahead.found) == (False, "90.0 s ahead of this machine's clock")
    assert "partition 1" in ahead.remedy
    slow = time_finding({0: 10_000}, 60_000, running=True)
    assert slow.ok is False


@pytest.mark.slow
def test_a_flow_in_the_foreground_keeps_the_logs_time_and_drains_when_it_is_asked_to(home: Path) -> None:
    environment = {**os.environ, "SEGMA_ROOT": str(ROOT), "PYTHONPATH": str(ROOT)}
    flow = subprocess.Popen(
        [sys.executable, "-m", "cli", "flow", "--home", str(home), "--index", "0", "--of", "1"], env=environment
    )
    until = time.monotonic() + PATIENCE_S
    found: dict[str, dict[str, object]] = {}
    while "log time" not in found and time.monotonic() < until:
        done = segma(home, "doctor", "--json")
        found = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    assert "topics" in str(found["log"]["found"])
    assert str(found["log time"]["found"]).endswith("s behind")
    flow.send_signal(signal.SIGTERM)
    assert flow.wait(60) == 0
    assert segma(home, "flow", "--index", "2", "--of", "2").returncode == 2
    refused = segma(home, "flow", "--index", "0", "--of", "2")
    assert refused.returncode == 2
    assert "was made for another number of processes" in refused.stderr


def test_doctor_tells_what_the_log_refused_for_good(tmp_path: Path) -> None:
    assert spool_findings(tmp_path / "spool") == []
    spool = Spool(tmp_path / "spool" / "0.spool", 10_000)
    assert spool_findings(tmp_path / "spool") == []
    spool.set_aside(Outgoing("beacons", b"k", b"v" * 100), "too large")
    (told,) = spool_findings(tmp_path / "spool")
    assert told.ok is False
    assert "bytes that the log refused" in told.found
    spool.close()
