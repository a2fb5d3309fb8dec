"""Sessions: a subscriber's events with gaps no longer than ``session_gap`` (SEMANTICS 2). Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import tzinfo
from typing import Any, Final, NamedTuple

from mypy_extensions import mypyc_attr

from contracts.events import Event
from contracts.membership import MEMBERSHIP, SESSION_ENDED
from flows.derived.purchases import DERIVED, SIMILAR

EXTENDS_NONE: Final = MEMBERSHIP | {SESSION_ENDED}
"""Actions of which a session knows nothing."""
DEFAULT_GAP_MS = 30 * 60_000


@mypyc_attr(acyclic=True)
class Session:
    """A session up to and including the event that was put in last. Never changed.

    ``session_id``: 32 hexadecimal digits, made of the subscriber and the first event's id, so the same history always
    names its sessions alike. ``landing_path``: of the first page viewed in it. ``campaign``: the first one that an
    event of it names.
    """

    __slots__ = ("campaign", "events", "landing_path", "last_at_ms", "session_id", "started_at_ms")

    def __init__(  # noqa: PLR0917
        self,
        session_id: str,
        started_at_ms: int,
        last_at_ms: int,
        events: int,
        landing_path: str = "",
        campaign: str = "",
    ) -> None:
        self.session_id = session_id
        self.started_at_ms = started_at_ms
        self.last_at_ms = last_at_ms
        self.events = events
        self.landing_path = landing_path
        self.campaign = campaign

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Session):
            return NotImplemented
        return (
            self.events == other.events
            and self.last_at_ms == other.last_at_ms
            and self.started_at_ms == other.started_at_ms
            and self.session_id == other.session_id
            and self.landing_path == other.landing_path
            and self.campaign == other.campaign
        )

    def __hash__(self) -> int:
        return hash((self.session_id, self.last_at_ms, self.events))

    def __repr__(self) -> str:
        return f"Session({self.session_id!r}, {self.started_at_ms}, {self.last_at_ms}, {self.events})"

    @property
    def duration_ms(self) -> int:
        """From the first event to the last so far."""
        return self.last_at_ms - self.started_at_ms


class ProfiledSession(Session):
    """A session with what is known of the person at its last event. ``zone``: the person's own, where they have one.
    ``standing``: the lists they are in and the tags they have: account, ``list`` or ``tag``, name.
    """

    __slots__ = ("fields", "standing", "zone")

    def __init__(
        self,
        session: Session,
        fields: Mapping[str, Any],
        zone: tzinfo | None,
        standing: Collection[tuple[str, str, str]] = (),
    ) -> None:
        super().__init__(
            session.session_id,
            session.started_at_ms,
            session.last_at_ms,
            session.events,
            session.landing_path,
            session.campaign,
        )
        self.fields = fields
        self.zone = zone
        self.standing = standing


class SessionChange(NamedTuple):
    """A session as it stands now, and the ids of sessions that it took in (or that it was called before)."""

    session: Session
    joined: tuple[str, ...] = ()


def extended(session: Session | None, event: Event, *, gap_ms: int) -> Session:
    """The session with this event: the one before, or a new one after a gap longer than ``gap_ms``.

    A gap exactly that long is still inside. Events must come in the subscriber's order. What the flow makes, and who
    joins or leaves a list, neither opens nor extends one.
    """
    at = event.occurred_at_ms
    if session is not None and event.action in EXTENDS_NONE:
        return session
    if session is not None and at - session.last_at_ms <= gap_ms:
        if event.action == SIMILAR and event.event_id.endswith(DERIVED):
            return session  # it says something of the purchase before it; nothing more has happened
        landing = session.landing_path or path_of(event)
        campaign = session.campaign or _campaign(event)
        return Session(session.session_id, session.started_at_ms, at, session.events + 1, landing, campaign)
    digest = hashlib.sha256(f"{event.subscriber}/{event.event_id}".encode()).hexdigest()
    return Session(digest[:32], at, at, 1, path_of(event), _campaign(event))


def path_of(event: Event) -> str:
    """The path of a page viewed; empty for any other event."""
    path = event.properties.get("path") if event.action == "page_viewed" else None
    return path if isinstance(path, str) else ""


def _campaign(event: Event) -> str:
    campaign = event.properties.get("campaign")
    return campaign if isinstance(campaign, str) else ""


def changes(before: Iterable[Session | None], now: Iterable[Session | None]) -> tuple[SessionChange, ...]:
    """The sessions that changed when events were put among them, in order.

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
