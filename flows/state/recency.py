"""Which keys were used longest ago."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

MAX_ANONYMOUS: Final = 500_000
"""Devices that are nobody's, of all groups: anybody may invent one, so their number is bounded beside their time."""


class LeastRecentlyUsed:
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
