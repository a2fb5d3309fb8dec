"""How often somebody may try to sign in: a password by user and address, and by address alone; the company's login by
address.
"""

from __future__ import annotations

from typing import Final

import limits

OF_A_USER: Final = limits.RateLimitItemPerMinute(5)
"""Tries of one user's password from one address."""
OF_AN_ADDRESS: Final = limits.RateLimitItemPerMinute(30)
"""Tries of any password from one address."""

OIDC_OF_AN_ADDRESS: Final = limits.RateLimitItemPerMinute(60)
"""Steps of the company's login from one address; a login takes two."""


class Guesses:
    """Counts tries; a try that is refused counts for nothing."""

    def __init__(self) -> None:
        self._limiter = limits.strategies.MovingWindowRateLimiter(limits.storage.MemoryStorage())

    def may_try(self, user: str, address: str) -> bool:
        """Count one try; whether it is still allowed."""
        return self._limiter.hit(OF_AN_ADDRESS, address) and self._limiter.hit(OF_A_USER, address, user[:64])

    def may_go_on(self, address: str) -> bool:
        """Count one step of the company's login; whether it is still allowed."""
        return self._limiter.hit(OIDC_OF_AN_ADDRESS, "oidc", address)
