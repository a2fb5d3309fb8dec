"""A version takes over what came before it was at work, as if it had heard that as a shadow (SEMANTICS 9, the past).

The past up to an instant comes from the history, as the state that a shadow would have had then; what comes to a person
from that instant on is *held* beside their timeline. When the state comes, what was held is applied to it, and the
version's part of it is put into the timeline. Where it comes twice, the second changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from contracts.codec import replaced, to_json, to_msgpack
from contracts.events import Event
from flows.machine.grafting import grafted
from flows.machine.machine import Match, Version
from flows.machine.matches import from_stored, to_stored
from flows.machine.runs import Place
from flows.machine.states import read_states
from flows.subscriber.reapply import Reapplier
from flows.subscriber.stored import StoredEntry, StoredTimeline, read_timeline
from flows.subscriber.timeline import Timeline

Awaited = Mapping[Version, int]
"""The versions that will take over a past, and the log time up to which it comes from the history."""
MAX_HELD: Final = 4_000
MAX_HELD_BYTES: Final = 1 << 20
"""Of what is held of one person; past it nothing is, and the version begins with them as any shadow does."""


class Arrival(NamedTuple):
    """An event as it came: its JSON, the log time believed at it, and whether it was matched (else late, or twice)."""

    source: bytes
    watermark_ms: int
    matched: bool


class Held(NamedTuple):
    """What is held of a person: ``over``: more than there is room for. ``done``: the versions that took theirs over."""

    arrivals: tuple[Arrival, ...] = ()
    size: int = 0
    over: bool = False
    done: tuple[tuple[str, int, int], ...] = ()

    def with_arrival(self, event: Event, source: bytes | None, watermark_ms: int, *, matched: bool) -> Held:
        """The same, and an event more."""
        data = source or to_json(event)
        size = self.size + len(data)
        if self.over or size > MAX_HELD_BYTES or len(self.arrivals) >= MAX_HELD:
            return self.given_up()
        return self._replace(arrivals=(*self.arrivals, Arrival(data, watermark_ms, matched)), size=size)

    def given_up(self) -> Held:
        """Nothing is held any more, and no past is taken over."""
        return Held(over=True, done=self.done)

    def taken(self, version: Version, until_ms: int, awaited: Awaited) -> Held:
        """A version has taken its past over; once the last has, nothing need be held."""
        done = (*self.done, (*version, until_ms))
        left = {each for each, at_ms in awaited.items() if (*each, at_ms) not in done}
        return self._replace(done=done) if left else Held(over=self.over, done=done)

    def awaits(self, awaited: Awaited) -> bool:
        """Whether anything is still to be taken over."""
        return any((*each, at_ms) not in self.done for each, at_ms in awaited.items())

    def moved(self, before: Awaited, now: Awaited) -> Held:
        """What is left of it under other listeners."""
        going_on = {(*version, at_ms) for version, at_ms in now.items() if before.get(version) == at_ms}
        return self._replace(done=tuple(each for each in self.done if each in going_on)) if going_on else NOTHING_HELD


NOTHING_HELD: Final = Held()


class Graft(NamedTuple):
    """A timeline with a version's past, and what the version matched that may still be taken back, before and now."""

    version: Version
    timeline: Timeline
    told: tuple[Match, ...]
    now: tuple[Match, ...]


def with_past(reapplier: Reapplier, timeline: Timeline, ghosts: Reapplier, ghost: Timeline, version: Version) -> Graft:
    """Put a version's states and matches of one timeline (of this version alone) into another of the same person."""
    own = read_timeline(reapplier.encode(timeline, whole=True))
    past = read_timeline(ghosts.encode(ghost, whole=True))
    places = [_place(each) for each in past.entries]
    states, found = read_states(own.states), read_states(past.states)
    pairs, entries = list[tuple[int, int]](), list[StoredEntry]()
    made = {each.event_id: each.made for each in past.entries}
    for each in own.entries:
        at = _first_from(places, _place(each))
        pairs.append((max(each.state, 0), past.entries[at].state if at < len(places) else len(found.states) - 1))
        others = [match for match in from_stored(each.made) if _of(match) != version]
        every = sorted([*others, *from_stored(made.get(each.event_id, ()))], key=_in_order)
        entries.append(replaced(each, state=len(pairs) - 1, made=to_stored(every)))
    pairs.append((len(states.states) - 1, len(found.states) - 1))
    tail = [match for match in from_stored(own.tail) if _of(match) != version]
    merged = replaced(
        own,
        states=to_msgpack(grafted(states, found, pairs, version)),
        entries=tuple(entries),
        tail=to_stored(sorted([*tail, *from_stored(past.tail)], key=_in_order)),
        clock_ms=max([each for each in (own.clock_ms, past.clock_ms) if each is not None], default=None),
        newest_ms=max([each for each in (own.newest_ms, past.newest_ms) if each is not None], default=None),
    )
    return Graft(version, reapplier.decode(to_msgpack(merged)), _matches(own, version), _matches(merged, version))


def _first_from(places: list[Place], place: Place) -> int:
    at = 0
    while at < len(places) and places[at] < place:
        at += 1
    return at


def _place(entry: StoredEntry) -> Place:
    return (entry.at_ms, entry.order, entry.event_id)


def _matches(timeline: StoredTimeline, version: Version) -> tuple[Match, ...]:
    stored = (*(group for entry in timeline.entries for group in entry.made), *timeline.tail)
    return tuple(match for match in from_stored(stored) if _of(match) == version)


def _of(match: Match) -> Version:
    return match.listener, match.version


def _in_order(match: Match) -> tuple[int, str, int]:
    return match.matched_at_ms, match.listener, match.version
