"""What live listeners ask of the pages, followed in the log; a browser asks the collector for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from collector.topic_follower import TopicFollower
from contracts.captures import Captures, CaptureValue, allowed
from contracts.codec import json_reader
from contracts.errors import BadRecord
from contracts.log import Consumer, Record
from contracts.topics import CAPTURES

_read: Final[Callable[[bytes], Captures]] = json_reader(Captures)
log_line = structlog.get_logger("collector")


class Captured:
    """The newest :class:`Captures` of each workspace. Before any came, nothing is asked for."""

    def __init__(self, open_reader: Callable[[], Consumer] | None = None) -> None:
        """``open_reader``: a reader of the topic ``captures`` from its oldest record; None: nobody publishes."""
        self._actions: dict[str, dict[str, tuple[CaptureValue, ...]]] = {}
        self._follower = TopicFollower(CAPTURES, open_reader, self.take) if open_reader is not None else None

    def of(self, workspace: str, capture: tuple[str, ...]) -> dict[str, tuple[CaptureValue, ...]]:
        """What is asked for and allowed by a site with this ``capture`` setting."""
        return allowed(self._actions.get(workspace, {}), capture)

    def start(self) -> None:
        """Follow the topic on a thread of its own."""
        if self._follower is not None:
            self._follower.start()

    def stop(self) -> None:
        """End within a poll."""
        if self._follower is not None:
            self._follower.stop()

    def take(self, records: list[Record]) -> None:
        """Fold records in: the newest of a workspace counts."""
        for record in records:
            try:
                found = _read(record.value) if record.value is not None else Captures(record.key.decode())
            except BadRecord as error:
                log_line.warning("captures_passed_over", offset=record.offset, error=str(error))
            else:
                self._actions[found.workspace] = found.actions
