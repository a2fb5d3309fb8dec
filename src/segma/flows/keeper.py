"""The state of a key group as a value: who was touched is encoded anew, all others keep their bytes.

So a snapshot costs what was touched, not what there is. Deadlines are kept beside the bytes: after a resume nobody is
decoded until an event or a deadline asks for them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

S = TypeVar("S")

Saved = Mapping[str, tuple[bytes, int | None]]
"""Key → bytes and the log time at which something is due."""


class Keeper(Generic[S]):
    """The states of one group, by key."""

    def __init__(
        self,
        saved: Saved,
        *,
        new: Callable[[str], S],
        encode: Callable[[str, S], bytes],
        decode: Callable[[str, bytes], S],
        due_ms: Callable[[str, S], int | None],
    ) -> None:
        self._saved = dict(saved)
        self._new, self._encode, self._decode, self._due_ms = new, encode, decode, due_ms
        self._live: dict[str, S] = {}
        self._touched: set[str] = set()
        self._dues: dict[str, int] = {key: due for key, (_, due) in saved.items() if due is not None}
        self._heap = [(due, key) for key, due in self._dues.items()]
        heapq.heapify(self._heap)

    def get(self, key: str) -> S:
        """The state of a key. Say :meth:`put` after changing it."""
        state = self._live.get(key)
        if state is None:
            saved = self._saved.get(key)
            state = self._live[key] = self._new(key) if saved is None else self._decode(key, saved[0])
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

    def due(self, log_time_ms: int) -> Iterator[str]:
        """The keys with something due at or before a log time, earliest first; each must be put again."""
        while self._heap and self._heap[0][0] <= log_time_ms:
            due, key = heapq.heappop(self._heap)
            if self._dues.get(key) == due:
                del self._dues[key]
                yield key

    def snapshot(self) -> dict[str, tuple[bytes, int | None]]:
        """All states as bytes: a mapping of its own, never changed afterwards."""
        for key in self._touched:
            state = self._live[key]
            self._saved[key] = (self._encode(key, state), self._due_ms(key, state))
        self._touched.clear()
        return dict(self._saved)
