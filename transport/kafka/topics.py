"""Kafka's topics: made, looked at, and held against what they should be."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import tenacity
from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from contracts.errors import LogError, LogUnavailable, UnknownTopic
from contracts.plurals import counted
from contracts.topics import Topic
from transport.config import Settings
from transport.kafka.client import REFUSALS, base_config, mapped, note
from transport.kafka.topic_metadata import Described, Seen, described_of, seen_of, unseen
from transport.kafka.topic_settings import SettingFault, faults, settings_of_topic

REQUEST_S: Final = 10.0
OFFSETS_S: Final = 3.0
"""How long one question about offsets may take; it is asked again until :data:`REQUEST_S`."""
LOOK_S: Final = 5.0
"""How often a topic that is read is looked at: is it still the one that it was."""
BOOT_S: Final = 60.0
"""How long the first question waits for the cluster: what starts together with its broker finds it."""
VISIBLE_S: Final = 20.0
"""How long a topic made anew may take to be known, with a leader for every partition."""
SEGMENT_MS: Final = "segment.ms"
_NO_LEADER: Final = {
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._TRANSPORT,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.BROKER_NOT_AVAILABLE,
}
"""What is said, beside the errors of :func:`_is_passing`, of offsets while a partition has no leader."""


class KafkaTopics:
    """The topics under our prefix. Safe to share between threads."""

    def __init__(self, settings: Settings, elapsed_s: Callable[[], float]) -> None:
        self._settings, self._prefix, self._elapsed_s = settings, settings.kafka_prefix, elapsed_s
        self._refusal = ""
        """Why the brokers last shut their door on us."""
        self._admin = self._new_admin()
        self._counts: dict[str, int] = {}
        self._looks: dict[str, _Look] = {}
        self._lock, self._looking = threading.Lock(), threading.Lock()

    def _new_admin(self) -> AdminClient:
        # NOTE: the client holds its callback; one that held these topics would keep both, four threads with them, until
        # the collector of cycles runs, which a process may have all but turned off.
        hear = weakref.WeakMethod(self._hear)

        def heard(error: KafkaError) -> None:
            told = hear()
            if told is not None:
                told(error)

        return AdminClient(base_config(self._settings) | {"error_cb": heard})

    def ensure(self, topics: Sequence[Topic]) -> None:
        """Make the absent ones; raise :class:`UnknownTopic` where one has another shape, or stamps by another clock."""
        known = self._metadata(BOOT_S)
        absent = [topic for topic in topics if topic.name not in known]
        if absent:
            self._create([self._new(topic) for topic in absent])
            self._await_seen({topic.name for topic in absent}, led=True)
        found = self.described([topic.name for topic in topics], is_boot=True)
        # NOTE: where the cluster chose how many copies there are, only now is it known whether two must confirm. Who
        # may make topics and not change them is told by `segma topics check`.
        with contextlib.suppress(LogError):
            self.mend({topic.name: self._faults(topic, found[topic.name]) for topic in absent})
        for topic in topics:
            each = found[topic.name]
            if (each.shape.partitions, each.shape.compacted) != (topic.partitions, topic.compacted):
                raise UnknownTopic(
                    f"topic {topic.name} has {counted(each.shape.partitions, 'partition')}"
                    f"{' and is compacted' if each.shape.compacted else ''}, not {topic.partitions}"
                    f"{' and compacted' if topic.compacted else ''}: they are frozen"
                )
            stamp = each.settings["message.timestamp.type"]
            if stamp != "LogAppendTime":
                raise UnknownTopic(f"topic {topic.name} is stamped with {stamp}: it must be LogAppendTime")

    def names(self, timeout_s: float = REQUEST_S) -> list[str]:
        """The topics under the prefix, by name. Raises :class:`LogUnavailable`."""
        return sorted(self._metadata(timeout_s))

    def all(self) -> list[Topic]:
        """Every topic under the prefix, by name."""
        return [each.shape for each in self.described(self.names()).values()]

    def faults(self, topics: Sequence[Topic]) -> dict[str, list[SettingFault]]:
        """The settings of each of these topics, as far as they are there, that will not do."""
        there = set(self.names())
        found = self.described([topic.name for topic in topics if topic.name in there])
        by_name = {topic.name: topic for topic in topics}
        return {name: self._faults(by_name[name], each) for name, each in found.items()}

    def _faults(self, topic: Topic, found: Described) -> list[SettingFault]:
        return list(faults(topic, found.copies, found.settings, wanted_copies=self._settings.kafka_replication))

    def mend(self, found: Mapping[str, Sequence[SettingFault]]) -> None:
        """Set what will not do, and nothing else, of each of these topics. Each broker shows it at its own time."""
        wanted = {name: {each.name: each.value for each in wrong if each.value} for name, wrong in found.items()}
        self._set({name: settings for name, settings in wanted.items() if settings})

    @contextlib.contextmanager
    def rolling(self, name: str) -> Iterator[None]:
        """Have a topic begin a new segment with each record, meanwhile: compaction leaves the newest segment alone.

        Raises :class:`LogError` where the brokers do not let us set that.
        """
        former = self.described([name])[name].settings[SEGMENT_MS]
        self._set({name: {SEGMENT_MS: "1"}})
        try:
            yield
        finally:
            self._set({name: {SEGMENT_MS: former}})

    def _set(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        """Set these of each topic, and nothing else."""
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                self._prefix + name,
                incremental_configs=[
                    ConfigEntry(each, value, incremental_operation=AlterConfigOpType.SET)
                    for each, value in wanted.items()
                ],
            )
            for name, wanted in settings.items()
        ]
        if resources:
            self._asked(lambda: self._admin.incremental_alter_configs(resources), counted(len(resources), "topic"))

    def count(self, name: str) -> int:
        """A topic's partitions. Raises :class:`UnknownTopic`."""
        found = self._counts.get(name)
        if found is None:
            with self._lock:
                self._metadata()
            found = self._counts.get(name)
        if found is None:
            raise UnknownTopic(f"no topic {self._prefix}{name}")
        return found

    def identity(self, name: str) -> str:
        """Kafka's own id of a topic: one made anew has another."""
        self.count(name)
        full = self._prefix + name
        return str(self._asked(lambda: self._admin.describe_topics(TopicCollection([full])), name)[full].topic_id)

    def made_anew(self, name: str, topic_id: str) -> bool:
        """Return whether a topic was made anew since it had this id, as far as the brokers have said. Does not wait."""
        with self._looking:
            look = self._look(name, LOOK_S)
            return look.topic_id not in {"", topic_id}

    def suspect(self, name: str) -> None:
        """Ask whether a topic is still there; if not, :meth:`count` says so from then on. It waits for nobody."""
        with self._looking:
            self._look(name, 0.0)

    def _look(self, name: str, every_s: float) -> _Look:
        """Return the newest answer about a topic; asks again where that is older."""
        look = self._looks.setdefault(name, _Look(self._elapsed_s()))
        if not look.is_asked and self._elapsed_s() - look.at_s >= every_s:
            full = self._prefix + name
            # The client is kept until the next look: without it the answer never comes.
            look.admin, look.at_s, look.is_asked = self._admin, self._elapsed_s(), True
            answer = look.admin.describe_topics(TopicCollection([full]), request_timeout=REQUEST_S)[full]
            answer.add_done_callback(partial(self._hear_of, name, look))
        return look

    def _hear_of(self, name: str, look: _Look, answer: Future[Any]) -> None:
        try:
            look.topic_id = str(answer.result().topic_id)
        except KafkaException as exception:
            if exception.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._counts.pop(name, None)
        look.is_asked = False

    def offsets(self, name: str, partitions: Sequence[int], *, end: bool) -> dict[int, int]:
        """The first offset kept of each partition, or the one that the next record will get.

        Raises :class:`LogUnavailable` where one is not known now: an unknown offset is never an answer.
        """
        spec = OffsetSpec.latest() if end else OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(self._prefix + name, number): spec for number in partitions}
        if not wanted:
            return {}

        def ask() -> dict[int, int]:
            futures = self._admin.list_offsets(wanted, request_timeout=OFFSETS_S)
            found = {place.partition: int(future.result(2 * OFFSETS_S).offset) for place, future in futures.items()}
            # NOTE: a client that had asked before says -1001, and no error, while a partition has no leader.
            if any(offset < 0 for offset in found.values()):
                raise _NotKnownNow
            return found

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_not_known_now),
            stop=tenacity.stop_after_delay(REQUEST_S),
            wait=tenacity.wait_fixed(0.1),
            before_sleep=lambda _: self._start_anew(),
            reraise=True,
        )
        try:
            return retrying(ask)
        except (_NotKnownNow, TimeoutError):
            raise LogUnavailable(f"{name}: its offsets are not known now") from None
        except KafkaException as exception:
            error = exception.args[0]
            if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART or not _is_not_known_now(exception):
                raise mapped(error, name) from None
            raise LogUnavailable(f"{name}: its offsets are not known now ({error.name()})") from None

    def _start_anew(self) -> None:
        """Ask with a new client: one that saw a leader go believes for minutes that there is none."""
        self._admin = self._new_admin()
        self._refresh()

    def _new(self, topic: Topic) -> NewTopic:
        copies = self._settings.kafka_replication
        config = {name: each.value for name, each in settings_of_topic(topic, copies).items()}
        return NewTopic(self._prefix + topic.name, topic.partitions, copies, config=config)

    def _create(self, topics: Sequence[NewTopic]) -> None:
        def ask() -> None:
            for name, future in self._admin.create_topics(list(topics), request_timeout=REQUEST_S).items():
                try:
                    future.result(2 * REQUEST_S)
                except KafkaException as exception:
                    error = exception.args[0]
                    if _is_passing(exception):
                        raise
                    if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was quicker
                        raise mapped(error, f"topic {name} cannot be made") from None

        try:
            self._patient(is_boot=True)(ask)
        except KafkaException as exception:
            raise mapped(exception.args[0], "topics cannot be made") from None
        except TimeoutError:
            raise LogUnavailable("topics cannot be made: no answer") from None

    def _await_seen(self, names: Collection[str], *, led: bool) -> dict[str, Seen]:
        """Wait until these topics are in the metadata, ``led`` with all their leaders; return the metadata.

        Each broker learns at its own time, and each question may go to another: what one shows the next may not know.
        """
        pause, until_s = threading.Event(), self._elapsed_s() + VISIBLE_S
        while missing := unseen(names, seen := self._metadata(), led=led):
            if self._elapsed_s() > until_s:
                raise LogUnavailable(f"{', '.join(missing)}: not known to the brokers yet")
            pause.wait(0.05)
        return seen

    def _hear(self, error: KafkaError) -> None:
        note(error)
        if error.code() in REFUSALS:
            self._refusal = error.str()

    def _metadata(self, timeout_s: float = REQUEST_S) -> dict[str, Seen]:
        """The topics under the prefix, as the brokers say now."""
        try:
            metadata = self._admin.list_topics(timeout=timeout_s)
        except KafkaException as exception:
            self._admin.poll(0)  # what was said of the connections comes by callback, and only when asked for
            what = f"Kafka at {self._settings.kafka_servers}"
            if self._refusal:
                raise LogUnavailable(f"{what}: {self._refusal}") from None
            raise mapped(exception.args[0], what) from None
        found = {
            full.removeprefix(self._prefix): seen_of(list(topic.partitions.values()))
            for full, topic in metadata.topics.items()
            if full.startswith(self._prefix) and topic.error is None
        }
        # A topic without a leader is there; it cannot be written now, and that is another matter.
        self._counts.update({name: each.partitions for name, each in found.items()})
        return found

    def _refresh(self) -> None:
        with contextlib.suppress(LogError):
            self._metadata()

    def described(self, names: Sequence[str], *, is_boot: bool = False) -> dict[str, Described]:
        """The shape and the settings of these topics, in the order given. ``is_boot``: the cluster may just begin."""
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, self._prefix + name) for name in names]
        found = self._asked(
            lambda: self._admin.describe_configs(resources, request_timeout=REQUEST_S),
            counted(len(names), "topic"),
            is_boot=is_boot,
        )
        seen = self._await_seen(names, led=False)
        settings = {
            resource.name.removeprefix(self._prefix): {name: entry.value or "" for name, entry in config.items()}
            for resource, config in found.items()
        }
        return {name: described_of(name, seen[name], settings[name]) for name in names}

    def _patient(self, *, is_boot: bool) -> tenacity.Retrying:
        """What asks again while the brokers say "not yet"."""
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_passing),
            stop=tenacity.stop_after_delay(BOOT_S if is_boot else REQUEST_S),
            wait=tenacity.wait_fixed(0.1),
            # NOTE: after a restart the brokers refuse the old leader's epoch until the client has asked who leads now.
            before_sleep=lambda _: self._refresh(),
            reraise=True,
        )

    def _asked(
        self, ask: Callable[[], Mapping[Any, Future[Any]]], what: str, *, is_boot: bool = False
    ) -> dict[Any, Any]:
        """The answers to a question, asked again where the brokers say "not yet" (a leader is being chosen)."""
        try:
            return self._patient(is_boot=is_boot)(
                lambda: {key: future.result(2 * REQUEST_S) for key, future in ask().items()}
            )
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
        # "Failed while waiting for controller": it was on a broker that has just gone, and a new one is being chosen.
        KafkaError._TIMED_OUT,
    }


class _NotKnownNow(Exception):
    """The brokers have no answer to a question about offsets, and have said so without an error."""


@dataclass(slots=True)
class _Look:
    """The newest answer about a topic, and whether a question is under way. ``at_s``: when it was asked."""

    at_s: float
    topic_id: str = ""
    is_asked: bool = False
    admin: AdminClient | None = None


def _is_not_known_now(error: BaseException) -> bool:
    if isinstance(error, KafkaException):
        return _is_passing(error) or error.args[0].code() in _NO_LEADER
    return isinstance(error, _NotKnownNow | TimeoutError)
