"""The Bytewax sink over the log: every record is confirmed before the batch returns.

A ``FixedPartitionedSink``, because an epoch waits for it (a ``DynamicSink`` loses records silently: DESIGN 7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from contracts.errors import LogError, LogUnavailable
from contracts.log import Log, Outgoing, PublishOutcome

RETRY_S: Final = 0.2
log_line = structlog.get_logger("flows")


class LogSinkPartition(StatefulSinkPartition[Outgoing, None]):
    """Publishes, and waits for as long as the log is away: what was taken is never dropped."""

    def __init__(self, log: Log, pause: Callable[[float], None]) -> None:
        self._publisher = log.publisher()
        self._pause = pause

    def write_batch(self, values: list[Outgoing]) -> None:
        """Store the records in order."""
        waiting = list(values)
        while waiting:
            outcomes = self._publisher.publish(waiting)
            waiting = _unstored(waiting, outcomes)
            if waiting:
                log_line.warning("log_unavailable", waiting=len(waiting))
                self._pause(RETRY_S)

    def snapshot(self) -> None:
        """Nothing is kept: all is confirmed."""

    def close(self) -> None:
        """Let the publisher go."""
        self._publisher.close()


def _unstored(records: list[Outgoing], outcomes: list[PublishOutcome]) -> list[Outgoing]:
    """What has to be published again. Of each topic everything from its first fault on, so its order holds."""
    faulty: set[str] = set()
    waiting = []
    for record, outcome in zip(records, outcomes, strict=True):
        if isinstance(outcome, LogError):
            if not isinstance(outcome, LogUnavailable):
                raise outcome
            faulty.add(record.topic)
        if record.topic in faulty:
            waiting.append(record)
    return waiting


class LogSink(FixedPartitionedSink[Outgoing, None]):
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
