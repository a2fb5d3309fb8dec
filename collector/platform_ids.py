"""Who is who at the platforms, followed in the directory: some webhooks name a record of theirs, and no address."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from collector.topic_follower import TopicFollower
from contracts.codec import json_reader
from contracts.errors import BadRecord
from contracts.log import Consumer, Record
from contracts.rows import DirectoryEntry
from contracts.topics import SUBSCRIBERS

AccountKey = tuple[str, str]
"""Workspace and account."""

_read: Final[Callable[[bytes], DirectoryEntry]] = json_reader(DirectoryEntry)


class Known:
    """(workspace, account) and the platform's own id of a person → the subscriber. No address is kept."""

    def __init__(
        self, accounts: Collection[AccountKey] = (), open_reader: Callable[[], Consumer] | None = None
    ) -> None:
        """``accounts``: of whose platforms. ``open_reader``: a reader of the topic ``subscribers`` from its start."""
        self._accounts = frozenset(accounts)
        self._people: dict[tuple[AccountKey, str], str] = {}
        self._ids: dict[bytes, tuple[str, list[tuple[AccountKey, str]]]] = {}
        self._follower = (
            TopicFollower(SUBSCRIBERS, open_reader, self.take) if self._accounts and open_reader is not None else None
        )

    def find(self, workspace: str, account: str, person: str) -> str:
        """The subscriber of this id; empty where nobody is known by it."""
        return self._people.get(((workspace, account), person), "")

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
            try:
                entry = _read(record.value) if record.value is not None else None
            except BadRecord:
                continue
            if entry is not None:
                accounts = {(entry.workspace, account): person for account, person in entry.platform_ids.items()}
                own = [(whose, person) for whose, person in accounts.items() if whose in self._accounts]
                self._people |= dict.fromkeys(own, entry.subscriber)
                if own:
                    self._ids[record.key] = entry.subscriber, own
