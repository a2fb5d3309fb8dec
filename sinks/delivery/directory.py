"""The directory in memory: who has which address. Read from the compacted topic, followed live."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Final

from contracts.codec import json_reader
from contracts.directory import Identities
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
        self._are_all_noted, self._is_plain_wanted = False, False
        self._table = CompactedTable(log, SUBSCRIBERS, self._taken)
        self._entries = self._table.values

    def _taken(self, value: bytes) -> DirectoryEntry:
        entry = _read(value)
        if self._are_all_noted or _may_have_twins(entry.address):
            mailbox = self._note(entry)
            self._is_plain_wanted = self._is_plain_wanted or not _may_have_twins(mailbox)
        return entry

    def _note(self, entry: DirectoryEntry) -> str:
        mailbox = mailbox_key(entry.address)
        self._spelled.setdefault((entry.workspace, mailbox), set()).add(entry.subscriber)
        return mailbox

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
        """The other ids under which somebody stands here: by their mailbox, or by an address that they had.

        Before a domain's two spellings were one, each of them was a person of its own; what either has left, both have.
        """
        entry = self._entries.get(subscriber_key(workspace, subscriber))
        if self._is_plain_wanted and not self._are_all_noted:
            # NOTE: somebody's twin is written as most addresses are: from here on those are noted, too.
            self._are_all_noted = True
            for known in self._entries.values():
                self._note(known)
        if entry is None:
            return []
        had = {each for each in entry.former if subscriber_key(workspace, each) in self._entries}
        if self._are_all_noted or _may_have_twins(entry.address):
            mailbox = mailbox_key(entry.address)
            for each in self._spelled.get((workspace, mailbox), ()):
                other = self._entries.get(subscriber_key(workspace, each))
                if other is not None and mailbox_key(other.address) == mailbox:
                    had.add(each)
        return sorted(had - {subscriber})

    def people(self, workspace: str) -> Iterator[DirectoryEntry]:
        """Everybody of a workspace, by id."""
        self.follow()
        prefix = subscriber_key(workspace, "")
        for key in sorted(self._entries):
            if key.startswith(prefix):
                yield self._entries[key]

    def mailboxes(self, workspace: str) -> dict[str, list[str]]:
        """Mailbox → the ids under which it stands here."""
        found: dict[str, list[str]] = {}
        for each in self.people(workspace):
            found.setdefault(mailbox_key(each.address), []).append(each.subscriber)
        return found

    def whose(self, workspace: str, workspace_secret: bytes) -> Callable[[str], str]:
        """The id of the person whom an id means, by the rule of :class:`Identities`, among the people of now."""
        identities = Identities({workspace: workspace_secret})
        for each in self.people(workspace):
            identities.take(subscriber_key(workspace, each.subscriber), each)
        return functools.partial(identities.current, workspace)

    def close(self) -> None:
        """Stop following."""
        self._table.close()
