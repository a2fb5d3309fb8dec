"""Kafka's topics: made, looked at, and held against what they should be."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final

import tenacity
from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from contracts.errors import LogError, LogUnavailable, UnknownTopic
from contracts.topics import Topic
from transport.config import Settings
from transport.kafka.client import MAX_RECORD_BYTES, REFUSALS, base_config, mapped, note

REQUEST_S: Final = 10.0
BOOT_S: Final = 60.0
"""How long the first question waits for the cluster: what starts together with its broker finds it."""
VISIBLE_S: Final = 20.0
"""How long a topic made anew may take to be known, with a leader for every partition."""
MIN_COPIES: Final = 3
"""From so many copies on, two must confirm: one broker may be away and nothing confirmed is lost."""


class KafkaTopics:
    """The topics under our prefix. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._prefix = settings, settings.kafka_prefix
        self._refusal = ""
        """Why the brokers last shut their door on us."""
        self._admin = AdminClient(base_config(settings) | {"error_cb": self._hear})
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def ensure(self, topics: Sequence[Topic]) -> None:
        """Make the absent ones; raise :class:`UnknownTopic` where one has another shape, or stamps by another clock."""
        known = self._partitions(BOOT_S)
        absent = [topic for topic in topics if topic.name not in known]
        if absent:
            futures = self._admin.create_topics([self._new(topic) for topic in absent], request_timeout=REQUEST_S)
            for name, future in futures.items():
                self._made(name, future)
            self._await_visible({topic.name for topic in absent})
        found = {topic.name: (topic, stamp) for topic, stamp in self._described([topic.name for topic in topics])}
        for topic in topics:
            shape, stamp = found[topic.name]
            if (shape.partitions, shape.compacted) != (topic.partitions, topic.compacted):
                raise UnknownTopic(
                    f"topic {topic.name} has {shape.partitions} partition(s)"
                    f"{' and is compacted' if shape.compacted else ''}, not {topic.partitions}"
                    f"{' and compacted' if topic.compacted else ''}: they are frozen"
                )
            if stamp != "LogAppendTime":
                raise UnknownTopic(f"topic {topic.name} is stamped with {stamp}: it must be LogAppendTime")

    def stamps(self, names: Sequence[str]) -> dict[str, str]:
        """Whose clock stamps the records of each of these."""
        return {topic.name: stamp for topic, stamp in self._described(names)}

    def names(self, timeout_s: float = REQUEST_S) -> list[str]:
        """The topics under the prefix, by name. Raises :class:`LogUnavailable`."""
        return sorted(self._partitions(timeout_s))

    def all(self) -> list[Topic]:
        """Every topic under the prefix, by name."""
        return [topic for topic, _ in self._described(self.names())]

    def count(self, name: str) -> int:
        """A topic's partitions. Raises :class:`UnknownTopic`."""
        found = self._counts.get(name)
        if found is None:
            with self._lock:
                self._partitions()
            found = self._counts.get(name)
        if found is None:
            raise UnknownTopic(f"no topic {self._prefix}{name}")
        return found

    def identity(self, name: str) -> str:
        """Kafka's own id of a topic: one made anew has another."""
        self.count(name)
        full = self._prefix + name
        return str(self._asked(lambda: self._admin.describe_topics(TopicCollection([full])), name)[full].topic_id)

    def offsets(self, name: str, partitions: Sequence[int], *, end: bool) -> dict[int, int]:
        """The first offset kept of each partition, or the one that the next record will get."""
        spec = OffsetSpec.latest() if end else OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(self._prefix + name, number): spec for number in partitions}
        if not wanted:
            return {}
        found = self._asked(lambda: self._admin.list_offsets(wanted, request_timeout=REQUEST_S), name)
        return {place.partition: int(answer.offset) for place, answer in found.items()}

    def set_retention(self, topic: Topic) -> None:
        """Give a topic its retention."""
        resource = ConfigResource(ResourceType.TOPIC, self._prefix + topic.name, set_config=self._new(topic).config)
        self._asked(lambda: self._admin.alter_configs([resource]), topic.name)

    def _new(self, topic: Topic) -> NewTopic:
        config = {
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "compact" if topic.compacted else "delete",
            "max.message.bytes": str(MAX_RECORD_BYTES),
        }
        if topic.compacted:
            # Small segments, cleaned soon: whoever starts reads such a topic whole.
            config |= {
                "segment.bytes": str(16 * 1024 * 1024),
                "segment.ms": "600000",
                "min.cleanable.dirty.ratio": "0.1",
            }
        else:
            config["retention.ms"] = str(topic.retention_ms or -1)
        if self._settings.kafka_replication >= MIN_COPIES:
            config["min.insync.replicas"] = "2"
        return NewTopic(self._prefix + topic.name, topic.partitions, self._settings.kafka_replication, config=config)

    def _made(self, name: str, future: Future[Any]) -> None:
        try:
            future.result(REQUEST_S)
        except KafkaException as exception:
            error = exception.args[0]
            if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was quicker
                raise mapped(error, f"topic {name} cannot be made") from None

    def _await_visible(self, names: set[str]) -> None:
        pause = threading.Event()
        for _ in range(int(VISIBLE_S / 0.05)):
            if names <= set(self._partitions()):
                return
            pause.wait(0.05)
        raise LogUnavailable(f"{', '.join(sorted(names))} made, but not known to the brokers yet")

    def _hear(self, error: KafkaError) -> None:
        note(error)
        if error.code() in REFUSALS:
            self._refusal = error.str()

    def _partitions(self, timeout_s: float = REQUEST_S) -> dict[str, int]:
        """Topic → partitions, of those under the prefix whose every partition has a leader."""
        try:
            metadata = self._admin.list_topics(timeout=timeout_s)
        except KafkaException as exception:
            self._admin.poll(0)  # what was said of the connections comes by callback, and only when asked for
            what = f"Kafka at {self._settings.kafka_servers}"
            if self._refusal:
                raise LogUnavailable(f"{what}: {self._refusal}") from None
            raise mapped(exception.args[0], what) from None
        found = {
            full.removeprefix(self._prefix): len(topic.partitions)
            for full, topic in metadata.topics.items()
            if full.startswith(self._prefix) and topic.error is None
            if all(each.leader >= 0 for each in topic.partitions.values())
        }
        self._counts.update(found)
        return found

    def _refresh(self) -> None:
        with contextlib.suppress(LogError):
            self._partitions()

    def _described(self, names: Sequence[str]) -> list[tuple[Topic, str]]:
        if not names:
            return []
        resources = [ConfigResource(ResourceType.TOPIC, self._prefix + name) for name in names]
        found = self._asked(
            lambda: self._admin.describe_configs(resources, request_timeout=REQUEST_S), f"{len(names)} topics"
        )
        settings = {resource.name.removeprefix(self._prefix): config for resource, config in found.items()}
        return [_shape(name, self._counts[name], settings[name]) for name in names]

    def _asked(self, ask: Callable[[], Mapping[Any, Future[Any]]], what: str) -> dict[Any, Any]:
        """The answers to a question, asked again where the brokers say "not yet" (a leader is being chosen)."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_passing),
            stop=tenacity.stop_after_delay(REQUEST_S),
            wait=tenacity.wait_fixed(0.1),
            # NOTE: after a restart the brokers refuse the old leader's epoch until the client has asked who leads now.
            before_sleep=lambda _: self._refresh(),
            reraise=True,
        )
        try:
            return retrying(lambda: {key: future.result(2 * REQUEST_S) for key, future in ask().items()})
        except KafkaException as exception:
            raise mapped(exception.args[0], what) from None
        except TimeoutError:
            raise LogUnavailable(f"{what}: no answer") from None


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        # Of the client itself, where no partition has a leader yet: the broker has just started.
        KafkaError._NOENT,
    }


def _shape(name: str, partitions: int, config: Mapping[str, Any]) -> tuple[Topic, str]:
    compacted = "compact" in config["cleanup.policy"].value
    retention_ms = 0 if compacted else max(int(config["retention.ms"].value), 0)
    return Topic(name, partitions, retention_ms, compacted), config["message.timestamp.type"].value
