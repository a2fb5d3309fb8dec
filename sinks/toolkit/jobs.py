"""Work that a platform takes on for later: asked about until it is finished, and never taken for done before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contracts.reasons import Reason
from sinks.base import Fate, Halt, Trouble

WAITS_S: Final = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 10.0, 10.0, 20.0)
"""Between two questions; about a minute in all."""
LATER_S: Final = 15.0


def finished(state: Callable[[], str], pause: Callable[[float], None], *, unfinished: frozenset[str]) -> str:
    """The state in which a job ended.

    ``state`` asks for it once. Raises :class:`Halt` where it is still unfinished after :data:`WAITS_S`: whether it was
    done is not known, so nobody's later change may come before it, and the whole account waits.
    """
    for wait_s in (0.0, *WAITS_S):
        if wait_s:
            pause(wait_s)
        found = state()
        if found not in unfinished:
            return found
    raise Halt(Trouble(Reason.THROTTLED, Fate.AWAY, "the platform's job is not finished yet", LATER_S))
