"""What is known of one subscriber, as it is stored, and what an event changed of it. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from contracts.codec import Packed, Value, json_reader, msgpack_reader, written
from contracts.events import Event
from contracts.reasons import Reason
from flows.derived.membership import MembershipFact
from flows.derived.profile import ProfileFact
from flows.derived.purchases import Purchase
from flows.derived.session_ends import SessionLast
from flows.derived.sessions import Session, SessionChange
from flows.machine.matches import Match, StoredMatches
from flows.machine.runs import Place
from flows.subscriber.cap import CapPlace


class StoredSubscriber(Value, frozen=True):
    """``from_ms``: of the listeners that the timeline belongs to; ``told``: see
    :class:`flows.subscriber.subscriber.Subscriber`.
    """

    SCHEMA: ClassVar[int] = 1

    timeline: bytes
    origins: tuple[tuple[str, str], ...] = ()
    spent: tuple[tuple[str, int], ...] = ()
    from_ms: int = 0
    told: int = 0
    matches: tuple[StoredMatches, ...] = ()
    revoked: tuple[str, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    named: tuple[tuple[str, tuple[str, ...]], ...] = ()
    held: tuple[tuple[bytes, int, bool], ...] = ()
    held_over: bool = False
    held_done: tuple[tuple[str, int, int], ...] = ()
    schema: int = written(1)


read_subscriber: Final[Callable[[bytes], StoredSubscriber]] = msgpack_reader(StoredSubscriber)


class Applied(Packed, frozen=True):
    """What an event, or the passing of time, changed.

    ``reason``: ``late`` or ``duplicate`` where the event was not matched, else None. ``session``: the one that the
    event fell into, None where it was not matched. Retractions come before matches.
    ``amended``: matches that stand (the same events, so the same id) with another share of the events to the steps.
    ``sessions``: those that began or that a late event changed; not the one that an event in order only extended.
    """

    reason: Reason | None = None
    session: Session | None = None
    retractions: tuple[Match, ...] = ()
    matches: tuple[Match, ...] = ()
    amended: tuple[Match, ...] = ()
    sessions: tuple[SessionChange, ...] = ()
    waits: bool = False
    """Whether the event waits to be put in its place with others (:meth:`flows.subscriber.reapply.Reapplier.merge`)."""
    weighed: bool = False
    """Whether the event stands in the timeline already, with a verdict that what came again does not outrank."""


def joined(found: Sequence[Applied]) -> Applied:
    """What several changed, one after another."""
    return Applied(
        retractions=tuple(match for each in found for match in each.retractions),
        matches=tuple(match for each in found for match in each.matches),
        amended=tuple(match for each in found for match in each.amended),
        sessions=tuple(change for each in found for change in each.sessions),
    )


read_event: Final[Callable[[bytes], Event]] = json_reader(Event)


class StoredEntry(Packed, frozen=True):
    """``state``: the place of the state before it among the timeline's ``states``; -1: it follows from those before."""

    source: bytes
    event_id: str
    at_ms: int
    order: int
    state: int
    made: tuple[StoredMatches, ...] = ()


class StoredSession(Packed, frozen=True):
    """As :class:`flows.derived.sessions.Session`."""

    session_id: str
    started_at_ms: int
    last_at_ms: int
    events: int
    landing_path: str = ""
    campaign: str = ""


def stored_session(session: Session | None) -> StoredSession | None:
    """A session, ready to be encoded."""
    if session is None:
        return None
    name, started_ms, last_ms = session.session_id, session.started_at_ms, session.last_at_ms
    return StoredSession(name, started_ms, last_ms, session.events, session.landing_path, session.campaign)


def session_of(stored: StoredSession | None) -> Session | None:
    """The session that :func:`stored_session` was given."""
    if stored is None:
        return None
    name, started_ms, last_ms = stored.session_id, stored.started_at_ms, stored.last_at_ms
    return Session(name, started_ms, last_ms, stored.events, stored.landing_path, stored.campaign)


class StoredTimeline(Value, frozen=True):
    """``states``: all that differ, the newest last (:class:`StoredStates`). ``prior``: the session before the first."""

    SCHEMA: ClassVar[int] = 1

    states: bytes
    prior: StoredSession | None
    session: StoredSession | None
    entries: tuple[StoredEntry, ...]
    clock_ms: int | None
    tail: tuple[StoredMatches, ...]
    newest_ms: int | None
    floor: Place | None
    overflowed: int
    gone: tuple[tuple[str, int], ...] = ()
    unfolded: int = 0
    waiting: tuple[bytes, ...] = ()
    """The JSON of late events that wait to be put in their places, in the order in which they came."""
    merge_ms: int = 0
    facts: tuple[ProfileFact, ...] = ()
    memberships: tuple[MembershipFact, ...] = ()
    unmade: tuple[str, ...] = ()
    depths: tuple[tuple[str, int], ...] = ()
    places: tuple[CapPlace, ...] = ()
    capped: tuple[str, ...] = ()
    last: SessionLast | None = None
    schema: int = written(1)


read_timeline: Final[Callable[[bytes], StoredTimeline]] = msgpack_reader(StoredTimeline)
