"""Logins that were begun here and have not come back from the company's provider: held in this process alone, each for
one return of the browser that began it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

WAIT_MS: Final = 10 * 60_000
"""Whoever comes back later begins anew."""
MAX_BEGUN: Final = 10_000
"""Held at once; the oldest goes first."""


class BegunLogin(NamedTuple):
    """One login on its way. ``browser``: a hash of the key in the browser that began it; ``target``: the page of the
    console to go on to.
    """

    state: str
    nonce: str
    verifier: str
    browser: bytes
    target: str
    begun_ms: int


class BegunLogins:
    """The logins on their way, by their state. For one thread."""

    def __init__(self, now_ms: Callable[[], int], unique: Callable[[], str]) -> None:
        """``unique``: a new text of 43 letters or more that nobody can guess."""
        self._now_ms, self._unique = now_ms, unique
        self._begun: OrderedDict[str, BegunLogin] = OrderedDict()

    def begin(self, target: str) -> tuple[str, BegunLogin]:
        """Begin one: the key for the browser's cookie, and the login."""
        key = self._unique()
        begun = BegunLogin(self._unique(), self._unique(), self._unique(), _hashed(key), target, self._now_ms())
        self._begun[begun.state] = begun
        while len(self._begun) > MAX_BEGUN:
            self._begun.popitem(last=False)
        return key, begun

    def take(self, state: str, key: str) -> BegunLogin | None:
        """The login of a state, once, and for the browser that holds its key alone."""
        begun = self._begun.get(state)
        if begun is None or not hmac.compare_digest(begun.browser, _hashed(key)):
            return None
        del self._begun[state]
        return begun if self._now_ms() - begun.begun_ms <= WAIT_MS else None


def _hashed(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
