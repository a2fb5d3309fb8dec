"""The log's two seams, publish and consume, as the rooms see them. ``transport`` implements them for each log.

What every implementation guarantees (and ``tests/conformance`` asks of each):

* *Publish*: one outcome per record, in the order given, after the log has it durably. A record whose outcome is an
  error may or may not be in the log (a crash in between): repeat it; readers know repetitions by their ids. Records of
  one call with one partition keep their order, and so do successive calls of one publisher.
* *Consume*: the records of a partition come in offset order, without gaps but for what retention or compaction took.
  ``log_time_ms`` never goes back within a partition. Nothing is skipped by reading;
  a position moves by ``commit`` only.
* *Leases*: one consumer of a name holds a partition at a time. Who takes it over gets a higher generation, and the
  former holder's ``commit`` (and tick) is refused with :class:`StaleConsumer`.
* *Ticks*: a partition quiet for ``tick_after_ms`` gets a tick record from whoever consumes it with ticks on: a record
  without key and value, whose only meaning is its log time.

Not guaranteed: that a record is in the log once (publishers repeat after a doubt), any order between partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from contracts.codec import Packed
from contracts.errors import LogError
from contracts.topics import Topic


class Outgoing(Packed, frozen=True):
    """A record to publish. ``value`` None deletes the key of a compacted topic. ``partition`` None: by the key."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None


class Stored(NamedTuple):
    """Where a published record stands now."""

    partition: int
    offset: int
    log_time_ms: int


class Record(Packed, frozen=True):
    """A record read. ``offset`` counts from 0 in its partition; ``log_time_ms`` is when the log took it."""

    topic: str
    partition: int
    offset: int
    log_time_ms: int
    key: bytes
    value: bytes | None

    @property
    def is_tick(self) -> bool:
        """Whether this is a tick: no key, no value, only a log time."""
        return not self.key and self.value is None


PublishOutcome = Stored | LogError
OnPublished = Callable[[list[PublishOutcome]], None]
"""Called with the outcomes of one submission, in the order of its records."""


class Publisher(Protocol):
    """Writes. Safe to share between threads."""

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        """Store the records; returns when each is stored or refused, one outcome per record, in order."""

    def submit(self, records: Sequence[Outgoing], done: OnPublished) -> None:
        """As :meth:`publish`, without waiting: ``done`` is called once, on the writer's thread. Do little in it."""

    def close(self) -> None:
        """Wait for what was submitted, then release everything."""


class Consumer(Protocol):
    """Reads some partitions of one topic under one name, holding their leases. One thread at a time."""

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        """The next records, at most ``max_records``; waits up to ``timeout_s`` for the first. Ticks are records too.

        Nothing may mean that records are still on their way; of a strict reader it means that there were none.

        Raises :class:`PositionGone`, :class:`StaleConsumer`, :class:`LogUnavailable`.
        """

    def commit(self, positions: Mapping[int, int]) -> None:
        """Remember, per partition, the offset of the *next* record to read. Raises :class:`StaleConsumer`."""

    def positions(self) -> dict[int, int]:
        """The next offset to read of each partition held."""

    def seek(self, partition: int, offset: int) -> None:
        """Read on from this offset."""

    def close(self) -> None:
        """Give the leases back."""


class Log(Protocol):
    """A log: topics, publishers, consumers."""

    def ensure(self, topics: Sequence[Topic]) -> None:
        """Create the topics that are absent. Raises :class:`UnknownTopic` where one exists in another shape."""

    def topics(self) -> list[Topic]:
        """The topics that exist."""

    def topic_id(self, topic: str) -> str:
        """An id that a topic made anew under the same name does not share. Keep it beside positions."""

    def publisher(self) -> Publisher:
        """A new publisher."""

    def consumer(
        self,
        name: str,
        topic: str,
        partitions: Sequence[int] | None = None,
        *,
        start: Mapping[int, int] | None = None,
        ticks: bool = False,
    ) -> Consumer:
        """A consumer of ``partitions`` (None: all). ``start``: positions that outrank the committed ones; where neither
        is known it starts at the oldest record. ``ticks``: write ticks where it is quiet (DESIGN 6).
        """

    def reader(self, topic: str, *, from_end: bool = False, strict: bool = True) -> Consumer:
        """A consumer without name, lease and commit: for looking on (``segma tail``, the console, the directory).

        ``strict``: it returns nothing only when it has returned all that was in the log when it was asked. On Kafka
        that costs a question to the brokers (3 ms), so whoever asks often and can wait says False.
        """

    def end(self, topic: str) -> dict[int, int]:
        """Per partition, the offset that the next record will get."""

    def close(self) -> None:
        """Release everything."""
