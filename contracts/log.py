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
    """The place of a published record."""

    partition: int
    offset: int
    log_time_ms: int


class Bookmark(NamedTuple):
    """Where to read on: an offset, and the epoch of the leader that wrote what was read before it.

    By the epoch a log that lost its tail and has grown anew is known from the one that was read. -1: not known.
    """

    offset: int
    epoch: int = -1


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
    """Writes records. Safe to share between threads.

    ::

        publisher = log.publisher()
        (outcome,) = publisher.publish([Outgoing(ROWS, b"shop/s_1", row)])
        if isinstance(outcome, LogError):
            raise outcome
    """

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        """Store records; return when each of them is stored or refused.

        Args:
            records: Any number, also none, of any topics.

        Returns:
            One outcome a record, in their order: :class:`Stored`, or the :class:`LogError` that kept it out.
            :class:`LogUnavailable` may be tried again; any other cannot be mended by waiting. Nothing is raised.
        """

    def submit(self, records: Sequence[Outgoing], done: OnPublished) -> None:
        """Store records as :meth:`publish` does, without waiting.

        Args:
            records: As for :meth:`publish`.
            done: Called once with the outcomes, on the writer's thread: it must neither wait nor raise.
        """

    def close(self) -> None:
        """Wait for what was submitted, then release everything."""


class Consumer(Protocol):
    """Reads some partitions of one topic under one name, and holds their leases. For one thread at a time.

    ::

        consumer = log.consumer("loader", ROWS)
        for record in consumer.poll(5_000, timeout_s=0.5):
            ...
        consumer.commit(consumer.positions())
    """

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        """Return the next records of the partitions held, and move on behind them; ticks are records too.

        Args:
            max_records: At most so many.
            timeout_s: How many seconds to wait for the first of them; 0 returns at once.

        Returns:
            Records in the order of their offsets within each partition. An empty list: of a strict reader, that the
            log held no more when it was asked; of any other consumer, only that none is here yet.

        Raises:
            PositionGone: the position is older than the oldest record that retention has kept, or of a history that the
                log has lost; or the topic was made anew.
            StaleConsumer: another consumer of this name has taken a partition over.
            LogUnavailable: the log cannot be read now; try again later.
        """

    def commit(self, positions: Mapping[int, int]) -> None:
        """Remember how far partitions were read.

        Args:
            positions: Partition → offset of the *next* record to read.

        Raises:
            StaleConsumer: another consumer of this name has taken a partition over; nothing was remembered.
        """

    def positions(self) -> dict[int, int]:
        """Return partition → offset reached: that of the next record, or the end where there is none yet.

        Offsets that hold no record for a reader (a transaction's marker, what compaction took) count as passed.
        """

    def bookmark(self, partition: int) -> Bookmark:
        """Return where to read on after a restart: keep it beside :meth:`Log.topic_id`, and give it to :meth:`seek`.

        Args:
            partition: One of those held.
        """

    def seek(self, partition: int, offset: int, epoch: int = -1) -> None:
        """Continue reading a partition at an offset.

        Args:
            partition: One of those held.
            offset: Of the next record to read. Where it is not in the log, :meth:`poll` raises PositionGone.
            epoch: Of a bookmark: by it a log that lost its end and has grown anew is known. -1: not known.
        """

    def close(self) -> None:
        """Give the leases back and release everything."""


class Log(Protocol):
    """A log: topics, publishers, consumers.

    ::

        log = open_log(settings)
        log.ensure([Topic(ROWS, partitions=4)])
    """

    def ensure(self, topics: Sequence[Topic]) -> None:
        """Create the topics that are absent.

        Args:
            topics: Their names and shapes. The number of partitions of a topic is frozen once it exists.

        Raises:
            UnknownTopic: one exists in another shape.
            LogUnavailable: the log cannot be reached now.
        """

    def topics(self) -> list[Topic]:
        """Return the topics that exist."""

    def topic_id(self, topic: str) -> str:
        """Return an id that a topic made anew under the same name does not share. Keep it beside positions.

        Raises:
            UnknownTopic: there is none of this name.
        """

    def publisher(self) -> Publisher:
        """Return a new publisher. Close it."""

    def consumer(
        self,
        name: str,
        topic: str,
        partitions: Sequence[int] | None = None,
        *,
        start: Mapping[int, int] | None = None,
        ticks: bool = False,
    ) -> Consumer:
        """Return a consumer that holds the leases of partitions of one topic. Close it.

        Args:
            name: Whose leases and committed positions these are.
            topic: What to read.
            partitions: Their numbers; None: all of the topic's.
            start: Partition → offset, outranking the committed position. Where neither is known, reading starts at the
                oldest record.
            ticks: Write tick records into partitions that are quiet (docs/architecture.md, "The engine").

        Raises:
            UnknownTopic: there is no such topic.
            LogUnavailable: the log cannot be reached now.
        """

    def reader(self, topic: str, *, from_end: bool = False, strict: bool = True) -> Consumer:
        """Return a consumer without name, lease and commit: for looking on. Close it.

        Args:
            topic: What to read, all of its partitions.
            from_end: Start behind the newest record instead of at the oldest.
            strict: ``poll`` returns an empty list only when it has returned all that the log held when it was asked. On
                Kafka that costs a question to the brokers (3 ms), so whoever asks often and can wait says False.
        """

    def start(self, topic: str) -> dict[int, int]:
        """Per partition, the offset of the oldest record kept; the end where there is none."""

    def end(self, topic: str) -> dict[int, int]:
        """Return partition → the offset that its next record will get."""

    def close(self) -> None:
        """Release everything."""
