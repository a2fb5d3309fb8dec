"""The trail of what users do: a row in the log before each look-up and each change, and through it in the history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from contracts.codec import to_json
from contracts.errors import LogError
from contracts.log import Log, Outgoing
from contracts.rows import Act, AuditRow
from contracts.topics import ROWS, subscriber_key

logger = structlog.get_logger()


class Audit:
    """Writes the trail."""

    def __init__(self, log: Log, now_ms: Callable[[], int], unique: Callable[[], str]) -> None:
        self._publisher = log.publisher()
        self._now_ms, self._unique = now_ms, unique

    async def note(self, workspace: str, user: str, act: Act, *, subscriber: str = "", target: str = "") -> bool:
        """Write one row; whether the log has it. What leaves no trace must not be done."""
        row = AuditRow(workspace, user, act, self._now_ms(), self._unique(), subscriber, target)
        record = Outgoing(ROWS, subscriber_key(workspace, subscriber or user), to_json(row))
        (outcome,) = await asyncio.to_thread(self._publisher.publish, [record])
        if isinstance(outcome, LogError):
            logger.error("the trail cannot be written", act=act, error=str(outcome))
            return False
        return True

    def close(self) -> None:
        """Release the publisher."""
        self._publisher.close()
