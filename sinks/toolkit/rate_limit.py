"""An account's pace: no more calls in a window than the platform allows, over restarts too.

The calls made are kept in a small database of the process (pyrate-limiter's bucket, written before each call), so a
process that is killed and started again still knows them. Windows are a little longer than the platform's: its clock
looks at a call when it arrives, ours when it leaves. What was under way for longer still counts for as long
(:mod:`sinks.toolkit.arrivals`).
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pyrate_limiter import Rate, RateItem, SQLiteBucket
from pyrate_limiter.abstracts import Decision

from contracts.reasons import Reason
from sinks.base import Fate, Halt, Trouble
from sinks.toolkit.arrivals import Arrivals, Left

SLACK: Final = 0.03
"""By how much our windows are longer: what a call may be under way."""
SLACK_MS: Final = 20
"""Of five calls a second, 150 ms would leave a seventh unused. What comes too early all the same is asked again."""
LONGEST_WAIT_S: Final = 30.0
"""A longer wait (a daily quota) is handed to the loop, which waits where it can be stopped and paused."""

Quota = tuple[int, int]
"""So many calls in so many milliseconds."""


class RateLimit:
    """The buckets of an account, by name. Safe to share between the threads of one process."""

    def __init__(
        self,
        quotas: Mapping[str, Sequence[Quota]],
        *,
        path: Path,
        now_ms: Callable[[], int],
        pause: Callable[[float], None],
    ) -> None:
        self._now_ms, self._pause, self._lock = now_ms, pause, threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._buckets = {
            name: SQLiteBucket.init_from_file(
                [Rate(calls, _longer(window_ms)) for calls, window_ms in rates], table=f"pace_{name}", db_path=str(path)
            )
            for name, rates in quotas.items()
            if rates
        }
        self._arrivals = {
            name: [Arrivals(_longer(window_ms), window_ms + SLACK_MS) for _, window_ms in quotas[name]]
            for name in self._buckets
        }
        self._numbers = itertools.count()
        for bucket in self._buckets.values():
            # PERF: what a killed process wrote is there without waiting for the disk; a power cut may lose a little.
            bucket.conn.execute("PRAGMA journal_mode=WAL").close()
            bucket.conn.execute("PRAGMA synchronous=NORMAL").close()
        self._leaked_ms = 0

    @contextlib.contextmanager
    def call(self, bucket: str, kind: str) -> Iterator[None]:
        """Make a call inside: it waits until it is allowed, as :meth:`acquire`, and it is seen when it was answered.

        ``kind``: calls of one kind take about as long.
        """
        left = Left(self.acquire(bucket), kind, next(self._numbers))
        arrivals, read = self._arrivals.get(bucket, ()), False
        for each in arrivals:
            each.leave(left)
        try:
            yield
            read = True
        finally:
            for each in arrivals:
                each.answered(left, self._now_ms(), read=read)

    def acquire(self, bucket: str) -> int:
        """Wait until one more call is allowed, count it, and return when. Raises :class:`Halt` for a very long wait."""
        limiter = self._buckets.get(bucket)
        if limiter is None:
            return self._now_ms()
        with self._lock:
            while wait_ms := self._missing(limiter, bucket, now_ms := self._now_ms()):
                if wait_ms > LONGEST_WAIT_S * 1_000:
                    raise Halt(Trouble(Reason.THROTTLED, Fate.AWAY, "the account's quota is used up", wait_ms / 1_000))
                self._pause(wait_ms / 1_000)
            return now_ms

    def spare(self) -> bool:
        """Whether at least half of what is allowed in each window is left."""
        with self._lock:
            now_ms = self._now_ms()
            return all(
                (call := bucket.peek(max(rate.limit // 2, 1) - 1)) is None or call.timestamp < now_ms - rate.interval
                for bucket in self._buckets.values()
                for rate in bucket.rates
            )

    def close(self) -> None:
        """Release the database."""
        for bucket in self._buckets.values():
            bucket.close()  # type: ignore[no-untyped-call]

    def _missing(self, limiter: SQLiteBucket, bucket: str, now_ms: int) -> int:
        """0: the call is counted. Else how many milliseconds are missing until it could be."""
        if now_ms - self._leaked_ms > 60_000:
            self._leaked_ms = now_ms
            for each in self._buckets.values():
                each.leak(now_ms)
        for rate, arrivals in zip(limiter.rates, self._arrivals[bucket], strict=True):
            if wait_ms := _crowded(limiter, rate, arrivals.late(now_ms), now_ms):
                return wait_ms
        decision = limiter.put_decision(RateItem(bucket, now_ms))
        if not isinstance(decision, Decision):  # NOTE: an awaitable, from buckets that are not this one
            raise TypeError(type(decision).__name__)
        if decision.allowed:
            return 0
        return max(int(decision.retry_after_ms or 0), 1)


def _longer(window_ms: int) -> int:
    return round(window_ms * (1 + SLACK)) + SLACK_MS


def _crowded(limiter: SQLiteBucket, rate: Rate, late: Sequence[int], now_ms: int) -> int:
    """How many milliseconds are missing until there is room beside the calls that came late; 0: there is."""
    if not late:
        return 0
    room = rate.limit - len(late)
    counted = limiter.peek(room - 1) if room > 0 else None
    if room > 0 and (counted is None or counted.timestamp <= now_ms - rate.interval):
        return 0
    ends_ms = [*late, *([counted.timestamp + rate.interval] if counted is not None else [])]
    return max(min(ends_ms) - now_ms, 1)
