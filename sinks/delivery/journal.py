"""The loop's way to the log: nothing that was done goes without a word, however long the log is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from contracts.errors import LogUnavailable
from contracts.log import Log, Outgoing
from contracts.publishing import publish_until_stored
from sinks.delivery.retry import FIRST_WAIT_S

T = TypeVar("T")
log_line = structlog.get_logger("sinks")


class Journal:
    """``pause`` is the clock's; ``stopping``: whether the process is to end."""

    def __init__(self, log: Log, pause: Callable[[float], None], stopping: Callable[[], bool]) -> None:
        self._publisher, self._pause, self._stopping = log.publisher(), pause, stopping

    def patiently(self, ask: Callable[[], T]) -> T:
        """Ask the log until it answers: commands that were taken are not dropped because it is away.

        Raises :class:`LogUnavailable` where the process is to end.
        """
        while True:
            try:
                return ask()
            except LogUnavailable as error:
                if self._stopping():
                    raise
                log_line.warning("log_unavailable", detail=str(error))
                self._pause(FIRST_WAIT_S)

    def send(self, waiting: Sequence[Outgoing]) -> None:
        """Publish, for as long as it takes. Raises :class:`LogError` for what would never be taken."""

        def wait(count: int, fault: LogUnavailable) -> None:
            log_line.warning("log_unavailable", waiting=count, detail=str(fault))
            self._pause(FIRST_WAIT_S)

        publish_until_stored(self._publisher, waiting, wait)

    def close(self) -> None:
        """Release the publisher."""
        self._publisher.close()
