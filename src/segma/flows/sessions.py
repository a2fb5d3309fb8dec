"""Sessions: a subscriber's events with gaps no longer than ``session_gap`` (SEMANTICS 2). Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from segma.contracts.events import Event
from segma.flows.purchases import DERIVED, SIMILAR
from segma.flows.states import Session, SessionChange

__all__ = ["Session", "SessionChange", "changes", "extended"]

DEFAULT_GAP_MS = 30 * 60_000


def extended(session: Session | None, event: Event, *, gap_ms: int) -> Session:
    """The session with this event: the one before, or a new one after a gap longer than ``gap_ms``.

    A gap exactly that long is still inside. Events must come in the subscriber's order.
    """
    at = event.occurred_at_ms
    if session is not None and at - session.last_at_ms <= gap_ms:
        if event.action == SIMILAR and event.event_id.endswith(DERIVED):
            return session  # it says something of the purchase before it; nothing more has happened
        landing = session.landing_path or _landing(event)
        campaign = session.campaign or _campaign(event)
        return Session(session.session_id, session.started_at_ms, at, session.events + 1, landing, campaign)
    digest = hashlib.sha256(f"{event.subscriber}/{event.event_id}".encode()).hexdigest()
    return Session(digest[:32], at, at, 1, _landing(event), _campaign(event))


def _landing(event: Event) -> str:
    path = event.properties.get("path") if event.action == "page_viewed" else None
    return path if isinstance(path, str) else ""


def _campaign(event: Event) -> str:
    campaign = event.properties.get("campaign")
    return campaign if isinstance(campaign, str) else ""


def changes(before: Iterable[Session | None], now: Iterable[Session | None]) -> tuple[SessionChange, ...]:
    """What became of sessions when events were put among them, in order.

    ``before`` and ``now``: the session after each event of the stretch that was applied again.
    """
    then, found = _by_id(before), _by_id(now)
    gone = [session for name, session in then.items() if name not in found]
    return tuple(
        SessionChange(
            session,
            tuple(
                each.session_id for each in gone if session.started_at_ms <= each.started_at_ms <= session.last_at_ms
            ),
        )
        for name, session in found.items()
        if then.get(name) != session
    )


def _by_id(sessions: Iterable[Session | None]) -> dict[str, Session]:
    return {session.session_id: session for session in sessions if session is not None}
