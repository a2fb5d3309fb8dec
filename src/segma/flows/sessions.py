"""Sessions: a subscriber's events with gaps no longer than ``session_gap`` (SEMANTICS 2). Pure."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from segma.contracts.events import Event

DEFAULT_GAP_MS = 30 * 60_000


class Session(NamedTuple):
    """A session up to and including the event that was put in last.

    ``session_id``: 32 hexadecimal digits, made of the subscriber and the first event's id, so the same history always
    names its sessions alike.
    """

    session_id: str
    started_at_ms: int
    last_at_ms: int
    events: int

    @property
    def duration_ms(self) -> int:
        """From the first event to the last so far."""
        return self.last_at_ms - self.started_at_ms


def extended(session: Session | None, event: Event, *, gap_ms: int) -> Session:
    """The session with this event: the one before, or a new one after a gap longer than ``gap_ms``.

    A gap exactly that long is still inside. Events must come in the subscriber's order.
    """
    at = event.occurred_at_ms
    if session is not None and at - session.last_at_ms <= gap_ms:
        return Session(session.session_id, session.started_at_ms, at, session.events + 1)
    digest = hashlib.sha256(f"{event.subscriber}/{event.event_id}".encode()).hexdigest()
    return Session(digest[:32], at, at, 1)
