"""How often somebody may try a password: by user and address, and by address alone."""

from __future__ import annotations

from typing import Final

import limits

OF_A_USER: Final = limits.RateLimitItemPerMinute(5)
"""Tries of one user's password from one address."""
OF_AN_ADDRESS: Final = limits.RateLimitItemPerMinute(30)
"""Tries of any password from one address."""


class Guesses:
    """Counts tries; a try that is refused counts for nothing."""

    def __init__(self) -> None:
        self._limiter = limits.strategies.MovingWindowRateLimiter(limits.storage.MemoryStorage())

    def may_try(self, user: str, address: str) -> bool:
        """Count one try; whether it is still allowed."""
        return self._limiter.hit(OF_AN_ADDRESS, address) and self._limiter.hit(OF_A_USER, address, user[:64])
