"""The guard on how many moves a listener makes in an hour, and on how many of them one person can bring about."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Final

from sinks.delivery.ledger import Ledger

PEOPLE: Final = 100
LEAST_SHARE: Final = 10
"""Of one person no more than a hundredth of ``max_moves`` counts (or ten, if that is more): what stops an account for
all is brought about by many."""


class MoveGuard:
    """``max_moves``: of one listener in an hour; 0: no guard. Only what changed something counts."""

    def __init__(self, ledger: Ledger, max_moves: int, now_ms: Callable[[], int]) -> None:
        self._ledger, self._most, self._now_ms = ledger, max_moves, now_ms
        self._share = max(max_moves // PEOPLE, LEAST_SHARE)

    def room(self, listener: str, resumed_at_ms: int) -> int:
        """How many more moves of a listener are allowed within the hour."""
        if not self._most:
            return sys.maxsize
        return self._most - self._ledger.moves(listener, self._now_ms(), resumed_at_ms, share=self._share)

    def counted(self, listener: str, under_way: Mapping[tuple[str, str], int]) -> int:
        """How many of those under way, by listener and person, may count: of one person no more than a share."""
        return sum(min(count, self._share) for (name, _), count in under_way.items() if name == listener)
