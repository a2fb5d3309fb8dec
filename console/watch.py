"""Following the log into the picture: one thread a topic, and a bell for every open page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog

from console.picture import Picture
from contracts.codec import json_reader
from contracts.commands import Outcome
from contracts.errors import BadRecord, LogError
from contracts.log import Consumer, Log, Record
from contracts.reading import follow
from contracts.rows import DirectoryEntry, Row
from contracts.topics import OUTCOMES, ROWS, SUBSCRIBERS

READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    SUBSCRIBERS: json_reader(DirectoryEntry),
    ROWS: json_reader(Row),
    OUTCOMES: json_reader(Outcome),
}
AGAIN_S: Final = 1.0
"""Seconds until a topic that could not be read is opened again."""

logger = structlog.get_logger()


class Watch:
    """Keeps a :class:`Picture` current. Pages read it under :attr:`lock` and wait for :meth:`changed`."""

    def __init__(self, log: Log, picture: Picture, *, from_end: bool = False) -> None:
        """``from_end``: what the log holds already is not shown."""
        self.lock = threading.Lock()
        self.picture = picture
        self._log, self._from_end = log, from_end
        self._stop = threading.Event()
        self._bells: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._threads = [threading.Thread(target=self._follow, args=(topic,), daemon=True) for topic in READERS]

    def start(self) -> None:
        """Begin to read."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End within a poll."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def bell(self) -> asyncio.Event:
        """An event of the running loop that is set after each change; give it back with :meth:`drop`."""
        bell = asyncio.Event()
        with self.lock:
            self._bells[bell] = asyncio.get_running_loop()
        return bell

    def drop(self, bell: asyncio.Event) -> None:
        """Ring this bell no more."""
        with self.lock:
            self._bells.pop(bell, None)

    def _follow(self, topic: str) -> None:
        def take(records: list[Record]) -> None:
            if topic == SUBSCRIBERS:
                self.forget(record.key for record in records if record.value is None)
            values = [record.value for record in records if record.value is not None]
            if values:
                self.fold_in(topic, values)

        def wait(error: LogError) -> None:
            logger.warning("the log cannot be read", topic=topic, error=str(error))
            self._stop.wait(AGAIN_S)

        def opened() -> Consumer:
            return self._log.reader(topic, from_end=self._from_end, strict=False)

        # NOTE: after an error it may read from the start again: every record folds in to the same picture.
        follow(opened, take, stopping=self._stop.is_set, away=wait)

    def forget(self, keys: Iterable[bytes]) -> None:
        """Take the people out whom the directory has no more, and ring."""
        people = [key.decode().partition("/")[::2] for key in keys]
        with self.lock:
            for workspace, subscriber in people:
                self.picture.forget(workspace, subscriber)
            if people:
                self._ring()

    def fold_in(self, topic: str, values: list[bytes]) -> None:
        """Fold records of a topic in, and ring."""
        with self.lock:
            for value in values:
                try:
                    self.picture.apply(READERS[topic](value))
                except BadRecord as error:
                    logger.warning("a record is passed over", topic=topic, error=str(error))
            self._ring()

    def _ring(self) -> None:
        for bell, loop in self._bells.items():
            loop.call_soon_threadsafe(bell.set)
