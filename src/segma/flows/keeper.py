"""The states of a key group: decoded while they are at work, bytes while they are not, in the changelog for ever.

Deadlines are kept beside the bytes: after a resume nobody is decoded until an event or a deadline asks for them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, Generic, TypeVar

from segma.flows.changelog import Changelog, Position, Row

S = TypeVar("S")

MAX_PENDING: Final = 8_192
"""States of all groups that may wait for the epoch's end to be encoded: past its share a group writes what it has, so
that the pause at an epoch's end has a bound."""
MAX_DECODED: Final = 32_768
"""States of all groups kept decoded beside those that wait to be written."""


class Keeper(Generic[S]):
    """The states of one group, by key."""

    def __init__(
        self,
        changelog: Changelog,
        resumed: Position | None,
        *,
        new: Callable[[str], S],
        encode: Callable[[str, S], bytes],
        decode: Callable[[str, bytes], S],
        due_ms: Callable[[str, S], int | None],
    ) -> None:
        self._new, self._encode, self._decode, self._due_ms = new, encode, decode, due_ms
        self._changelog = changelog
        self._group, rows = changelog.group(resumed)
        self._group.pending = self._pending
        self._group.everything = self._everything
        self._group.live_bytes = lambda: self._bytes
        self._saved = {key: row.data for key, row in rows.items() if row.data is not None}
        self._bytes = sum(len(key) + len(data) for key, data in self._saved.items())
        self._live: dict[str, S] = {}
        self._touched: set[str] = set()
        self._dues: dict[str, int] = {key: row.due_ms for key, row in rows.items() if row.due_ms is not None}
        self._heap = [(due, key) for key, due in self._dues.items()]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        """How many keys have a state."""
        return len(self._saved) + sum(1 for key in self._touched if key in self._live and key not in self._saved)

    def get(self, key: str) -> S:
        """The state of a key. Say :meth:`put` after changing it."""
        state = self._live.get(key)
        if state is None:
            saved = None if key in self._touched else self._saved.get(key)
            state = self._live[key] = self._new(key) if saved is None else self._decode(key, saved)
        return state

    def put(self, key: str, state: S) -> None:
        """The state of a key is this now."""
        self._live[key] = state
        self._touched.add(key)
        due = self._due_ms(key, state)
        if due is None:
            self._dues.pop(key, None)
        elif self._dues.get(key) != due:
            self._dues[key] = due
            heapq.heappush(self._heap, (due, key))
        if len(self._touched) > self._changelog.share(MAX_PENDING):
            self._group.write(self._pending())

    def let_go(self, key: str) -> None:
        """Nothing is known of this key any more."""
        self._live.pop(key, None)
        self._dues.pop(key, None)
        self._touched.add(key)

    def due(self, log_time_ms: int) -> Iterator[str]:
        """The keys with something due at or before a log time, earliest first; each must be put again or let go."""
        while self._heap and self._heap[0][0] <= log_time_ms:
            due, key = heapq.heappop(self._heap)
            if self._dues.get(key) == due:
                del self._dues[key]
                yield key

    def snapshot(self) -> Position:
        """The position at which :class:`Keeper` finds all states again: it is on the disk."""
        return self._group.snapshot()

    def _pending(self) -> list[Row]:
        """The rows of whoever was touched; they count as written."""
        rows = []
        # NOTE: sorted, because a set's order is another in every process, and equal histories are equal bytes.
        for key in sorted(self._touched):
            before, state = self._saved.get(key), self._live.get(key)
            self._bytes -= 0 if before is None else len(key) + len(before)
            if state is None:
                self._saved.pop(key, None)
                rows.append(Row(key, None, None))
                continue
            data = self._saved[key] = self._encode(key, state)
            self._bytes += len(key) + len(data)
            rows.append(Row(key, data, self._dues.get(key)))
        self._touched.clear()
        over = len(self._live) - self._changelog.share(MAX_DECODED)
        if over > 0:
            for key in list(islice(self._live, over)):
                del self._live[key]
        return rows

    def _everything(self) -> list[Row]:
        """All rows; call :meth:`_pending` before."""
        return [Row(key, data, self._dues.get(key)) for key, data in self._saved.items()]
