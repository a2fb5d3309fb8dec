"""From the event loop to the log's writer thread and back; to the spool while the log is away.

An answer is given after the log's confirmation, or after the spool's fsync. While anything waits in the spool, what
comes queues behind it, so a device's order holds.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Sequence
from typing import Final

import structlog

from contracts.errors import LogError
from contracts.log import Log, Outgoing, PublishOutcome
from transport.spool import Spool, is_refused

DRAIN_EVERY_S: Final = 0.5
log_line = structlog.get_logger("collector")

_Answer = tuple["asyncio.Future[list[PublishOutcome]]", list[PublishOutcome]]


class Intake:
    """Stores records for one worker. Belongs to one event loop."""

    def __init__(self, log: Log, spool: Spool) -> None:
        self._publisher = log.publisher()
        self._spool = spool
        self._loop = asyncio.get_running_loop()
        self._answers: collections.deque[_Answer] = collections.deque()
        self._called = False
        self._drainer = self._loop.create_task(self._drain())

    @property
    def spooled_bytes(self) -> int:
        """What waits for the log to come back."""
        return self._spool.pending_bytes

    @property
    def set_aside_records(self) -> int:
        """What the log refused for good; it waits on the disk for the next start."""
        return self._spool.set_aside_records

    async def store(self, records: Sequence[Outgoing]) -> bool:
        """Return when the records are safe: True, in the log; False, some on this disk alone.

        Raises :class:`SpoolFull`: then nothing was accepted.
        """
        if self._spool.is_empty:
            answer: asyncio.Future[list[PublishOutcome]] = self._loop.create_future()
            self._publisher.submit(records, lambda outcomes: self._answered(answer, outcomes))
            outcomes = await answer
            faults = [each for each in zip(records, outcomes, strict=True) if isinstance(each[1], LogError)]
            if not faults:
                return True
            for record, outcome in faults:
                if is_refused(outcome):
                    await self._loop.run_in_executor(None, self._spool.set_aside, record, str(outcome))
            records = [record for record, outcome in faults if not is_refused(outcome)]
        if records:
            await self._loop.run_in_executor(None, self._spool.append, records)
        return False

    def _answered(self, answer: asyncio.Future[list[PublishOutcome]], outcomes: list[PublishOutcome]) -> None:
        """On the writer's thread: one call into the loop answers many requests."""
        # PERF: `call_soon_threadsafe` wakes the loop through a socket; once for many answers, not once a beacon.
        self._answers.append((answer, outcomes))
        if not self._called:
            self._called = True
            self._loop.call_soon_threadsafe(self._answer_all)

    def _answer_all(self) -> None:
        # In this order: what comes after the flag is down calls again.
        self._called = False
        while self._answers:
            answer, outcomes = self._answers.popleft()
            if not answer.done():
                answer.set_result(outcomes)

    async def _drain(self) -> None:
        while True:
            if not self._spool.is_empty:
                await self._drain_once()
            await asyncio.sleep(DRAIN_EVERY_S)

    async def _drain_once(self) -> None:
        try:
            count = await self._loop.run_in_executor(None, self._spool.drain, self._publisher)
        except Exception as error:  # a disk's, or a defect of ours: nothing is lost, and draining never ends
            log_line.error("spool_not_drained", error=type(error).__name__, detail=str(error))
        else:
            if count:
                log_line.info("spool_drained", records=count, left_bytes=self._spool.pending_bytes)

    async def drained(self) -> None:
        """Return when nothing waits in the spool any more."""
        while not self._spool.is_empty:
            await asyncio.sleep(DRAIN_EVERY_S / 5)

    async def close(self) -> None:
        """Stop draining; what was answered is on a disk."""
        self._drainer.cancel()
        await asyncio.gather(self._drainer, return_exceptions=True)
        await self._loop.run_in_executor(None, self._publisher.close)
        self._spool.close()
