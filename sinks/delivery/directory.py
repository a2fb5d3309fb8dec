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
from contracts.tokens import mailbox_key
from contracts.topics import SUBSCRIBERS, subscriber_key

_read: Final[Callable[[bytes], DirectoryEntry]] = json_reader(DirectoryEntry)


def _may_have_twins(address: str) -> bool:
    """Whether an address may be written in two ways."""
    # PERF: almost none may; the domain of the others is not looked at.
    return not address.isascii() or "xn--" in address or address.endswith(".")


class Directory:
    """The people of all workspaces."""

    def __init__(self, log: Log) -> None:
        self._spelled: dict[tuple[str, str], set[str]] = {}
        self._table = CompactedTable(log, SUBSCRIBERS, self._taken)
        self._entries = self._table.values

    def _taken(self, value: bytes) -> DirectoryEntry:
        entry = _read(value)
        if _may_have_twins(entry.address):
            self._spelled.setdefault((entry.workspace, mailbox_key(entry.address)), set()).add(entry.subscriber)
        return entry

    def follow(self, timeout_s: float = 0.0) -> None:
        """Take in what has been written since."""
        self._table.refresh(timeout_s)

    def find(self, workspace: str, subscriber: str) -> DirectoryEntry | None:
        """Somebody's entry."""
        key = subscriber_key(workspace, subscriber)
        if key not in self._entries:
            self.follow()
        return self._entries.get(key)

    def twins(self, workspace: str, subscriber: str) -> list[str]:
        """The other ids under which somebody's mailbox stands here.

        Before a domain's two spellings were one, each of them was a person of its own; what either has left, both have.
        """
        entry = self._entries.get(subscriber_key(workspace, subscriber))
        if entry is None or not _may_have_twins(entry.address):
            return []
        mailbox = mailbox_key(entry.address)
        others = sorted(self._spelled.get((workspace, mailbox), set()) - {subscriber})
        found = ((each, self._entries.get(subscriber_key(workspace, each))) for each in others)
        return [each for each, other in found if other is not None and mailbox_key(other.address) == mailbox]

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
