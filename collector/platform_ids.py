"""Who is who at the platforms, followed in the directory: some webhooks name a record of theirs, and no address."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from collector.topic_follower import TopicFollower
from contracts.codec import json_reader
from contracts.directory import Identities
from contracts.errors import BadRecord
from contracts.log import Consumer, Record
from contracts.reading import unread
from contracts.rows import DirectoryEntry
from contracts.topics import SUBSCRIBERS, subscriber_key

AccountKey = tuple[str, str]
"""Workspace and account."""

FIRST_S: Final = 1.0
"""How long the first record of the directory is waited for."""

_read: Final[Callable[[bytes], DirectoryEntry]] = json_reader(DirectoryEntry)


class Known:
    """Who is who: by a platform's own id, and by an address that changed. No address is kept, only ids made of them."""

    def __init__(
        self,
        accounts: Collection[AccountKey] = (),
        open_reader: Callable[[], Consumer] | None = None,
        *,
        secrets: Mapping[str, bytes] | None = None,
    ) -> None:
        """Follow the directory.

        Args:
            accounts: Of whose platforms the ids are wanted.
            open_reader: A reader of the topic ``subscribers`` from its start.
            secrets: Workspace → its secret, from which an address's id is made.
        """
        self._open_reader = open_reader
        self._identities = Identities(secrets or {})
        self._accounts = frozenset(accounts)
        self._people: dict[tuple[AccountKey, str], str] = {}
        self._ids: dict[bytes, tuple[str, list[tuple[AccountKey, str]]]] = {}
        self._follower = TopicFollower(SUBSCRIBERS, open_reader, self.take) if open_reader is not None else None

    def find(self, workspace: str, account: str, person: str) -> str:
        """The subscriber of this id; empty where nobody is known by it."""
        return self._people.get(((workspace, account), person), "")

    def current(self, workspace: str, subscriber: str) -> str:
        """The id of the person whom an id means, by the rule of :class:`Identities`."""
        return self._identities.current(workspace, subscriber)

    def entry(self, workspace: str, subscriber: str) -> DirectoryEntry | None:
        """Somebody's entry, read from the directory now. That takes a while: it is for what happens rarely."""
        if self._open_reader is None:
            return None
        key, found = subscriber_key(workspace, subscriber), None
        reader = self._open_reader()
        try:
            for record in unread(reader, FIRST_S):
                if record.key == key:
                    found = _entry_of(record)
        finally:
            reader.close()
        return found

    def start(self) -> None:
        """Follow the directory on a thread of its own, where anybody needs it."""
        if self._follower is not None:
            self._follower.start()

    def stop(self) -> None:
        """End within a poll."""
        if self._follower is not None:
            self._follower.stop()

    def take(self, records: list[Record]) -> None:
        """Fold records in: of a person the newest counts; whoever was forgotten is nobody any more."""
        for record in records:
            subscriber, former = self._ids.pop(record.key, ("", []))
            for each in former:
                if self._people.get(each) == subscriber:  # else the platform calls somebody else so by now
                    del self._people[each]
            entry = _entry_of(record)
            self._identities.take(record.key, entry)
            if entry is not None:
                accounts = {(entry.workspace, account): person for account, person in entry.platform_ids.items()}
                own = [(whose, person) for whose, person in accounts.items() if whose in self._accounts]
                self._people |= dict.fromkeys(own, entry.subscriber)
                if own:
                    self._ids[record.key] = entry.subscriber, own


def _entry_of(record: Record) -> DirectoryEntry | None:
    try:
        return _read(record.value) if record.value is not None else None
    except BadRecord:
        return None
