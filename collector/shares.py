"""What each client may send in a while: so many in a window that starts with its first. Kept in a worker's memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

MAX_CLIENTS: Final = 100_000
"""Clients whose window is known at once: some 25 MB. One more, and the window that began longest ago is forgotten."""


class Share(NamedTuple):
    """``amount`` requests in a window of ``window_ms``."""

    amount: int
    window_ms: int


class Shares:
    """What the clients took of one share. ``now_ms``: the clock; a window that it went back behind is over."""

    def __init__(self, share: Share, now_ms: Callable[[], int]) -> None:
        self._share, self._now_ms = share, now_ms
        self._windows: OrderedDict[str, list[int]] = OrderedDict()
        """Client → when its window began and what it took since; the window that began first stands first."""

    def __len__(self) -> int:
        """The clients whose window is known."""
        return len(self._windows)

    def take(self, client: str) -> bool:
        """Take one of a client's share; False if there is none left in its window."""
        now_ms = self._now_ms()
        window = self._windows.get(client)
        if window is None or not self._is_open(window, now_ms):
            self._begin(client, now_ms)
        elif window[1] >= self._share.amount:
            return False
        else:
            window[1] += 1
        return True

    def _is_open(self, window: list[int], now_ms: int) -> bool:
        return 0 <= now_ms - window[0] < self._share.window_ms

    def _begin(self, client: str, now_ms: int) -> None:
        self._windows.pop(client, None)
        while self._windows:
            first = next(iter(self._windows))
            if len(self._windows) < MAX_CLIENTS and self._is_open(self._windows[first], now_ms):
                break
            del self._windows[first]
        self._windows[client] = [now_ms, 1]
