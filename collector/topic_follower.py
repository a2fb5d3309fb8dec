"""A topic followed from its start on a thread of its own, for as long as the collector runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from contracts.errors import LogError
from contracts.log import Consumer, Record
from contracts.reading import follow

AGAIN_S: Final = 1.0
log_line = structlog.get_logger("collector")


class TopicFollower:
    """Hands a topic's records to ``take``. While the log is away what was known holds; then all is read again."""

    def __init__(self, topic: str, open_reader: Callable[[], Consumer], take: Callable[[list[Record]], None]) -> None:
        """``open_reader``: a reader of the topic from its oldest record."""
        self._topic, self._open_reader, self._take = topic, open_reader, take
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self) -> None:
        """Begin, once."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """End within a poll."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _follow(self) -> None:
        follow(self._open_reader, self._take, stopping=self._stop.is_set, away=self._wait)

    def _wait(self, error: LogError) -> None:
        log_line.warning("not_followed", topic=self._topic, error=str(error))
        self._stop.wait(AGAIN_S)
