"""The directory in memory: who has which address. Read from the compacted topic, followed live."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Final

from contracts.codec import json_reader
from contracts.directory import ids_beside
from contracts.log import Log
from contracts.reading import CompactedTable
from contracts.rows import DirectoryEntry
from contracts.topics import SUBSCRIBERS, subscriber_key

_read: Final[Callable[[bytes], DirectoryEntry]] = json_reader(DirectoryEntry)


class Directory:
    """The people of all workspaces."""

    def __init__(self, log: Log) -> None:
        self._table = CompactedTable(log, SUBSCRIBERS, _read)
        self._entries = self._table.values

    def follow(self, timeout_s: float = 0.0) -> None:
        """Take in what has been written since."""
        self._table.refresh(timeout_s)

    def find(self, workspace: str, subscriber: str) -> DirectoryEntry | None:
        """Somebody's entry."""
        key = subscriber_key(workspace, subscriber)
        if key not in self._entries:
            self.follow()
        return self._entries.get(key)

    def people(self, workspace: str) -> Iterator[DirectoryEntry]:
        """Everybody of a workspace, by id."""
        self.follow()
        prefix = subscriber_key(workspace, "")
        for key in sorted(self._entries):
            if key.startswith(prefix):
                yield self._entries[key]

    def whose(self, workspace: str, workspace_secret: bytes) -> Callable[[str], str]:
        """Whose id it is that was made of an address: the person's who has or had the address, else itself."""

        @functools.cache  # PERF: everybody is looked through, and only for an id that is nobody's own
        def moved() -> dict[str, str]:
            people = self.people(workspace)
            return {made: each.subscriber for each in people for made in ids_beside(each, workspace_secret)}

        def current(subscriber: str) -> str:
            return subscriber if self.find(workspace, subscriber) is not None else moved().get(subscriber, subscriber)

        return current

    def close(self) -> None:
        """Stop following."""
        self._table.close()
