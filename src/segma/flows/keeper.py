"""The states of a key group: decoded while they are at work, bytes while they are not, in the changelog for ever.

Deadlines are kept beside the bytes: after a resume nobody is decoded until an event or a deadline asks for them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, Generic, TypeVar

from segma.flows.changelog import Changelog, Position, Row
from segma.flows.packing import packed, plain, unpacked

S = TypeVar("S")

MAX_PENDING: Final = 4_096
"""States of all groups that may wait for the epoch's end to be encoded: past its share a group writes half of its own,
those touched longest ago, so that the pause at an epoch's end has a bound."""
MAX_DECODED: Final = 65_536
"""States of all groups kept decoded beside those that wait to be written."""
MAX_ANONYMOUS: Final = 500_000
"""Devices that are nobody's, of all groups: anybody may invent one, so their number is bounded beside their time."""


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
        kind: str = "",
    ) -> None:
        self._new, self._encode, self._decode, self._due_ms = new, encode, decode, due_ms
        self._changelog = changelog
        self._group, rows = changelog.group(resumed, kind)
        self._group.pending = self._pending
        self._group.everything = self._everything
        self._group.live = lambda: (len(self._saved), self._bytes)
        self._saved = {key: row.data for key, row in rows.items() if row.data is not None}
        self._bytes = sum(len(key) + len(data) for key, data in self._saved.items())
        self._live: dict[str, S] = {}
        self._touched: dict[str, None] = {}
        self._dues: dict[str, int] = {key: row.due_ms for key, row in rows.items() if row.due_ms is not None}
        self._heap = [(due, key) for key, due in self._dues.items()]
        heapq.heapify(self._heap)

    def known(self) -> list[str]:
        """The keys with a state at the start, in the order in which they were written."""
        return list(self._saved)

    def get(self, key: str) -> S:
        """The state of a key. Say :meth:`put` after changing it."""
        state = self._live.get(key)
        if state is None:
            saved = None if key in self._touched else self._saved.get(key)
            state = self._live[key] = self._new(key) if saved is None else self._decode(key, unpacked(saved))
        return state

    def peek(self, key: str) -> S:
        """The state of a key, to be looked at and not changed; nothing is kept decoded for it."""
        state = self._live.get(key)
        if state is not None:
            return state
        saved = None if key in self._touched else self._saved.get(key)
        return self._new(key) if saved is None else self._decode(key, unpacked(saved))

    def next_due_ms(self) -> int | None:
        """A log time before which :meth:`due` finds nothing."""
        return self._heap[0][0] if self._heap else None

    def put(self, key: str, state: S) -> None:
        """The state of a key is this now."""
        self.put_due(key, state, self._due_ms(key, state))

    def put_due(self, key: str, state: S, due_ms: int | None) -> None:
        """The state of a key is this now, and this is when it is due."""
        self._live[key] = state
        self._touch(key)
        self._schedule(key, due_ms)
        most = self._changelog.share(MAX_PENDING)
        if len(self._touched) > most:
            self._group.write(self._encoded(list(islice(self._touched, most // 2))))
            self._cool()

    def _touch(self, key: str) -> None:
        # PERF: whoever is touched again moves to the end, so that the busiest wait and are written once an epoch.
        self._touched.pop(key, None)
        self._touched[key] = None

    def _schedule(self, key: str, due_ms: int | None) -> None:
        # PERF: what is due later than it was is asked again when its time comes, so that a key waits in the heap once,
        # however often its due time moves on.
        scheduled = self._dues.get(key)
        if due_ms is not None and (scheduled is None or due_ms < scheduled):
            self._dues[key] = due_ms
            heapq.heappush(self._heap, (due_ms, key))

    def let_go(self, key: str) -> None:
        """Nothing is known of this key any more."""
        self._live.pop(key, None)
        self._dues.pop(key, None)
        self._touch(key)

    def due(self, log_time_ms: int, wanted: Callable[[str], bool] = lambda key: True) -> Iterator[str]:
        """The keys with something due at or before a log time, earliest first; each must be put again or let go.

        ``wanted``: keys of which this is not true are passed over.
        """
        while self._heap and self._heap[0][0] <= log_time_ms:
            ready = []
            while self._heap and self._heap[0][0] <= log_time_ms:
                scheduled, key = heapq.heappop(self._heap)
                if self._dues.get(key) != scheduled:
                    continue
                del self._dues[key]
                due_ms = self._due_ms(key, self.get(key)) if wanted(key) else None
                if due_ms is not None and due_ms <= log_time_ms:
                    ready.append((due_ms, key))
                else:
                    self._schedule(key, due_ms)
            yield from (key for _, key in sorted(ready))

    def snapshot(self) -> Position:
        """The position at which :class:`Keeper` finds all states again: it is on the disk."""
        return self._group.snapshot()

    def _pending(self) -> list[Row]:
        """The rows of all who were touched; they count as written."""
        rows = self._encoded(list(self._touched))
        self._cool()
        return rows

    def _encoded(self, keys: list[str]) -> list[Row]:
        rows = []
        for key in keys:
            del self._touched[key]
            before, state = self._saved.get(key), self._live.get(key)
            self._bytes -= 0 if before is None else len(key) + len(before)
            if state is None:
                self._saved.pop(key, None)
                rows.append(Row(key, None, None))
                continue
            data = self._saved[key] = plain(self._encode(key, state))
            self._bytes += len(key) + len(data)
            rows.append(Row(key, data, self._due_ms(key, state)))
        return rows

    def _cool(self) -> None:
        """Keep as bytes, packed, who has been decoded longest and does not wait to be written."""
        over = len(self._live) - len(self._touched) - self._changelog.share(MAX_DECODED)
        if over <= 0:
            return
        for key in list(islice((key for key in self._live if key not in self._touched), over)):
            del self._live[key]
            before = self._saved[key]
            after = self._saved[key] = packed(before)
            self._bytes += len(after) - len(before)

    def _everything(self) -> list[Row]:
        """All rows; call :meth:`_pending` before."""
        return [Row(key, data, self._dues.get(key)) for key, data in self._saved.items()]


class Fleeting:
    """Keys of which at most so many are kept, those used longest ago go first."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = dict.fromkeys(keys)

    def use(self, key: str) -> None:
        """This key is used now."""
        self._keys.pop(key, None)
        self._keys[key] = None

    def forget(self, key: str) -> None:
        """This key is kept for good, or gone."""
        self._keys.pop(key, None)

    def over(self, most: int) -> list[str]:
        """The keys that must go; they are forgotten."""
        gone = list(islice(self._keys, max(len(self._keys) - most, 0)))
        for key in gone:
            del self._keys[key]
        return gone
