"""Timers: the log time at which each key is due, exact for the hour under way, by hour and day for later ones.

Most who wait, wait long, and most of them are due for something else before. Such an entry is eight bytes in the list
of its hour or its day; it becomes a time of its own when that begins.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
NO_TIMER: Final = 1 << 60
"""Later than any log time."""


class Timers:
    """Keys by the log time at which they are due. Their owner knows that time too; a timer that differs is void."""

    def __init__(self, due_ms: Callable[[str], int], offset_ms: int) -> None:
        """``due_ms``: when a key is due now (:data:`UNDUE`: never). ``offset_ms``: by which hours and days begin
        earlier, so that those of many groups do not all begin at once.
        """
        self._due_ms, self._offset_ms = due_ms, offset_ms
        self._soon: list[tuple[int, str]] = []
        """A heap of what is due before ``_soon_ms``."""
        self._later: dict[tuple[int, int], list[str]] = {}
        """Hours and days, as their beginning and their length, and who was due in them."""
        self._spans: list[tuple[int, int]] = []
        """Their heap."""
        self._soon_ms = self._today_ms = 0
        """When the hour and the day end that are under way."""
        self._waiting = 0
        """Entries of ``_later``."""

    def __len__(self) -> int:
        """How many entries there are, void ones included."""
        return len(self._soon) + self._waiting

    def next_ms(self) -> int | None:
        """A time before which :meth:`pop` finds nothing."""
        soon = self._soon[0][0] if self._soon else NO_TIMER
        later = self._spans[0][0] if self._spans else NO_TIMER
        first = soon if soon < later else later
        return None if first == NO_TIMER else first

    def put(self, due_ms: int, key: str) -> None:
        """Set the timer of a key."""
        if due_ms < self._soon_ms:
            heapq.heappush(self._soon, (due_ms, key))
            return
        length_ms = HOUR_MS if due_ms < self._today_ms else DAY_MS
        span = (due_ms - (due_ms + self._offset_ms) % length_ms, length_ms)
        keys = self._later.get(span)
        if keys is None:
            self._later[span] = [key]
            heapq.heappush(self._spans, span)
        else:
            keys.append(key)
        self._waiting += 1

    def pop(self, now_ms: int) -> str | None:
        """The next key that is due at or before a log time, the earliest first; None where none is left.

        They are due no more: say so before the next call.
        """
        if now_ms >= self._soon_ms:
            self._soon_ms = now_ms - (now_ms + self._offset_ms) % HOUR_MS + HOUR_MS
            self._today_ms = now_ms - (now_ms + self._offset_ms) % DAY_MS + DAY_MS
        while self._spans and self._spans[0][0] <= now_ms:
            self._begin(heapq.heappop(self._spans))
        while self._soon and self._soon[0][0] <= now_ms:
            due_ms, key = heapq.heappop(self._soon)
            if self._due_ms(key) == due_ms:
                return key
        return None

    def _begin(self, span: tuple[int, int]) -> None:
        """Begin an hour or a day: every key still due in it gets an exact timer."""
        start_ms, length_ms = span
        keys = self._later.pop(span)
        self._waiting -= len(keys)
        for key in keys:
            due_ms = self._due_ms(key)
            if start_ms <= due_ms < start_ms + length_ms:
                self.put(due_ms, key)

    def renew(self, entries: Iterable[tuple[int, str]]) -> None:
        """These are all, and none is void."""
        self._soon, self._later, self._spans, self._waiting = [], {}, [], 0
        for due_ms, key in entries:
            self.put(due_ms, key)
