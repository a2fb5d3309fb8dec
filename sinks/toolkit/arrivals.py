"""The calls that may have reached the platform long after they left, as is seen when they are answered.

A call is counted when it leaves, and the platform counts it when it arrives. Where a machine or a network stalls, the
two differ by more than our windows are longer, and the platform would count one call too many. A call that is answered
later than the quick ones of its kind arrived, at the latest, by so much later; one without an answer may arrive now.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final, NamedTuple

REMEMBERED: Final = 99
"""Answers of a kind from which it is known how long they usually take."""


class Left(NamedTuple):
    """A call on its way. ``kind``: calls of one kind take about as long."""

    at_ms: int
    kind: str
    number: int


class Arrivals:
    """Of one rate of a platform's. ``ours_ms``: how long a call counts with us; ``theirs_ms``: with the platform.

    Safe to share between the threads of one process, none of which ever waits here.
    """

    def __init__(self, ours_ms: int, theirs_ms: int) -> None:
        self._ours_ms, self._theirs_ms = ours_ms, theirs_ms
        self._lock = threading.Lock()
        self._took: dict[str, deque[int]] = {}
        self._under_way: dict[int, Left] = {}
        self._late: list[tuple[int, int]] = []
        """When it left, and until when it counts at the platform."""

    def leave(self, left: Left) -> None:
        """Note a call that leaves now."""
        with self._lock:
            self._under_way[left.number] = left

    def answered(self, left: Left, now_ms: int, *, read: bool) -> None:
        """Note its answer; ``read``: one came, so it says how long such a call takes."""
        with self._lock:
            del self._under_way[left.number]
            until_ms = now_ms - self._usual_ms(left.kind) + self._theirs_ms
            if until_ms > left.at_ms + self._ours_ms:
                self._late.append((left.at_ms, until_ms))
            if read:
                self._took.setdefault(left.kind, deque(maxlen=REMEMBERED)).append(now_ms - left.at_ms)

    def late(self, now_ms: int) -> list[int]:
        """Return until when each call counts that we count no more and the platform perhaps does."""
        forgotten_ms = now_ms - self._ours_ms
        with self._lock:
            self._late = [each for each in self._late if each[1] > now_ms]
            found = [until_ms for at_ms, until_ms in self._late if at_ms <= forgotten_ms]
            waiting = [each.kind for each in self._under_way.values() if each.at_ms <= forgotten_ms]
            unanswered = [now_ms - self._usual_ms(kind) + self._theirs_ms for kind in waiting]
        return found + [until_ms for until_ms in unanswered if until_ms > now_ms]

    def _usual_ms(self, kind: str) -> int:
        """What a tenth of such calls stay below: a mean would hold half of them for early."""
        took = self._took.get(kind)
        return sorted(took)[len(took) // 10] if took else 0
