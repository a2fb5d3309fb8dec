"""The settings of a topic: whatever could lose a record, or keep one that must go, is found in each kind of topic."""

from __future__ import annotations

import pytest

from contracts.topics import Topic, fixed_topics
from transport.kafka.topic_settings import faults, settings_of_topic

KEPT = Topic("beacons", 4, retention_ms=1_000_000)
NEWEST = Topic("subscribers", 1, retention_ms=0, compacted=True)
FOR_EVER = Topic("archive", 1, retention_ms=0)

LOSES = {
    "message.timestamp.type": ["CreateTime", ""],
    "max.message.bytes": ["1000", "1048588"],
    "unclean.leader.election.enable": ["true"],
    "min.insync.replicas": ["1", "3", "4"],
}
LOSES_KEPT = {
    "cleanup.policy": ["compact", "compact,delete", "delete,compact"],
    "retention.ms": ["0", "999999"],
    "retention.bytes": ["0", "1000000"],
    "segment.bytes": ["1048576"],
}
LOSES_NEWEST = {
    "cleanup.policy": ["delete", "compact,delete"],
    "segment.bytes": ["1048576", "1073741824"],
    "max.compaction.lag.ms": ["9223372036854775807"],
    "min.compaction.lag.ms": ["604800000"],
    "delete.retention.ms": ["0", "3600000"],
}
CASES = [
    (topic, name, value)
    for topic, wrong in (
        (KEPT, LOSES | LOSES_KEPT),
        (NEWEST, LOSES | LOSES_NEWEST),
        (FOR_EVER, {"retention.ms": ["1"]}),
    )
    for name, values in wrong.items()
    for value in values
]


@pytest.mark.parametrize(("topic", "name", "value"), CASES)
def test_a_setting_that_loses_something_is_found_and_named_alone(topic: Topic, name: str, value: str) -> None:
    own = {each: setting.value for each, setting in settings_of_topic(topic, 3).items()}
    (found,) = faults(topic, 3, own | {name: value}, wanted_copies=3)
    assert (found.name, found.value) == (name, own[name])
    assert value in found.text or "not told" in found.text


@pytest.mark.parametrize("topic", [*fixed_topics(), FOR_EVER])
@pytest.mark.parametrize("copies", [-1, 1, 3])
def test_what_is_made_by_us_is_as_it_must_be(topic: Topic, copies: int) -> None:
    own = {name: setting.value for name, setting in settings_of_topic(topic, copies).items()}
    assert list(faults(topic, copies, own, wanted_copies=copies)) == []


@pytest.mark.parametrize("topic", [KEPT, NEWEST])
def test_fewer_copies_than_wanted_are_told_though_nothing_here_makes_more(topic: Topic) -> None:
    own = {name: setting.value for name, setting in settings_of_topic(topic, 1).items()}
    (found,) = faults(topic, 1, own, wanted_copies=3)
    assert (found.value, "replication.factor is 1, wanted 3" in found.text) == ("", True)
    assert list(faults(topic, 1, own)) == []
