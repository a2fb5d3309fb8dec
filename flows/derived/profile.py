"""What is known of a person: facts with their times, the newest of each field counts (SEMANTICS 9). Pure.

A fact is an event ``profile_changed``; its properties are the fields. Only what a link or a server vouches for is
believed. Facts are no steps of a listener, open no session and make no other event late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from contracts.actions import PROFILE_CHANGED
from contracts.codec import Packed
from contracts.events import Event, Trust
from contracts.membership import MEMBERSHIP
from contracts.time_zones import zone_of
from flows.derived.sessions import ProfiledSession, Session, extended

TIME_ZONE: Final = "time_zone"
MAX_FIELDS: Final = 100
"""Of one person; past it the oldest are let go."""
EVERYTHING: Final = ""
"""The field of a fact that nothing is known any more: of a server's event without properties."""
Fields = Mapping[str, Any]
_NOTHING: Final[Fields] = {}


class ProfileFact(Packed, frozen=True):
    """One field, and since which place in the person's order; ``value`` is JSON. An empty one takes the field away."""

    at_ms: int
    order: int
    event_id: str
    field: str
    value: Any

    @property
    def place(self) -> tuple[int, int, str]:
        """As :attr:`contracts.events.Event.place`."""
        return (self.at_ms, self.order, self.event_id)


def facts_of(event: Event) -> tuple[ProfileFact, ...]:
    """The facts of an event; none where nothing vouches for them."""
    if event.trust.level < Trust.TOKEN.level or event.stitched:
        return ()
    at_ms, order, event_id = event.place
    if takes_everything_away(event):
        return (ProfileFact(at_ms, order, event_id, EVERYTHING, None),)
    return tuple(
        ProfileFact(at_ms, order, event_id, name, value) for name, value in sorted(event.properties.items()) if name
    )


def takes_everything_away(event: Event) -> bool:
    """Whether nothing is to be known of the person any more: a server says so, and ``segma forget`` does."""
    return event.action == PROFILE_CHANGED and not event.properties and event.trust is Trust.SERVER


def known_at(facts: Sequence[ProfileFact], place: tuple[int, int, str]) -> Fields:
    """What is known at a place. ``facts``: in the order of their places."""
    if not facts:
        return _NOTHING
    found: dict[str, Any] = {}
    for fact in facts:
        if fact.place > place:
            break
        if fact.field == EVERYTHING:
            found.clear()
        elif fact.value is None or fact.value == "":
            found.pop(fact.field, None)
        else:
            found[fact.field] = fact.value
    return found


def with_facts(
    facts: Sequence[ProfileFact], more: Iterable[ProfileFact], final: tuple[int, int, str] | None
) -> tuple[ProfileFact, ...]:
    """The facts with others in their places. ``final``: before it only the newest of each field can be asked for."""
    known = {(fact.field, fact.place): fact for fact in (*more, *facts)}
    ordered = sorted(known.values(), key=_by_place)
    gone = max((index for index, fact in enumerate(ordered) if fact.field == EVERYTHING), default=0)
    ordered = ordered[gone:]
    if final is None or len(ordered) <= MAX_FIELDS:
        return tuple(ordered[-10 * MAX_FIELDS :])
    old = {fact.field: fact for fact in ordered if fact.place <= final}
    kept = sorted(old.values(), key=_by_place)[-MAX_FIELDS:]
    return (*kept, *(fact for fact in ordered if fact.place > final))[-10 * MAX_FIELDS :]


def _by_place(fact: ProfileFact) -> tuple[tuple[int, int, str], str]:
    return fact.place, fact.field


def zone_in(fields: Fields) -> ZoneInfo | None:
    """The person's own time zone, where they have one."""
    name = fields.get(TIME_ZONE)
    return zone_of(name) if isinstance(name, str) else None


def profiled(session: Session, fields: Fields) -> Session:
    """The session as a listener sees it that asks what is known of the person."""
    return ProfiledSession(session, fields, zone_in(fields)) if fields else session


def with_profiles(events: Iterable[Event], *, gap_ms: int) -> Iterator[tuple[Event, Session]]:
    """Each event of a person, in order, with its session as listeners see it. Facts are taken in and left out."""
    session: Session | None = None
    facts: tuple[ProfileFact, ...] = ()
    for event in events:
        if event.action == PROFILE_CHANGED:
            facts = (*facts, *facts_of(event))
        elif event.action not in MEMBERSHIP:
            session = extended(session, event, gap_ms=gap_ms)
            yield event, profiled(session, known_at(facts, event.place))
