"""Sessions of people who are signed in: held in this process alone, and ended by time, by signing out, or by a change
of the user's password.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from console.access.table import Page, Role

IDLE_MS: Final = 60 * 60_000
"""A session that nothing was asked in for so long has ended."""
WHOLE_MS: Final = 12 * 60 * 60_000
"""No session lasts longer."""
MAX_SESSIONS: Final = 10_000
"""Held at once; the one that was used longest ago goes first."""


@dataclass(slots=True)
class Session:
    """One login. ``csrf`` stands in each form; ``proof`` is the password's hash that it was opened with; empty
    for the demo's visitor and whoever the company's login let in (``company``), who gave none.
    """

    user: str
    roles: Mapping[str, Role]
    csrf: str
    proof: str
    opened_ms: int
    used_ms: int
    company: bool = False

    def may(self, page: Page, workspace: str | None) -> bool:
        """Whether this user may open a page, in a workspace where it names one."""
        if page.least is None:
            return True
        held = self.roles.get(workspace) if workspace is not None else max(self.roles.values(), default=None)
        return held is not None and held >= page.least


class Sessions:
    """The open sessions, by a hash of what the browser holds. For one thread."""

    def __init__(self, now_ms: Callable[[], int], unique: Callable[[], str]) -> None:
        """``unique``: a new text that nobody can guess."""
        self._now_ms, self._unique = now_ms, unique
        self._open: OrderedDict[bytes, Session] = OrderedDict()

    def open(self, user: str, roles: Mapping[str, Role], proof: str, *, company: bool = False) -> str:
        """Open a session, always under a key of its own, and return the key."""
        key, now_ms = self._unique(), self._now_ms()
        self._open[_held(key)] = Session(user, roles, self._unique(), proof, now_ms, now_ms, company)
        while len(self._open) > MAX_SESSIONS:
            self._open.popitem(last=False)
        return key

    def find(self, key: str, *, use: bool = True) -> Session | None:
        """The session of a key; None: there is none, or its time is over. ``use``: its idle time begins anew."""
        held, now_ms = _held(key), self._now_ms()
        session = self._open.get(held)
        if session is None:
            return None
        if now_ms - session.used_ms > IDLE_MS or now_ms - session.opened_ms > WHOLE_MS:
            del self._open[held]
            return None
        if use:
            session.used_ms = now_ms
            self._open.move_to_end(held)
        return session

    def end(self, key: str) -> None:
        """End a session, if it is one."""
        self._open.pop(_held(key), None)


def _held(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
