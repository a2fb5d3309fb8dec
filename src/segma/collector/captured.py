"""What live listeners ask of the pages, followed in the log; a browser asks the collector for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from segma.contracts.captures import Captures, Named, allowed
from segma.contracts.codec import json_reader
from segma.contracts.errors import BadRecord, LogError
from segma.contracts.log import Consumer, Record

POLL_S: Final = 0.5
"""How long a reader waits at most before it looks whether it should stop; a new record wakes it at once."""
AGAIN_S: Final = 1.0

_read: Final[Callable[[bytes], Captures]] = json_reader(Captures)
log_line = structlog.get_logger("collector")


class Captured:
    """The newest :class:`Captures` of each workspace. Before any came, nothing is asked for."""

    def __init__(self, open_reader: Callable[[], Consumer] | None = None) -> None:
        """``open_reader``: a reader of the topic ``captures`` from its oldest record; None: nobody publishes."""
        self._open_reader = open_reader
        self._actions: dict[str, dict[str, tuple[Named, ...]]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def of(self, workspace: str, capture: tuple[str, ...]) -> dict[str, tuple[Named, ...]]:
        """What is asked for and allowed by a site with this ``capture`` setting."""
        return allowed(self._actions.get(workspace, {}), capture)

    def start(self) -> None:
        """Follow the topic on a thread of its own."""
        if self._open_reader is not None and self._thread is None:
            self._thread = threading.Thread(target=self._follow, args=(self._open_reader,), daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End within a poll."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def take(self, records: list[Record]) -> None:
        """Fold records in: the newest of a workspace counts."""
        for record in records:
            try:
                found = _read(record.value) if record.value is not None else Captures(record.key.decode())
            except BadRecord as error:
                log_line.warning("captures_passed_over", offset=record.offset, error=str(error))
            else:
                self._actions[found.workspace] = found.actions

    def _follow(self, open_reader: Callable[[], Consumer]) -> None:
        while not self._stop.is_set():
            try:
                self._read(open_reader())
            except LogError as error:
                # NOTE: the log is away: what was known holds.
                log_line.warning("captures_not_followed", error=str(error))
                self._stop.wait(AGAIN_S)

    def _read(self, reader: Consumer) -> None:
        try:
            while not self._stop.is_set():
                self.take(reader.poll(100, POLL_S))
        finally:
            reader.close()
