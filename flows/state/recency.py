"""Which keys were used longest ago, and what they take together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MAX_ANONYMOUS: Final = 500_000
"""Devices that are nobody's, of all groups: anybody may invent one, so their number is bounded beside their time."""
MAX_ANONYMOUS_BYTES: Final = 512 << 20
"""What is kept of them, as it is written: of devices their histories, of subscribers their states."""


class LeastRecentlyUsed:
    """Keys with their bytes, of which at most so many and so much are kept; those used longest ago go first."""

    def __init__(self, keys: Mapping[str, int]) -> None:
        self._sizes = dict(keys)
        self._total = sum(self._sizes.values())

    def use(self, key: str, size: int) -> None:
        """This key is used now, and takes so many bytes."""
        self.forget(key)
        self._sizes[key] = size
        self._total += size

    def forget(self, key: str) -> None:
        """This key is kept for good, or gone."""
        self._total -= self._sizes.pop(key, 0)

    def over(self, most: int, most_bytes: int) -> list[str]:
        """The keys that must go; they are forgotten. The newest stays, whatever it takes."""
        gone = []
        while len(self._sizes) > most or (self._total > most_bytes and len(self._sizes) > 1):
            key = next(iter(self._sizes))
            self.forget(key)
            gone.append(key)
        return gone
