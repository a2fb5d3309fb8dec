"""The end of a session as an event of the person, made by the flow (SEMANTICS 9, profile and hours). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from contracts.codec import Packed
from contracts.events import Event, Trust
from contracts.membership import SESSION_ENDED
from flows.derived.membership import SESSION_ORDER, is_made
from flows.derived.purchases import DERIVED, SIMILAR
from flows.derived.sessions import EXTENDS_NONE, Session, path_of

PREFIX: Final = f"{SESSION_ENDED}/"
"""Of the event's id; behind it stands the id of the session's last event."""


class SessionLast(Packed, frozen=True):
    """The last event of a session, as far as its end tells of it. ``exit_path``: of the last page viewed in it."""

    event_id: str
    at_ms: int
    trust: str
    stitched: bool
    exit_path: str


def last_of(session: Session, newest_first: Iterable[Event], before: SessionLast | None) -> SessionLast | None:
    """The last event of a session. ``newest_first``: the events that are kept; ``before``: what is known of those that
    are kept no more. None where the session's last event is not known any more.
    """
    last, exit_path = None, ""
    for event in newest_first:
        if event.occurred_at_ms < session.started_at_ms:
            break
        if last is None and _is_in_sessions(event):
            last = event
        if exit_path := path_of(event):
            break
    else:
        if before is not None and before.at_ms >= session.started_at_ms:
            exit_path = before.exit_path
            if last is None:
                return before
    if last is None:
        return None
    return SessionLast(last.event_id, last.occurred_at_ms, last.trust.value, last.stitched, exit_path)


def _is_in_sessions(event: Event) -> bool:
    is_derived = event.action == SIMILAR and event.event_id.endswith(DERIVED)
    return event.action not in EXTENDS_NONE and not is_made(event.order) and not is_derived


def ended_ms(session: Session, gap_ms: int) -> int:
    """When a session is over: an event at this very time is still of it."""
    return session.last_at_ms + gap_ms


def end_of(  # noqa: PLR0917
    session: Session, last: SessionLast, workspace: str, subscriber: str, at_ms: int, log_time_ms: int
) -> Event:
    """The event that says that a session is over."""
    said = {"landing_path": session.landing_path, "exit_path": last.exit_path, "campaign": session.campaign}
    return Event(
        workspace,
        subscriber,
        f"{PREFIX}{last.event_id}",
        SESSION_ENDED,
        at_ms,
        order=SESSION_ORDER,
        properties={
            "duration_ms": session.duration_ms,
            "events": session.events,
            **{name: value for name, value in said.items() if value},
        },
        trust=Trust(last.trust),
        stitched=last.stitched,
        log_time_ms=log_time_ms,
    )
