"""The settings that a topic must have in Kafka: the values that Segma gives, and which others will do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from contracts.topics import DAY_MS, Topic

MAX_RECORD_BYTES: Final = 8 * 1024 * 1024
"""Above the largest beacon that a site may be set to; Kafka's own default is 1 MB."""
MIN_COPIES: Final = 3
"""From so many copies on, two must confirm: one broker may be away and nothing confirmed is lost."""
SEGMENT_BYTES: Final = 16 * 1024 * 1024


class Setting(NamedTuple):
    """One setting of a topic: the value that we give it, and whether a value found there does as well."""

    value: str
    will_do: Callable[[str], bool]
    because: str


class SettingFault(NamedTuple):
    """A setting that will not do; ``value`` mends it; empty: only the cluster's own tools do."""

    name: str
    value: str
    text: str


def settings_of_topic(topic: Topic, copies: int) -> dict[str, Setting]:
    """By name. ``copies``: how many brokers keep the topic; -1: not known."""
    found = {
        "message.timestamp.type": _just("LogAppendTime", "the log's time is the brokers'"),
        "cleanup.policy": _just("compact" if topic.compacted else "delete", "anything else loses records"),
        "max.message.bytes": _at_least(MAX_RECORD_BYTES, "larger records are refused"),
        "unclean.leader.election.enable": _just("false", "else confirmed records are lost with a broker"),
    }
    if topic.compacted:
        # Small segments, cleaned soon: whoever starts reads such a topic whole.
        found |= {
            "segment.bytes": Setting(
                str(SEGMENT_BYTES),
                lambda value: MAX_RECORD_BYTES <= int(value) <= SEGMENT_BYTES,
                "whoever starts reads the topic whole, and a record larger than a segment is refused",
            ),
            "segment.ms": _at_most(600_000, "whoever starts reads the topic whole"),
            "min.cleanable.dirty.ratio": Setting("0.1", lambda value: float(value) <= 0.1, "it is read whole"),
            # However little of it is out of date: who is forgotten is to go from the brokers' disks.
            "max.compaction.lag.ms": _at_most(DAY_MS, "who is forgotten goes from the brokers' disks by then"),
            "min.compaction.lag.ms": Setting("0", lambda value: int(value) <= DAY_MS, "else it may not go by then"),
            # Who reads on from before a key's end must meet the end: without it the key stands there for ever.
            "delete.retention.ms": _at_least(DAY_MS, "who was away would not hear that somebody is forgotten"),
        }
    else:
        found |= {
            "retention.ms": _at_least(topic.retention_ms or -1, "a lost state is made from the log again"),
            "retention.bytes": _just("-1", "records are kept for a time, however many there are"),
            "segment.bytes": Setting(
                str(1024 * 1024 * 1024), lambda value: int(value) >= MAX_RECORD_BYTES, "larger records are refused"
            ),
        }
    if copies >= MIN_COPIES:
        found["min.insync.replicas"] = Setting(
            "2", lambda value: 2 <= int(value) < copies, "two copies confirm, and one broker may be away"
        )
    return found


def faults(topic: Topic, copies: int, found: Mapping[str, str], *, wanted_copies: int = -1) -> Iterator[SettingFault]:
    """The settings of a topic that will not do. ``wanted_copies`` -1: as many as there are."""
    if 0 < copies < wanted_copies:
        text = (
            f"replication.factor is {copies}, wanted {wanted_copies}: confirmed records go with a broker's disk; "
            "more copies are made by `kafka-reassign-partitions`"
        )
        yield SettingFault("replication.factor", "", text)
    for name, setting in settings_of_topic(topic, copies).items():
        value = found.get(name, "")
        if not (value and setting.will_do(value)):
            text = f"{name} is {value or 'not told'}, wanted {setting.value}: {setting.because}"
            yield SettingFault(name, setting.value, text)


def _just(value: str, because: str) -> Setting:
    return Setting(value, lambda found: found == value, because)


def _at_least(value: int, because: str) -> Setting:
    """-1 stands for no limit."""
    return Setting(str(value), lambda found: int(found) == -1 or 0 <= value <= int(found), because)


def _at_most(value: int, because: str) -> Setting:
    return Setting(str(value), lambda found: int(found) <= value, because)
