"""Who is who at the platforms, followed in the directory: some webhooks name a record of theirs, and no address."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from collector.topic_follower import Reading
from contracts.codec import json_reader
from contracts.errors import BadRecord
from contracts.log import Consumer, Record
from contracts.rows import DirectoryEntry
from contracts.topics import SUBSCRIBERS

Place = tuple[str, str]
"""Workspace and account."""

_read: Final[Callable[[bytes], DirectoryEntry]] = json_reader(DirectoryEntry)


class Known:
    """(workspace, account) and the platform's own id of a person → the subscriber. No address is kept."""

    def __init__(self, places: Collection[Place] = (), open_reader: Callable[[], Consumer] | None = None) -> None:
        """``places``: of whose platforms. ``open_reader``: a reader of the topic ``subscribers`` from its start."""
        self._places = frozenset(places)
        self._people: dict[tuple[Place, str], str] = {}
        self._ids: dict[bytes, tuple[str, list[tuple[Place, str]]]] = {}
        self._reading = (
            Reading(SUBSCRIBERS, open_reader, self.take) if self._places and open_reader is not None else None
        )

    def find(self, workspace: str, account: str, person: str) -> str:
        """The subscriber of this id; empty where nobody is known by it."""
        return self._people.get(((workspace, account), person), "")

    def start(self) -> None:
        """Follow the directory on a thread of its own, where anybody needs it."""
        if self._reading is not None:
            self._reading.start()

    def stop(self) -> None:
        """End within a poll."""
        if self._reading is not None:
            self._reading.stop()

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
                places = {(entry.workspace, account): person for account, person in entry.platform_ids.items()}
                own = [(place, person) for place, person in places.items() if place in self._places]
                self._people |= dict.fromkeys(own, entry.subscriber)
                if own:
                    self._ids[record.key] = entry.subscriber, own
