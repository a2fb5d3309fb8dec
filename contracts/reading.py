"""Reading a topic to its end as it is now: what every room does that keeps a topic in memory, or counts one through.

A reader for this must be strict (:meth:`contracts.log.Log.reader`): only then does "nothing" mean the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from contracts.errors import BadRecord, LogUnavailable
from contracts.log import Consumer, Log, Record

AT_ONCE: Final = 5_000
"""Records asked for at a time."""
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
