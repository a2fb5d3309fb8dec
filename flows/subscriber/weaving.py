"""Applying a stretch of a timeline with the events that its own matches make among it (SEMANTICS 9). Pure.

A match that wants somebody in a list makes the event that says so, at the instant at which it is complete; every
listener judges that event like any other, and may match by it. So a stretch is applied event by event and deadline by
deadline, and what comes of each is put in its place before the next one: of equal times what a person does comes first,
then the end of their session, then what matches made, by depth, listener and position.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from heapq import heappop, heappush
from typing import Final

from contracts.codec import replaced
from contracts.events import Event
from contracts.membership import MEMBERSHIP
from flows.derived.membership import (
    MADE_ORDER,
    NEAR_MS,
    SESSION_ORDER,
    MembershipFact,
    fact_of,
    is_by_segma,
    is_heard,
    is_made,
    standing_at,
    with_membership,
)
from flows.derived.profile import ProfileFact, known_at, zone_in
from flows.derived.session_ends import end_of, ended_ms, last_of
from flows.derived.sessions import EXTENDS_NONE, ProfiledSession, Session, extended
from flows.machine.machine import Machine, MachineState, Match
from flows.subscriber.timeline import Entry, Timeline, entry_of
from flows.subscriber.wishes import MAX_DEPTH, Wishes

MAX_AT_ONCE: Final = 200
"""Events that matches make of one person at one instant: whoever makes more goes in circles, too."""

Sourced = tuple[Event, bytes | Event]
Waiting = tuple[tuple[int, int, str, int, str], Event]


def belongs_to(session: Session | None, event: Event, gap_ms: int) -> Session:
    """The session of an event: of one that extends none the one that is open at its time, or one of its own."""
    if event.action not in EXTENDS_NONE:
        return extended(session, event, gap_ms=gap_ms)
    at_ms = event.occurred_at_ms
    if session is not None and at_ms - session.last_at_ms <= gap_ms:
        return session
    return Session(f"none/{event.event_id}", at_ms, at_ms, 0)


def as_seen(
    session: Session, event: Event, facts: Sequence[ProfileFact], memberships: Sequence[MembershipFact]
) -> ProfiledSession:
    """An event's session as listeners see it, with what is known of the person then."""
    fields = known_at(facts, event.place)
    return ProfiledSession(session, fields, zone_in(fields), standing_at(memberships, event.place))


def is_behind(timeline: Timeline, first: int, end_ms: int) -> bool:
    """Whether the end of a session was told, or is too late to be: the entries before ``first`` have come past it."""
    while first and timeline.entries[first - 1].at_ms == end_ms:
        first -= 1  # what matches made at that time may be there before the end is known
        if timeline.entries[first].order == SESSION_ORDER:
            return True
    place = timeline.entries[first - 1].place if first else timeline.floor
    return place is not None and place[:2] >= (end_ms, SESSION_ORDER)


