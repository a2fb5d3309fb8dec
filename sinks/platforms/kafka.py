"""Moves for anyone else: every command as a record of a topic of the log, which on Kafka is a topic of the cluster.

A record is confirmed by the log before its command has an outcome. Its key is the person, so one person's records are
in one partition, in their order. Its value is the command, with the subscriber's id and without an address
(docs/sinks.md has the fields). ``command_id`` is the same at every repetition (a record whose confirmation was lost
in a crash is there twice): whoever must not do a thing twice remembers it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contracts.codec import to_json
from contracts.errors import LogError, UnknownTopic
from contracts.installation import DurationMs
from contracts.log import Log, Outgoing, PublishOutcome
from contracts.reasons import Reason
from contracts.topics import DAY_MS, DEFAULT_PARTITIONS, Topic, fixed_topics, subscriber_key
from sinks.base import (
    Answer,
    Change,
    Done,
    Fate,
    Member,
    NoSuchList,
    PlatformError,
    Right,
    Tell,
    Traits,
    Trouble,
    nobody,
)
from sinks.toolkit.options import Around, Kind

MAX_RECORD_BYTES: Final = 900_000
"""A broker takes 1 MB a record unless it is told otherwise; its own words around ours count as well."""
OWN: Final = (*(topic.name for topic in fixed_topics()), "leases")
OWN_BEGINNINGS: Final = ("moves.", "backfill.")


def _free(topic: str) -> str:
    """Not one of Segma's own: a reader of those would take our records for its own."""
    if topic in OWN or topic.startswith(OWN_BEGINNINGS):
        raise ValueError("another name: this one is a topic of Segma's own")
    return topic


class KafkaOptions(BaseModel):
    """``topic``: made if missing, with so many ``partitions``; an existing one is used as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,179}$"), AfterValidator(_free)]
    partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, le=1_000)
    retention: DurationMs = 30 * DAY_MS


def make(options: KafkaOptions, around: Around) -> KafkaSink:
    """The sink of an account."""
    if around.log is None:
        raise ValueError("a kafka account needs the log open")
    return KafkaSink(around.log, around.name.partition("/")[0], options)


class KafkaSink:
    """The topic. What was published is not read back."""

    traits = Traits(batch=500, tags=True, lists=False, waits_ms=30_000)

    def __init__(self, log: Log, workspace: str, options: KafkaOptions) -> None:
        self._log, self._workspace = log, workspace
        self._topic = Topic(options.topic, options.partitions, options.retention)
        self._made()
        self._publisher = log.publisher()

    def apply(self, changes: Sequence[Change], tell: Tell = nobody) -> list[Answer]:
        """See :meth:`sinks.base.Sink.apply`. Each change is one command; its record is confirmed, or trouble."""
        answers: list[Answer | None] = [None] * len(changes)
        records: dict[int, Outgoing] = {}
        for index, change in enumerate(changes):
            value = to_json(change.about)
            if len(value) > MAX_RECORD_BYTES:
                answers[index] = Trouble(Reason.TOO_LARGE, Fate.LASTING, f"{len(value)} bytes")
            else:
                key = subscriber_key(self._workspace, change.subscriber)
                records[index] = Outgoing(self._topic.name, key, value)
        stored = dict(zip(records, self._publisher.publish(list(records.values())), strict=True))
        if any(isinstance(each, UnknownTopic) for each in stored.values()):
            self._remade()
        return [_answer(stored[index]) if answer is None else answer for index, answer in enumerate(answers)]

    def members(self, list_name: str) -> Iterator[Member]:
        """There are no lists; asked so, it says whether the topic can be reached."""
        try:
            self._log.end(self._topic.name)
        except LogError as error:
            raise PlatformError(Trouble(Reason.UNREACHABLE, Fate.AWAY, type(error).__name__)) from None
        raise NoSuchList(list_name, ())

    def rights(self) -> Iterator[Right]:
        """There is nothing to try without doing it."""
        yield Right("delivering", None, "tried with the first command")

    def close(self) -> None:
        """Wait for the records on their way; the log stays open, as another opened it."""
        self._publisher.close()

    def _made(self) -> None:
        if self._topic.name not in {topic.name for topic in self._log.topics()}:
            self._log.ensure([self._topic])

    def _remade(self) -> None:
        """Make the topic again that was deleted. Where the log is away, the next attempt finds that."""
        try:
            self._made()
        except LogError:
            return


def _answer(outcome: PublishOutcome) -> Answer:
    if isinstance(outcome, LogError):
        return Trouble(Reason.UNREACHABLE, Fate.AWAY, type(outcome).__name__)
    return Done(("published",), f"partition {outcome.partition}, offset {outcome.offset}")


KIND: Final = Kind(KafkaOptions, make, tags=True)
