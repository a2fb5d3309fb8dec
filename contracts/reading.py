"""Reading a topic: to its end as it is now (a table in memory, a count), or for as long as a process runs.

A reader that must know the end is strict (:meth:`contracts.log.Log.reader`): only then does "nothing" mean the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from contracts.errors import BadRecord, LogError, LogUnavailable
from contracts.log import Consumer, Log, Record
from contracts.topics import BEACONS, EVENTS

AT_ONCE: Final = 5_000
"""Records asked for at a time."""
FOLLOWED_AT_ONCE: Final = 500
"""Records that :func:`follow` asks for at a time: whoever takes them may hold a lock meanwhile."""
POLL_S: Final = 0.5
"""Seconds that a reader which is followed waits at most for a record; a new one wakes it at once."""
PATIENCE: Final = 60
"""Half seconds that :meth:`CompactedTable.read_to_end` waits for records that the log says are there."""

T = TypeVar("T")


def unread(reader: Consumer, timeout_s: float = 0.0) -> Iterator[Record]:
    """The records from a reader's position to the end; waits up to ``timeout_s`` for the first, then for none.

    Raises what :meth:`contracts.log.Consumer.poll` raises.
    """
    while records := reader.poll(AT_ONCE, timeout_s):
        timeout_s = 0.0
        yield from records


def all_of(log: Log, topic: str) -> Iterator[Record]:
    """Every record of a topic, from the oldest kept to the newest there is now."""
    reader = log.reader(topic)
    try:
        yield from unread(reader)
    finally:
        reader.close()


def now_in(log: Log, clock_ms: int) -> int:
    """The newest time that the log gave an event, or that of a clock, whichever is later.

    What is to lie behind all that the log holds by now is not told by this machine's clock alone: the log's is another.
    """
    newest_ms = clock_ms
    for topic in (BEACONS, EVENTS):
        reader, oldest = log.reader(topic, from_end=True), log.start(topic)
        try:
            for partition, end in reader.positions().items():
                reader.seek(partition, max(end - 1, oldest[partition]))
            newest_ms = max([newest_ms, *(record.log_time_ms for record in unread(reader))])
        finally:
            reader.close()
    return newest_ms


def follow(
    open_reader: Callable[[], Consumer],
    take: Callable[[list[Record]], None],
    *,
    stopping: Callable[[], bool],
    away: Callable[[LogError], None],
) -> None:
    """Hand every record of a topic to ``take``, the oldest kept first, until ``stopping`` says so.

    After an error of the log all is read again from the start, so ``take`` must come to the same whether it is given a
    record once or twice. It is called with no records as well, about twice a second where nothing is written.

    Args:
        open_reader: Opens a reader at the oldest record.
        take: Gets the records of one poll.
        stopping: Asked before each poll, which takes half a second at most.
        away: Told of each error before the next attempt; it waits as long as it finds right.

    Example::

        stop = threading.Event()
        follow(lambda: log.reader(CAPTURES), take, stopping=stop.is_set, away=lambda error: stop.wait(1.0))
    """
    while not stopping():
        try:
            reader = open_reader()
            try:
                while not stopping():
                    take(reader.poll(FOLLOWED_AT_ONCE, POLL_S))
            finally:
                reader.close()
        except LogError as error:
            away(error)


class CompactedTable(Generic[T]):
    """The newest value of each key of a compacted topic, decoded, followed by :meth:`refresh`.

    ::

        directory = CompactedTable(log, SUBSCRIBERS, json_reader(DirectoryEntry))
        directory.values[subscriber_key("shop", "ada")]
    """

    def __init__(
        self,
        log: Log,
        topic: str,
        read: Callable[[bytes], T],
        *,
        strict: bool = True,
        unreadable: Callable[[Record, BadRecord], None] | None = None,
    ) -> None:
        """Reads the topic to its end. Raises :class:`LogUnavailable` where it does not come.

        Args:
            log: Where the topic is.
            topic: Its name; a compacted one.
            read: Decodes a value; raises :class:`BadRecord`.
            strict: Whether :meth:`refresh` reads to the end. False: it takes what is here already, which costs nothing.
            unreadable: Told of each value that does not decode; its key keeps the value before. None: the key goes.
        """
        self._log, self._topic, self._read, self._unreadable = log, topic, read, unreadable
        self._reader = log.reader(topic, strict=strict)
        self.values: dict[bytes, T] = {}
        if strict:
            self.refresh()
        else:
            self.read_to_end()

    def refresh(self, timeout_s: float = 0.0) -> bool:
        """Take in what was written since; whether there was anything. Waits up to ``timeout_s`` for the first."""
        changed = False
        for record in unread(self._reader, timeout_s):
            self._take(record)
            changed = True
        return changed

    def read_to_end(self) -> None:
        """Take in all that the log holds now, also where the reader is not strict.

        Raises :class:`LogUnavailable` where it does not come.
        """
        ends = self._log.end(self._topic)
        for _ in range(PATIENCE):
            self.refresh(timeout_s=0.5)
            positions = self._reader.positions()
            if all(positions.get(partition, 0) >= end for partition, end in ends.items()):
                return
        raise LogUnavailable(f"the topic {self._topic} cannot be read to its end")

    def _take(self, record: Record) -> None:
        if record.value is None:
            self.values.pop(record.key, None)
            return
        try:
            self.values[record.key] = self._read(record.value)
        except BadRecord as error:
            if self._unreadable is not None:
                self._unreadable(record, error)
            else:
                self.values.pop(record.key, None)

    def close(self) -> None:
        """Stop following."""
        self._reader.close()