class Weaving:
    """One pass over the entries of a timeline from ``first`` on. Changes nothing but itself."""

    def __init__(  # noqa: PLR0917
        self,
        machine: Machine,
        wishes: Wishes,
        gap_ms: int,
        grace_ms: int,
        timeline: Timeline,
        first: int,
        late: Sequence[Sourced] = (),
        *,
        without: Collection[str] = (),
        only: Collection[str] | None = None,
        mute: Collection[str] = (),
    ) -> None:
        """``first``: no entry before it has the time of one behind it. ``late``: events to put among them. ``without``:
        ids of entries to leave out. ``only``: the new matches that have a place under the cap; None: all of them.
        ``mute``: those that make no event.
        """
        self._machine, self._wishes, self._gap_ms, self._grace_ms = machine, wishes, gap_ms, grace_ms
        self._facts, self._clock_ms, self._unmade = timeline.facts, timeline.clock_ms, timeline.unmade
        old = timeline.entries[first:]
        self.state = self._advanced = old[0].state if old else timeline.state
        self.session = old[0].session if old else timeline.session
        self.told: list[Match] = [*(match for entry in old for match in entry.made), *timeline.tail]
        """What all matched before."""
        self.now: list[Match] = []
        """What all matches now."""
        self.entries: list[Entry] = []
        self.fell: list[tuple[Event, Session]] = []
        """The late events, with the session that each fell into."""
        self.depths: dict[str, int] = {}
        """Of the matches that are deeper than 1."""
        self.tail: list[Match] = []
        """The matches of deadlines behind the last entry."""
        self._count: dict[int, int] = {}
        """How many events matches made, by their time."""
        self._late = {event.event_id for event, _ in late}
        self._capped, self._only = timeline.cap.capped, only
        self._timeline, self._first = timeline, first
        self._ends = machine.minds_session_ends
        self._ended_ms: int | None = None
        """The end of a session that is told."""
        if self._ends and self.session is not None:
            end_ms = ended_ms(self.session, gap_ms)
            self._ended_ms = end_ms if is_behind(timeline, first, end_ms) else None
        self._mute = set(mute)
        self._begin(timeline, old, late, without)

    def _begin(
        self, timeline: Timeline, old: Sequence[Entry], late: Sequence[Sourced], without: Collection[str]
    ) -> None:
        given = [(entry.event, entry.source) for entry in old if entry.event_id not in without]
        own = [each for each in given if not is_made(each[0].order)]
        made = [event for event, _ in given if is_by_segma(event)]
        self._own = sorted([*own, *late], key=lambda each: each[0].place, reverse=True)
        again = {event.event_id for event in made}
        self.memberships = [fact for fact in timeline.memberships if fact.event_id not in again]
        had = {event.properties["match"] for event in made}
        self._mute |= {match.match_id for match in self.told} - had
        """Told without an event: a shadow's of then, or by listeners none of which asked for it. It makes none now."""
        self._made: list[Waiting] = []
        self._known: set[str] = set()
        for event in made:
            said = event.properties
            if self._wishes.keeps((said["listener"], said["version"])):
                self._known.add(event.event_id)
                self._await(event)

    def run(self) -> None:
        """Apply all that there is, and the deadlines up to where the log time has fired them."""
        while True:
            at_ms = self._next_ms()
            until_ms = self._clock_ms if at_ms is None else at_ms
            due_ms = self._advanced.due_ms
            if due_ms is not None and until_ms is not None and due_ms <= until_ms:
                self._advanced, fired = self._machine.advance(self._advanced, due_ms)
                self.tail.extend(fired)
                self._found(fired, due_ms + self._grace_ms)
            elif at_ms is None:
                break
            else:
                self._take()
        self.now.extend(self.tail)

    @property
    def advanced(self) -> MachineState:
        """The state up to where the log time has fired deadlines."""
        return self._advanced

    def _next_ms(self) -> int | None:
        own = self._own[-1][0].occurred_at_ms if self._own else None
        made = self._made[0][1].occurred_at_ms if self._made else None
        end = self._end_ms(own)
        return min([each for each in (own, made, end) if each is not None], default=None)

    def _end_ms(self, own_ms: int | None) -> int | None:
        """When the session is over, where that is known and not yet told. ``own_ms``: of the person's next event."""
        if not self._ends or self.session is None:
            return None
        end_ms = ended_ms(self.session, self._gap_ms)
        known = own_ms is not None or (self._clock_ms is not None and self._clock_ms > end_ms)
        is_over = known and (own_ms is None or own_ms > end_ms)
        return end_ms if is_over and end_ms != self._ended_ms else None

    def _end(self, end_ms: int) -> Event | None:
        self._ended_ms = end_ms
        if self.session is None:
            return None
        kept = (entry.event for entry in reversed((*self._timeline.entries[: self._first], *self.entries)))
        last = last_of(self.session, kept, self._timeline.last)
        if last is None:
            return None
        who, log_time_ms = self.state.subscriber, end_ms + self._grace_ms
        return end_of(self.session, last, self._wishes.workspace, who, end_ms, log_time_ms)

    def _take(self) -> None:
        """Apply the event whose turn it is: of equal times the person's own, then the end of their session."""
        at_ms = self._next_ms()
        if self._own and self._own[-1][0].occurred_at_ms == at_ms:
            event, source = self._own.pop()
        elif at_ms is not None and at_ms == self._end_ms(self._own[-1][0].occurred_at_ms if self._own else None):
            end = self._end(at_ms)
            if end is None:
                return
            event = source = end
        else:
            _, event = heappop(self._made)
            event = source = replaced(event, order=self._order_at(event.occurred_at_ms))
            fact = fact_of(event)
            if fact is not None:
                self.memberships = list(with_membership(self.memberships, (fact,), None))
        self._apply(event, source)

    def _order_at(self, at_ms: int) -> int:
        last = self.entries[-1] if self.entries else None
        return last.order + 1 if last is not None and last.at_ms == at_ms and last.order >= MADE_ORDER else MADE_ORDER

    def _apply(self, event: Event, source: bytes | Event) -> None:
        own = belongs_to(self.session, event, self._gap_ms)
        after, made = self._advanced, tuple[Match, ...]()
        if is_heard(self.memberships, event):
            seen = as_seen(own, event, self._facts, self.memberships)
            after, made = self._machine.apply(self._advanced, event, seen)
        every = (*self.tail, *made)
        self.entries.append(entry_of(event, source, self.state, self.session, every))
        self.now.extend(every)
        self.tail = []
        if event.event_id in self._late:
            self.fell.append((event, own))
        self.state = self._advanced = after
        self.session = self.session if event.action in EXTENDS_NONE else own
        self._found(made, event.log_time_ms)

    def _found(self, matches: Sequence[Match], log_time_ms: int) -> None:
        """Put the events that matches make among those that wait."""
        for match in matches:
            depth = self._depth(match)
            if self._count.get(match.matched_at_ms, 0) >= MAX_AT_ONCE:
                depth = MAX_DEPTH + 1
            if depth > 1:
                self.depths[match.match_id] = depth
            if match.match_id in self._mute or self._is_capped(match, depth):
                continue
            for event in self._wishes.events_of(match, depth, log_time_ms):
                if event.event_id not in self._known and event.event_id not in self._unmade:
                    self._await(event)

    def _is_capped(self, match: Match, depth: int) -> bool:
        name, only = match.match_id, self._only
        if name in self._capped:
            return True
        if only is None or name in only or any(name == each.match_id for each in self.told):
            return False
        return bool(self._wishes.list_changes(match, depth))

    def _await(self, event: Event) -> None:
        said, at_ms = event.properties, event.occurred_at_ms
        self._count[at_ms] = self._count.get(at_ms, 0) + 1
        joins = "" if event.action in {"list_joined", "tag_added"} else "leaving"
        place = (at_ms, said["depth"], said["listener"], said["position"], f"{joins}{event.event_id}")
        heappush(self._made, (place, event))

    def _depth(self, match: Match) -> int:
        near = [
            ref.event_id
            for refs in match.steps.values()
            for ref in refs
            if ref.action in MEMBERSHIP and match.matched_at_ms - ref.occurred_at_ms < NEAR_MS
        ]
        if not near:
            return 1
        return 1 + max((fact.depth for fact in self.memberships if fact.event_id in near), default=0)
