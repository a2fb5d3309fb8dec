"""Who is who at the platforms, followed in the directory: some webhooks name a record of theirs, and no address."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Final

import structlog

from segma.contracts.codec import json_reader
from segma.contracts.errors import BadRecord, LogError
from segma.contracts.log import Consumer, Record
from segma.contracts.rows import DirectoryEntry

POLL_S: Final = 0.5
"""How long a reader waits at most before it looks whether it should stop; a new record wakes it at once."""
AGAIN_S: Final = 1.0
Place = tuple[str, str]
"""Workspace and account."""

_read: Final[Callable[[bytes], DirectoryEntry]] = json_reader(DirectoryEntry)
log_line = structlog.get_logger("collector")


class Known:
    """(workspace, account) and the platform's own id of a person → the subscriber. No address is kept."""

    def __init__(self, places: Collection[Place] = (), open_reader: Callable[[], Consumer] | None = None) -> None:
        """``places``: of whose platforms. ``open_reader``: a reader of the topic ``subscribers`` from its start."""
        self._places, self._open_reader = frozenset(places), open_reader
        self._people: dict[tuple[Place, str], str] = {}
        self._ids: dict[bytes, tuple[str, list[tuple[Place, str]]]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def find(self, workspace: str, account: str, person: str) -> str:
        """The subscriber of this id; empty where nobody is known by it."""
        return self._people.get(((workspace, account), person), "")

    def start(self) -> None:
        """Follow the directory on a thread of its own, where anybody needs it."""
        if self._places and self._open_reader is not None and self._thread is None:
            self._thread = threading.Thread(target=self._follow, args=(self._open_reader,), daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End within a poll."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

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

    def _follow(self, open_reader: Callable[[], Consumer]) -> None:
        while not self._stop.is_set():
            try:
                self._read(open_reader())
            except LogError as error:
                # NOTE: the log is away: who was known is known.
                log_line.warning("directory_not_followed", error=str(error))
                self._stop.wait(AGAIN_S)

    def _read(self, reader: Consumer) -> None:
        try:
            while not self._stop.is_set():
                self.take(reader.poll(1_000, POLL_S))
        finally:
            reader.close()
