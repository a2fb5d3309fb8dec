"""The Bytewax sink over the log: every record is confirmed before the batch returns.

A ``FixedPartitionedSink``, because an epoch waits for it (a ``DynamicSink`` loses records silently: DESIGN 7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from contracts.errors import LogUnavailable
from contracts.log import Log, Outgoing
from contracts.publishing import publish_until_stored

RETRY_S: Final = 0.2
log_line = structlog.get_logger("flows")


class LogSinkPartition(StatefulSinkPartition[list[Outgoing], None]):
    """Publishes, and waits for as long as the log is away: what was taken is never dropped."""

    def __init__(self, log: Log, pause: Callable[[float], None]) -> None:
        self._publisher = log.publisher()
        self._pause = pause

    def write_batch(self, values: list[list[Outgoing]]) -> None:
        """Store the records of batches in order."""

        def wait(count: int, fault: LogUnavailable) -> None:
            log_line.warning("log_unavailable", waiting=count, detail=str(fault))
            self._pause(RETRY_S)

        publish_until_stored(self._publisher, [each for batch in values for each in batch], wait)

    def snapshot(self) -> None:
        """Nothing is kept: all is confirmed."""

    def close(self) -> None:
        """Let the publisher go."""
        self._publisher.close()


class LogSink(FixedPartitionedSink[list[Outgoing], None]):
    """One partition a process."""

    def __init__(self, log: Log, pause: Callable[[float], None]) -> None:
        self._log, self._pause = log, pause

    def list_parts(self) -> list[str]:
        """One."""
        return ["log"]

    def part_fn(self, item_key: str) -> int:
        """Everything goes there."""
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> LogSinkPartition:
        """Open it."""
        return LogSinkPartition(self._log, self._pause)
