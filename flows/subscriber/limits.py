"""The limits on state, and how often each was hit: what is over is dropped and counted, never silently (DESIGN 6)."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Final

from contracts.reasons import Reason

WITHOUT_COMMAND: Final = (
    Reason.CAPPED,
    Reason.HELD_OUT,
    Reason.LISTENER_PAUSED,
    Reason.LOOP,
    Reason.NO_IDENTITY,
    Reason.SHADOWED,
)
"""Why a match is a row and makes no command. The value is a metric's label."""


class Limit(StrEnum):
    """A limit on what is kept of a subscriber or device. The value is a metric's label."""

    UNDO_LOG = "undo_log"
    """Events kept for re-application."""
    RUNS = "runs"
    """Runs of one listener."""
    EVIDENCE = "evidence"
    """Matches that a late verdict may still take back."""
    ORIGINS = "origins"
    """Amended matches whose first match is remembered."""
    PAST = "past"
    """Events held of a person for versions that ask for their past: over it they begin with them without one."""
    ANONYMOUS = "anonymous"
    """Devices that are nobody's."""
    UNWRITABLE = "unwritable"
    """States that could not be written and were dropped: each is a dead letter, and a fault of Segma's."""


class LimitHits:
    """How often each limit was hit since the start of the process: a gauge of pressure, not a part of the state."""

    def __init__(self) -> None:
        self.total: Counter[Limit] = Counter()
        self.without_command: Counter[str] = Counter()
        """Matches that made no command, by the reason."""

    def hit(self, bound: Limit, times: int = 1) -> None:
        """Count hits of a limit."""
        self.total[bound] += times
